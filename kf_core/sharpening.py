"""The unsharp mask with which cameras and programs sharpen a photo, and its undoing.

    sharpened = photo + share (photo - G photo),   G the mean over a Gaussian

No kernel without negative taps explains what it does, and one number does.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

RADIUS = 1.0  # standard deviation of G in LR pixels
REACH = 4
ITERATIONS = 40  # each leaves share / (1 + share) of the error


def sharpened(pixels: Tensor, share: float) -> Tensor:
    """(1, C, h, w) with an unsharp mask."""
    return pixels + share * (pixels - _mean(pixels))


def unsharpened(pixels: Tensor, share: float) -> Tensor:
    """(1, C, h, w) before it was `sharpened`.

    >>> photo = torch.rand(1, 3, 40, 40)
    >>> bool(torch.allclose(unsharpened(sharpened(photo, 0.8), 0.8), photo, atol=1e-5))
    True
    """
    found = pixels
    for _ in range(ITERATIONS):
        found = (pixels + share * _mean(found)) / (1 + share)
    return found


def transfer(height: int, width: int, share: float) -> Tensor:
    """What an unsharp mask multiplies the frequencies of torch.fft.fft2 with, (height, width) float64."""
    taps = _taps()
    rows, columns = (
        sum(tap * (2 * torch.pi * place * torch.fft.fftfreq(side).double()).cos() for place, tap in taps)
        for side in (height, width)
    )
    return 1 + share * (1 - rows[:, None] * columns[None])


def _taps() -> list[tuple[int, float]]:
    weights = [math.exp(-0.5 * (place / RADIUS) ** 2) for place in range(-REACH, REACH + 1)]
    return [(place, weight / sum(weights)) for place, weight in zip(range(-REACH, REACH + 1), weights, strict=True)]


def _mean(pixels: Tensor) -> Tensor:
    """G of (1, C, h, w), its edges repeated."""
    colours, side = pixels.shape[1], 2 * REACH + 1
    row = torch.tensor([weight for _, weight in _taps()]).to(pixels).expand(colours, 1, 1, side)
    padded = F.pad(pixels, (REACH,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, row, groups=colours), row.transpose(2, 3), groups=colours)
