"""Pixels of the photo (LR) and of its enlargement (HR): resizing, shifting, cutting, and the part that tells most."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in grey, BT.601
Box = tuple[int, int, int, int]  # top, left, height, width
LARGE, COARSE = 4_000_000, 4  # pixels of a picture in which crops are looked for on a grid of so many pixels


def luma(image: Tensor, shares: Sequence[float] = LUMA) -> Tensor:
    """The grey plane (..., H, W) of an RGB image (..., 3, H, W), in its own values: BT.601, full range.

    Args:
        shares: of red, green and blue.
    """
    weights = torch.tensor(shares, dtype=image.dtype, device=image.device)
    return (image * weights[:, None, None]).sum(-3)


def bicubic(lr: Tensor, height: int, width: int, limits: tuple[float, float] = (-1.0, 1.0)) -> Tensor:
    """Ordinary bicubic enlargement, clamped to `limits`: the baseline, and the initial guess of line 5.

    a = -0.5 and half-pixel aligned, as in Pillow and MATLAB; torch has that only under antialias=True.
    """
    here = lr.cpu() if lr.device.type == "mps" else lr  # where some versions of torch lack it
    return F.interpolate(here, (height, width), mode="bicubic", antialias=True).clamp(*limits).to(lr.device)


def initial_guess(lr: Tensor, scale: int, margin: int = 0) -> Tensor:
    """LR (1, 3, h, w) enlarged bicubically, with `margin` more pixels on each side that repeat the edge."""
    guess = bicubic(lr, lr.shape[-2] * scale, lr.shape[-1] * scale)
    return F.pad(guess, (margin,) * 4, mode="replicate")


def shifted(image: Tensor, rows: int, columns: int) -> Tensor:
    """The image (..., H, W) moved down and right by whole pixels; what comes in repeats the edge."""
    height, width = image.shape[-2:]
    down = (torch.arange(height, device=image.device) - rows).clamp(0, height - 1)
    right = (torch.arange(width, device=image.device) - columns).clamp(0, width - 1)
    return image[..., down[:, None], right]


def inner(image: Tensor, margin: int) -> Tensor:
    """The image (..., H, W) without its outermost `margin` pixels."""
    return image[..., margin : image.shape[-2] - margin, margin : image.shape[-1] - margin]


def cut(image: Tensor, box: Box) -> Tensor:
    """The pixels (..., height, width) of a box."""
    top, left, height, width = box
    return image[..., top : top + height, left : left + width]


def crop_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width of the crop that informative_crop finds."""
    return min(height, side or height), min(width, side or width)


def informative_crop(lr: Tensor, side: int) -> Box:
    """The crop of (1, C, h, w), at most `side` wide and high, with most structure in both directions.

    Structure is the smaller eigenvalue of the gradients' structure tensor over the crop (Harris, Shi-Tomasi): flat
    areas and straight parallel edges say little about a kernel. side 0: the whole picture. In a large picture the crop
    begins at a multiple of COARSE pixels.
    """
    height, width = lr.shape[-2:]
    rows, columns = crop_size(height, width, side)
    if (rows, columns) == (height, width):
        return 0, 0, height, width
    grey = lr.mean(1, keepdim=True)
    dy, dx = grey[..., 1:, :-1] - grey[..., :-1, :-1], grey[..., :-1, 1:] - grey[..., :-1, :-1]
    tensor = torch.cat([dy * dy, dx * dx, dy * dx], dim=1)
    step = COARSE if height * width > LARGE else 1
    if step > 1:  # less memory, and as good a place
        tensor = F.avg_pool2d(tensor, step)
    yy, xx, xy = box_sums(tensor[0].double(), *(max(1, (side - 1) // step) for side in (rows, columns)))
    smaller = (yy + xx) / 2 - (((yy - xx) / 2).square() + xy.square()).sqrt()
    top, left = divmod(int(smaller.argmax()), smaller.shape[1])
    return min(step * top, height - rows), min(step * left, width - columns), rows, columns


def box_sums(planes: Tensor, rows: int, columns: int) -> Tensor:
    """The sum over every rows x columns window of (C, H, W), by running sums: no dearer for large windows."""
    sums = torch.zeros(planes.shape[0], planes.shape[1] + 1, planes.shape[2] + 1).to(planes)
    sums[:, 1:, 1:] = planes.cumsum(1).cumsum(2)
    tall = sums[:, rows:] - sums[:, :-rows]
    return tall[:, :, columns:] - tall[:, :, :-columns]
