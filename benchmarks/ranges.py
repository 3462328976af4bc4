"""Photos that do not fill their range, clipped lamps, noise. `python -m benchmarks.ranges`

Three crops of 48 x 48 of the photographs that the bundled prior held out (the same that rules were chosen on), scale 4:
gain over bicubic in dB of the luma, blind and with the kernel given: each, their mean and the lowest. "lamps" has discs
of 1.5 to 6 times white in a dark scene and a motion kernel, all others a Gaussian of 2 pixels. One thread.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks import split
from benchmarks.kf12 import RESULTS
from kf_core import Settings, super_resolve
from kf_core.files.atomic import write_atomically
from kf_core.files.picture import read_picture
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import bicubic
from kf_core.physics.kernel import gaussian_kernel
from kf_core.pixels import to_tensor
from kf_core.scores import psnr

SIDE, SCALE, MARGIN = 48, 4, 10
PHOTOS = (1, 4, 7)


def sharp_photo(index: int) -> np.ndarray:
    """The middle of a photograph, (SIDE s + 2 MARGIN, ...) in 0..1."""
    pixels = read_picture(split.PHOTOS[index]).pixels
    side = SCALE * SIDE + 2 * MARGIN
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side] / 255


def with_lamps(sharp: np.ndarray) -> np.ndarray:
    dark, random = 0.35 * sharp, np.random.default_rng(5)
    rows, columns = np.mgrid[: len(dark), : len(dark)]
    for _ in range(9):
        row, column = random.integers(15, len(dark) - 15, 2)
        radius = random.integers(2, 6)
        dark[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = random.uniform(1.5, 6)
    return dark


def stroke(length: float) -> np.ndarray:
    """A motion of so many pixels, 30 degrees from level."""
    kernel = np.zeros((24, 24), np.float32)
    for step in np.linspace(-length / 2, length / 2, 200):
        kernel[int(11.5 + step * 0.5), int(11.5 + step * 0.87)] += 1
    return kernel / kernel.sum()


KERNELS = {"gaussian": gaussian_kernel(24, 2.0).numpy(), "motion": stroke(14)}


@dataclass(frozen=True)
class Kind:
    """Attributes:
    scene: what is done to the sharp photograph.
    kernel: of KERNELS.
    noise: standard deviation in grey levels of 255.
    white: of the photo's whole numbers.
    """

    scene: Callable[[np.ndarray], np.ndarray]
    kernel: str = "gaussian"
    noise: float = 0
    white: int = 255


KINDS = {
    "full range": Kind(lambda x: x),
    "dark, noise 2": Kind(lambda x: 0.02 + 0.14 * x, noise=2),
    "fog, noise 1": Kind(lambda x: 0.6 + 0.25 * x, noise=1),
    "12 bits in 16": Kind(lambda x: x * 4095 / 65535, white=65535),
    "clipped lamps, motion": Kind(with_lamps, "motion"),
    "noise 3": Kind(lambda x: x, noise=3),
    "noise 5": Kind(lambda x: x, noise=5),
    "noise 10": Kind(lambda x: x, noise=10),
}


def gains(kind: Kind, index: int) -> tuple[float, float]:
    """Over the bicubic enlargement of the same photo, in dB: blind, and with the kernel given."""
    scene = kind.scene(sharp_photo(index))
    kernel = KERNELS[kind.kernel]
    blur = UniformBlur(torch.from_numpy(kernel).double(), SCALE, "canvas")
    small = blur.A(torch.from_numpy(scene.transpose(2, 0, 1))[None])[0].numpy().transpose(1, 2, 0)
    small = small + np.random.default_rng(index).normal(0, kind.noise / 255, small.shape)
    small = np.round(small * kind.white).clip(0, kind.white).astype(np.uint8 if kind.white == 255 else np.uint16)
    truth = scene[MARGIN:-MARGIN, MARGIN:-MARGIN].clip(0, 1)
    plain = bicubic(to_tensor(small), *truth.shape[:2])[0].numpy().transpose(1, 2, 0) / 2 + 0.5
    settings, usual = Settings.preset("fast", device="cpu"), psnr(255 * plain, 255 * truth)
    blind, given = (super_resolve(small, settings, kernel=known).image / kind.white for known in (None, kernel))
    return psnr(255 * blind, 255 * truth) - usual, psnr(255 * given, 255 * truth) - usual


def main() -> None:
    torch.set_num_threads(1)
    print(f"{platform.machine()}, one thread, {time.strftime('%Y-%m-%d')}\n")
    print("| photo | blind: each | mean | worst | kernel given: each | mean | worst |\n|---|---|---|---|---|---|---|")
    rows: dict[str, dict[str, list[float]]] = {}
    for name, kind in KINDS.items():
        blind, given = zip(*(gains(kind, index) for index in PHOTOS), strict=True)
        rows[name] = {"blind": list(blind), "kernel given": list(given)}
        print(f"| {name} | {cells(blind)} | {cells(given)} |", flush=True)
    write_atomically(RESULTS / "ranges.json", lambda file: file.write(json.dumps(rows, indent=1).encode()))


def cells(values: Sequence[float]) -> str:
    return f"{' '.join(f'{value:+.2f}' for value in values)} | {np.mean(values):+.2f} | {min(values):+.2f}"


if __name__ == "__main__":
    main()
