"""The part of the photo that tells most about its kernel."""

from __future__ import annotations

import torch
from torch import Tensor


def informative_crop(lr: Tensor, side: int) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the crop, at most `side` wide and high, with most structure in both directions.

    Structure is the smaller eigenvalue of the gradients' structure tensor over the crop (Harris, Shi-Tomasi): flat
    areas and straight parallel edges say little about a kernel. side 0: the whole picture.
    """
    height, width = lr.shape[-2:]
    if not side or (height <= side and width <= side):
        return 0, 0, height, width
    rows, columns = min(side, height), min(side, width)
    grey = lr.mean(1, keepdim=True)
    dy, dx = grey[..., 1:, :-1] - grey[..., :-1, :-1], grey[..., :-1, 1:] - grey[..., :-1, :-1]
    tensor = torch.cat([dy * dy, dx * dx, dy * dx], dim=1)
    yy, xx, xy = box_sums(tensor[0].double(), rows - 1, columns - 1)
    smaller = (yy + xx) / 2 - (((yy - xx) / 2).square() + xy.square()).sqrt()
    top, left = divmod(int(smaller.argmax()), smaller.shape[1])
    return top, left, rows, columns


def box_sums(planes: Tensor, rows: int, columns: int) -> Tensor:
    """The sum over every rows x columns window of (C, H, W), by running sums: no dearer for large windows."""
    sums = torch.zeros(planes.shape[0], planes.shape[1] + 1, planes.shape[2] + 1).to(planes)
    sums[:, 1:, 1:] = planes.cumsum(1).cumsum(2)
    tall = sums[:, rows:] - sums[:, :-rows]
    return tall[:, :, columns:] - tall[:, :, :-columns]


def crop_pixels(lr: Tensor, side: int) -> int:
    """Pixels of the crop that the kernel is sought on."""
    height, width = lr.shape[-2:]
    return min(height, side or height) * min(width, side or width)
