"""What JPEG erases, frames, overshoot. `python -m benchmarks.photos`

jpeg: seven photos saved as JPEGs of quality 80 and 70: gain over bicubic of the same JPEG, blind and with the kernel
given. frames: how often one is found in pictures as they are, and where one is put around them. overshoot: what the
limit at strong edges costs with the kernel given. 48 x 48 LR pixels, gains in dB of the luma, scale 4, `fast`, one
thread.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import torch

from benchmarks import drawings, split
from benchmarks.kf144 import PHOTOS, Pair, pair
from benchmarks.robustness import jpeg
from kf_core import Settings, super_resolve
from kf_core.examples import EXAMPLES, example
from kf_core.files.picture import read_picture
from kf_core.frame import NO_FRAME, Frame, find_frame
from kf_core.pixels import bicubic_enlargement
from kf_core.scores import psnr

SIDE = 48
QUALITIES = (80, 70)
OVERSHOOT = (0, 1, 2, 4, 7, 8)  # of KF12
CROPS = (48, 64, 112)  # LR pixels per side of what is looked through for a frame
WIDTHS: tuple[Frame, ...] = ((9, 9, 0, 0), (0, 0, 12, 7), (6, 6, 6, 6), (1, 1, 1, 1), (5, 3, 4, 2))
COLOURS = {"black": (0, 0, 0), "white": (255, 255, 255), "cream": (250, 240, 200)}


def compressed() -> list[Pair]:
    return [*(pair(index, index, SIDE) for index in (0, 5, 7, 8, 11)), *(split.case(index, SIDE) for index in (1, 14))]


def gain(lr: np.ndarray, hr: np.ndarray, kernel: np.ndarray | None) -> float:
    """Over the bicubic enlargement of the same photo."""
    plain = bicubic_enlargement(lr, *hr.shape[:2])
    result = super_resolve(lr, Settings.preset("fast", device="cpu"), kernel=kernel).image
    assert result is not None
    return psnr(result, hr) - psnr(plain, hr)


def of_jpegs() -> None:
    columns = [f"{kind}, {quality}" for kind in ("blind", "kernel given") for quality in QUALITIES]
    print(f"\n| case | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    rows = []
    for case in compressed():
        spoilt = [jpeg(case.lr, quality) for quality in QUALITIES]
        rows.append([gain(lr, case.hr, kernel) for kernel in (None, case.kernel) for lr in spoilt])
        print(f"| {case.name} | {cells(rows[-1])} |", flush=True)
    print(f"| **mean** | {cells(np.mean(rows, axis=0))} |\n| **lowest** | {cells(np.min(rows, axis=0))} |")


def of_frames() -> None:
    paths = [*PHOTOS, *split.PHOTOS, *map(example, EXAMPLES)]
    whole = {f"{path.parent.name}/{path.stem}": read_picture(path).pixels for path in paths}
    small = {f"{case.name}, {side}": case.lr for side in CROPS for case in (split.case(i, side) for i in range(48))}
    pages = {name: drawings.shrunk(draw(), drawings.KERNELS["Gaussian 2"]) for name, draw in drawings.SCENES.items()}
    for what, pictures in (("whole photographs", whole), ("shrunk crops of them", small), ("drawings", pages)):
        wrong = {name: frame for name, frame in ((n, frame_of(p)) for n, p in pictures.items()) if frame != NO_FRAME}
        print(f"\nA frame is found in {len(wrong)} of {len(pictures)} {what}. {wrong or ''}")
    photos = [split.case(index, SIDE).lr for index in range(36)]
    for name, colour in COLOURS.items():
        right = [frame_of(framed(photo, widths, colour)) == widths for photo in photos for widths in WIDTHS]
        print(f"\nA {name} frame is found to the pixel in {sum(right)} of {len(right)} photos that have one.")


def frame_of(pixels: np.ndarray) -> Frame:
    return find_frame(np.atleast_3d(pixels).astype(float).transpose(2, 0, 1))


def framed(pixels: np.ndarray, widths: Frame, colour: tuple[int, int, int]) -> np.ndarray:
    top, bottom, left, right = widths
    larger = np.empty((pixels.shape[0] + top + bottom, pixels.shape[1] + left + right, 3), pixels.dtype)
    larger[:] = colour
    larger[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return larger


def of_overshoot() -> None:
    print("\n| picture | gain with the limit | without | difference |\n|---|---|---|---|")
    cases = [(case.name, case.lr, case.hr, case.kernel) for case in (pair(i, i, SIDE) for i in OVERSHOOT)]
    inner, kernel = slice(drawings.MARGIN, -drawings.MARGIN), drawings.KERNELS["Gaussian 2"]
    for name, draw in drawings.SCENES.items():
        sharp = draw()
        truth = (sharp[inner, inner] * 255).round().astype(np.uint8)
        cases.append((name, drawings.shrunk(sharp, kernel), truth, kernel.numpy()))
    for name, lr, hr, taps in cases:
        limited = gain(lr, hr, taps)
        with patch("kf_core.restore.plug_and_play.without_overshoot", lambda image, lr: image):
            free = gain(lr, hr, taps)
        print(f"| {name} | {limited:+.2f} | {free:+.2f} | {limited - free:+.2f} |", flush=True)


def cells(values: list[float] | np.ndarray) -> str:
    return " | ".join(f"{value:+.2f}" for value in values)


PARTS: dict[str, Callable[[], None]] = {"jpeg": of_jpegs, "frames": of_frames, "overshoot": of_overshoot}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.machine()}, one thread, {time.strftime('%Y-%m-%d')}")
    for name in chosen.parts:
        PARTS[name]()


if __name__ == "__main__":
    main()
