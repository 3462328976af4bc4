"""Pictures about a result: kernels, side-by-side sheets and contact sheets, as uint8 arrays drawn with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

_PAPER, _INK, _FAINT, _LINE = (252, 252, 252), (34, 34, 34), (110, 110, 110), (190, 190, 190)


def kernel_picture(kernel: np.ndarray, side: int = 256) -> np.ndarray:
    """A kernel (K, K) as a grey picture (side', side') uint8, side' the last multiple of K up to `side`, or K.

    Zero is black and the largest tap white; if there are negative taps, the lowest is black and zero is not.
    """
    taps = np.nan_to_num(np.asarray(kernel, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = min(0.0, taps.min()), taps.max()
    scaled = (taps - low) / (high - low) if high > low else np.zeros_like(taps)
    factor = max(1, side // len(taps))
    return np.round(scaled * 255).astype(np.uint8).repeat(factor, axis=0).repeat(factor, axis=1)


def kernels_picture(kernels: np.ndarray, side: int = 768) -> np.ndarray:
    """Kernels (R, C, K, K) in their places, as a grey picture uint8 about `side` pixels along its longer side.

    Zero is black and the largest tap of all of them white: how bright they are can be compared.
    """
    rows, columns, size, _ = kernels.shape
    gap = max(1, size // 12)
    sheet = np.full((rows * (size + gap) + gap, columns * (size + gap) + gap), np.nan)
    for row in range(rows):
        for column in range(columns):
            top, left = gap + row * (size + gap), gap + column * (size + gap)
            sheet[top : top + size, left : left + size] = kernels[row, column]
    lines = np.isnan(sheet)
    taps = np.clip(np.where(lines, 0, sheet) / max(float(np.max(kernels)), 1e-12), 0, 1)
    factor = max(1, side // max(sheet.shape))
    picture = np.where(lines, 96, np.round(taps * 255)).astype(np.uint8)
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def side_by_side(
    lr: np.ndarray, bicubic: np.ndarray, result: np.ndarray, kernel: np.ndarray, *, title: str = ""
) -> np.ndarray:
    """One sheet (H, W, 3) uint8 with the panels input, bicubic, result and recovered kernel, labelled.

    Args:
        lr, bicubic, result: (h, w) or (h, w, 3) uint8. `lr` is enlarged to the size of `result` with its pixels seen.
        kernel: (K, K) float, enlarged to the height of `result`.
        title: a line above the panels.
    """
    height, size = len(result), len(kernel)
    panels = [
        (_fit(lr, height, result.shape[1]), "input"),
        (_fit(bicubic, height, result.shape[1]), "bicubic"),
        (_fit(result, height, result.shape[1]), "result"),
        (_fit(kernel_picture(kernel, size), height, height), f"recovered kernel {size} x {size}"),
    ]
    text = _text_size(height)
    widths = [max(panel.width, _text_width(label, text)) for panel, label in panels]
    gap, top = text, text + (2 * text if title else 0)
    sheet, draw = _sheet(max(sum(widths) + gap * 5, _text_width(title, text) + 2 * gap), top + height + 5 * text // 2)
    draw.text((gap, top - text // 2), title, _INK, _font(text), anchor="ls")
    left = gap
    for (panel, label), width in zip(panels, widths, strict=True):
        _paste(sheet, panel, left + (width - panel.width) // 2, top)
        draw.text((left + width / 2, top + height + text // 2), label, _FAINT, _font(text), anchor="ma")
        left += width + gap
    return np.array(sheet)


def sheet_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) at least of the sheet that side_by_side makes of a result (height, width)."""
    text = _text_size(height)
    return text + height + 5 * text // 2, 3 * width + height + 5 * text


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray | None]],
    headings: Sequence[str],
    labels: Sequence[str],
    *,
    height: int | None = None,
) -> np.ndarray:
    """A grid (H, W, 3) uint8: one row per case, its label at the left, and one column per heading.

    Args:
        rows: cells (h, w) or (h, w, 3) uint8, or a kernel (K, K) float, or None for an empty cell.
        headings: one per column.
        labels: one per row.
        height: of every cell; None: that of the tallest picture. Enlarged cells show their pixels.

    Raises ValueError if the numbers of cells, headings and labels do not agree.
    """
    if not rows or not headings or len(labels) != len(rows) or any(len(row) != len(headings) for row in rows):
        raise ValueError(f"{len(rows)} rows of {[len(row) for row in rows]} cells do not suit headings and labels")
    arrays = [cell for row in rows for cell in row if cell is not None]
    height = height or max((len(cell) for cell in arrays if cell.dtype == np.uint8), default=256)
    cells = [[None if cell is None else _cell(cell, height) for cell in row] for row in rows]
    text = _text_size(height)
    gap = max(4, text // 2)
    widths = [
        max([_text_width(heading, text), *(cell.width for row in cells if (cell := row[column]) is not None)])
        for column, heading in enumerate(headings)
    ]
    margin = 2 * gap + max(_text_width(label, text) for label in labels)
    lefts = [margin + sum(widths[:column]) + (column + 1) * gap for column in range(len(headings))]
    top = gap + 2 * text
    sheet, draw = _sheet(lefts[-1] + widths[-1] + 2 * gap, top + len(rows) * (height + gap) + gap)
    for left, width, heading in zip(lefts, widths, headings, strict=True):
        draw.text((left + width / 2, top - text // 2), heading, _INK, _font(text), anchor="ms")
    for row, label in zip(cells, labels, strict=True):
        draw.text((margin, top + height / 2), label, _INK, _font(text), anchor="rm")
        for left, width, cell in zip(lefts, widths, row, strict=True):
            if cell is not None:
                _paste(sheet, cell, left + (width - cell.width) // 2, top)
        top += height + gap
    return np.array(sheet)


def _cell(array: np.ndarray, height: int) -> Image.Image:
    if array.dtype != np.uint8:
        array = kernel_picture(array, len(array))
    return _fit(array, height, max(1, round(array.shape[1] * height / array.shape[0])))


def _fit(array: np.ndarray, height: int, width: int) -> Image.Image:
    """Enlarged pixels stay squares with sharp edges; reduced ones are averaged."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(array)).convert("RGB")
    if picture.size == (width, height):
        return picture
    enlarged = width >= picture.width and height >= picture.height
    return picture.resize((width, height), Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX)


def _sheet(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    from PIL import Image, ImageDraw

    sheet = Image.new("RGB", (width, height), _PAPER)
    return sheet, ImageDraw.Draw(sheet)


def _paste(sheet: Image.Image, panel: Image.Image, left: int, top: int) -> None:
    """With a hairline around it, so that a bright picture ends visibly. The line lies outside the picture."""
    from PIL import ImageDraw

    box = (left - 1, top - 1, left + panel.width, top + panel.height)
    ImageDraw.Draw(sheet).rectangle(box, outline=_LINE)
    sheet.paste(panel, (left, top))


def _text_size(height: int) -> int:
    """In pixels, for panels of this height."""
    return min(48, max(12, height // 24))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def _text_width(text: str, size: int) -> int:
    return int(_font(size).getlength(text)) + 1
