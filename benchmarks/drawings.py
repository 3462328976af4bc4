"""Pages of text and a screenshot, drawn here and shrunk by known kernels. `python -m benchmarks.drawings`

Scale 4, 48 x 48 LR pixels, without noise and with noise of 5 grey levels. Gain over bicubic in dB of the luma, blind
and with the true kernel given; the blind run's confidence, the cosine of its kernel with the truth, what it looks like,
and whether it was recognised as a drawing. One thread.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmarks.kf12 import RESULTS
from kf_core import Settings, super_resolve
from kf_core.files.atomic import write_atomically
from kf_core.files.figure import contact_sheet
from kf_core.files.picture import Picture, write_picture
from kf_core.kernels.simple import simple_kernels
from kf_core.physics.blur import UniformBlur
from kf_core.physics.kernel import cosine_similarity, gaussian_kernel
from kf_core.pixels import bicubic_enlargement
from kf_core.scores import psnr

SIDE, SCALE, MARGIN = 48, 4, 10
LINES = ("the quick brown fox", "jumps over a lazy", "dog, 1234567890", "Pack my box with", "five dozen of them")


def page(ink: tuple[int, int, int], paper: tuple[int, int, int], size: int = 34) -> np.ndarray:
    """Text, (SIDE s + 2 MARGIN, ...) in 0..1."""
    side = SIDE * SCALE + 2 * MARGIN
    picture = Image.new("RGB", (side, side), paper)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    for number in range(round(side / size / 1.35) + 1):
        left, top = number % 3 * 5 - 4, 4 + round(1.35 * size * number)
        draw.text((left, top), LINES[number % len(LINES)], font=font, fill=ink)
    return np.asarray(picture) / 255


def screenshot() -> np.ndarray:
    side = SIDE * SCALE + 2 * MARGIN
    picture = Image.new("RGB", (side, side), (240, 242, 245))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(28)
    draw.rectangle((0, 0, side, 46), fill=(40, 70, 150))
    draw.text((16, 6), "Save File", font=font, fill=(255, 255, 255))
    draw.text((16, 58), "Edit View", font=font, fill=(0, 0, 0))
    draw.text((16, 100), "12:45 Error", font=font, fill=(200, 20, 20))
    draw.rectangle((16, 150, 100, 195), fill=(60, 180, 90))
    draw.rectangle((120, 150, 195, 195), outline=(0, 0, 0), width=4)
    draw.text((135, 153), "OK", font=font, fill=(0, 0, 0))
    return np.asarray(picture) / 255


def shrunk(sharp: np.ndarray, kernel: Tensor, noise: float = 0.0) -> np.ndarray:
    """As a user has it: 8 bits, (SIDE, SIDE, 3), with noise of so many grey levels."""
    image = torch.from_numpy(sharp.transpose(2, 0, 1))[None]
    small = UniformBlur(kernel.double(), SCALE, "canvas").A(image)[0].numpy().transpose(1, 2, 0)
    small = small * 255 + np.random.default_rng(0).normal(0, noise, small.shape)
    return small.round().clip(0, 255).astype(np.uint8)


SCENES: dict[str, Callable[[], np.ndarray]] = {
    "black on white": lambda: page((20, 20, 20), (250, 250, 250)),
    "small print": lambda: page((20, 20, 20), (250, 250, 250), 24),
    "white on dark": lambda: page((235, 235, 235), (30, 34, 60)),
    "screenshot": screenshot,
}
NAMED = {each.name: each.kernel for each in simple_kernels(24, SCALE)}
KERNELS = {
    "mean of the pixel": NAMED["an average over squares of 4 pixels"],
    "Gaussian 2": gaussian_kernel(24, 2.0),
    "Gaussian 3": gaussian_kernel(24, 3.0),
    "disc 8": NAMED["a defocus 8 pixels across"],
}


TOLD = ("confidence", "confidence_sentence", "kernel_name", "kernel_source")  # of a report, for the file of results
NOISY = ("Gaussian 2", 5.0)  # this kernel with this noise in grey levels, and all kernels without any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="*", choices=SCENES, default=list(SCENES))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.machine()}, one thread, {time.strftime('%Y-%m-%d')}\n")
    print("| scene | kernel | gain, blind | gain, kernel given | confidence | cosine | looks like | a drawing |")
    print("|---|---|---|---|---|---|---|---|")
    settings, rows, sheet = Settings.preset("fast", device="cpu"), [], []
    for scene in chosen.scenes:
        sharp = SCENES[scene]()
        truth = (sharp[MARGIN:-MARGIN, MARGIN:-MARGIN] * 255).round().astype(np.uint8)
        for name, noise in [*((name, 0.0) for name in KERNELS), NOISY]:
            kernel = KERNELS[name]
            small = shrunk(sharp, kernel, noise)
            name = name if noise == 0 else f"{name}, noise of {noise:.0f}"
            plain = bicubic_enlargement(small, *truth.shape[:2])
            blind, given = super_resolve(small, settings), super_resolve(small, settings, kernel=kernel.numpy())
            gains = [psnr(each.image, truth) - psnr(plain, truth) for each in (blind, given)]
            cosine = cosine_similarity(torch.from_numpy(blind.kernel), kernel)
            report = blind.report
            print(
                f"| {scene} | {name} | {gains[0]:+.2f} | {gains[1]:+.2f} | {report['confidence']:.2f} | {cosine:.2f} | "
                f"{report['kernel_name'] or report['kernel_source']} | "
                f"{'yes' if 'drawing' in report['confidence_sentence'] else 'no'} |",
                flush=True,
            )
            told = {key: report[key] for key in TOLD}
            rows.append({"scene": scene, "kernel": name, "gains": gains, "cosine": cosine, "report": told})
            sheet.append([small, plain, blind.image, given.image, truth])
    print(
        "| **mean** | | "
        + " | ".join(f"{np.mean([row['gains'][i] for row in rows]):+.2f}" for i in (0, 1))
        + " | | | | |"
    )
    write_atomically(RESULTS / "drawings.json", lambda file: file.write(json.dumps(rows, indent=1).encode()))
    names = [f"{row['scene']}, {row['kernel']}" for row in rows]
    picture = contact_sheet(sheet, ["input", "bicubic", "blind", "kernel given", "truth"], names, height=96)
    write_picture(RESULTS / "drawings.jpg", Picture(picture))


if __name__ == "__main__":
    main()
