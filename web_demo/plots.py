"""Pictures about a result, drawn with Pillow and numpy: kernels with a colour bar, bicubic enlargements, previews."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Anchors of a colour map from black through purple and orange to pale yellow, of evenly rising lightness, so that it
# also reads in grey and for the colour-blind.
_ANCHORS = np.array(
    [
        (0, 0, 6),
        (30, 12, 69),
        (87, 16, 110),
        (141, 35, 105),
        (188, 55, 84),
        (227, 90, 50),
        (249, 142, 9),
        (249, 201, 50),
    ]
    + [(252, 255, 200)]
)
_INK, _PAPER = (120, 120, 120, 255), (0, 0, 0, 0)  # read on white and on black


def colours(values: np.ndarray) -> np.ndarray:
    """(...) in [0, 1] -> (..., 3) uint8."""
    place = np.clip(values, 0, 1) * (len(_ANCHORS) - 1)
    channels = [np.interp(place, np.arange(len(_ANCHORS)), _ANCHORS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def kernel_colours(kernel: np.ndarray, side: int, highest: float | None = None) -> np.ndarray:
    """(K, K) -> about (side, side, 3) uint8, every tap a square. Zero is black, `highest` (or the largest tap) pale."""
    highest = highest or float(kernel.max()) or 1.0
    factor = max(1, side // len(kernel))
    return colours(kernel / highest).repeat(factor, axis=0).repeat(factor, axis=1)


def kernel_figure(
    kernel: np.ndarray,
    highest: float | None = None,
    side: int = 432,
    others: Sequence[tuple[np.ndarray, float]] = (),
) -> np.ndarray:
    """The kernel enlarged, with a colour bar from 0 to its largest tap and its size in pixels: (H, W, 4) uint8, whose
    ground is transparent.

    Args:
        others: kernels that were possible too, with their weights in 0..1: in a row below, of the same colours.
    """
    highest = highest or float(kernel.max()) or 1.0
    taps = kernel_colours(kernel, side, highest)
    size, gap, bar, top = len(taps), 20, 24, 56  # the page writes its own label over the top
    font = ImageFont.load_default(size=22)
    row = 190 if others else 0
    figure = Image.new("RGBA", (gap + size + gap + bar + 90, top + size + 52 + row), _PAPER)
    draw = ImageDraw.Draw(figure)
    figure.paste(Image.fromarray(taps), (gap, top))
    draw.rectangle((gap - 1, top - 1, gap + size, top + size), outline=_INK)
    left = gap + size + gap
    scale = colours(np.linspace(1, 0, size))[:, None].repeat(bar, axis=1)
    figure.paste(Image.fromarray(scale), (left, top))
    draw.rectangle((left - 1, top - 1, left + bar, top + size), outline=_INK)
    for share in (0, 0.5, 1):
        height = top + (1 - share) * (size - 1)
        draw.line((left + bar, height, left + bar + 5, height), fill=_INK)
        draw.text((left + bar + 9, height), f"{share * highest:.2g}", _INK, font, anchor="lm")
    label = f"{len(kernel)} x {len(kernel)} pixels of the large photo"
    draw.text((gap + size / 2, top + size + 14), label, _INK, font, anchor="ma")
    for place, (other, weight) in enumerate(others):
        small = kernel_colours(other, 120, highest)
        corner = (gap + place * (size - 120) // 2, top + size + 72)
        figure.paste(Image.fromarray(small), corner)
        draw.rectangle((corner[0] - 1, corner[1] - 1, corner[0] + len(small), corner[1] + len(small)), outline=_INK)
        draw.text((corner[0] + len(small) / 2, corner[1] + 130), f"or: {weight:.0%}", _INK, font, anchor="ma")
    return np.array(figure)


def map_figure(kernels: np.ndarray, side: int = 432) -> np.ndarray:
    """Kernels (R, C, K, K), each in its place, of the same colours: (H, W, 4) uint8, whose ground is transparent."""
    rows, columns, size, _ = kernels.shape
    gap, top = 6, 56  # the page writes its own label over the top
    step = max(1, side // (size * max(rows, columns))) * size + gap
    figure = Image.new("RGBA", (columns * step + gap, top + rows * step + gap), _PAPER)
    highest = float(kernels.max()) or 1.0
    for row in range(rows):
        for column in range(columns):
            taps = kernel_colours(kernels[row, column], step - gap, highest)
            figure.paste(Image.fromarray(taps), (gap + column * step, top + row * step))
    return np.array(figure)


def bicubic(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Ordinary enlargement of (h, w[, 3]) uint8: what the result is compared with."""
    picture = Image.fromarray(pixels)
    return np.array(picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC))


def data_url(pixels: np.ndarray, longest: int = 320) -> str:
    """A small picture inside the page itself, for the live view: no file is left behind."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest, longest))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
