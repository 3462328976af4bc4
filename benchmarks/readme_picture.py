"""The picture at the top of README: `python -m benchmarks.readme_picture`

One case of the final split (benchmarks/split.py), whose gain is near the mean of all: photo, bicubic enlargement,
result, and the recovered kernel beside the true one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from benchmarks import split
from benchmarks.rivals.plain import bicubic
from kf_core import Settings, super_resolve
from kf_core.physics.kernel import cosine_similarity
from kf_core.scores import psnr

CASE, PART, SIDE = 4, 256, 352  # of the large picture PART pixels a side are shown, each picture SIDE wide
PATH = Path(__file__).parents[1] / "docs" / "images" / "first.png"


def shown(pixels: np.ndarray, method: Image.Resampling) -> Image.Image:
    return Image.fromarray(pixels).convert("RGB").resize((SIDE, SIDE), method)


def as_grey(kernel: np.ndarray) -> np.ndarray:
    return (kernel / kernel.max() * 255).round().astype(np.uint8)


def main() -> None:
    case = split.fresh(CASE)
    found = super_resolve(case.lr, Settings.preset("fast"))
    height, width = case.hr.shape[:2]
    plain = bicubic(case.lr, 4).image
    assert plain is not None
    top, left = (height - PART) // 2, (width - PART) // 2
    part = (slice(top, top + PART), slice(left, left + PART))
    small = case.lr[top // 4 : (top + PART) // 4, left // 4 : (left + PART) // 4]
    nearest, smooth = Image.Resampling.NEAREST, Image.Resampling.BICUBIC
    pictures = [
        ("small photo", shown(small, nearest)),
        ("bicubic", shown(plain[part], smooth)),
        ("KernelFusion", shown(found.image[part], smooth)),
        ("its kernel", shown(as_grey(found.kernel), nearest)),
        ("true kernel", shown(as_grey(case.kernel), nearest)),
    ]
    gap, head = 8, 40
    sheet = Image.new("RGB", (len(pictures) * (SIDE + gap) - gap, SIDE + head), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=24)
    for number, (title, picture) in enumerate(pictures):
        sheet.paste(picture, (number * (SIDE + gap), head))
        draw.text((number * (SIDE + gap) + SIDE / 2, 4), title, "black", font, anchor="ma")
    sheet.save(PATH, optimize=True)
    gain = psnr(found.image, case.hr) - psnr(plain, case.hr)
    cosine = cosine_similarity(torch.from_numpy(found.kernel), torch.from_numpy(case.kernel))
    print(f"{case.name}: {gain:+.2f} dB, cosine {cosine:.3f}, {PATH.name} of {sheet.width} x {sheet.height}")


if __name__ == "__main__":
    main()
