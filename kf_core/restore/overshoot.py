"""Overshoot at strong edges: the dark and bright seams beside letters and lamps that a wrong kernel or noise leaves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.physics.grid import bicubic

REACH = 2  # LR pixels around a pixel whose values limit it
STRONG = 1.0  # their least contrast, of 2 from black to white: below, detail may be far brighter than its blur
BEYOND = 0.25  # of the contrast: how far a pixel may go beyond the values around it, as a thin stroke is paler blurred
BEYOND_PLATEAU = 0.05  # the same where the end is a plateau, as paper is between letters: its true value is seen
LEVEL = 0.15  # of the contrast: so near to the end, for a LR pixel on all sides, is a plateau


def without_overshoot(image: Tensor, lr: Tensor) -> Tensor:
    """The image (1, 3, h s, w s), near strong edges no darker and no brighter than the plain enlargement of `lr`
    (1, 3, h, w) around it, and a little more."""
    height, width = image.shape[-2:]
    scale = height // lr.shape[-2]
    plain = bicubic(lr, height, width, limits=(-torch.inf, torch.inf))
    (brightest, even_bright), (negated, even_dark) = (_end(each, scale) for each in (plain, -plain))
    darkest = -negated
    contrast = brightest - darkest
    strong = contrast > STRONG

    def beyond(end: Tensor, plateau: Tensor) -> Tensor:
        share = torch.where((end - plateau).abs() < LEVEL * contrast, BEYOND_PLATEAU, BEYOND)
        return torch.where(strong, share * contrast, torch.inf)

    least, most = darkest - beyond(darkest, -even_dark), brightest + beyond(brightest, even_bright)
    return torch.minimum(torch.maximum(image, least), most)


def _end(image: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """The largest value near each pixel, and the largest that a whole neighbourhood reaches."""
    lowest_around = -_largest(-image, scale)
    return _largest(image, REACH * scale), _largest(lowest_around, REACH * scale)


def _largest(image: Tensor, reach: int) -> Tensor:
    """The largest value within `reach` rows and columns of each pixel."""
    side = 2 * reach + 1
    padded = F.pad(image, (reach,) * 4, mode="replicate")
    rows = F.max_pool2d(padded, (side, 1), stride=1)
    return F.max_pool2d(rows, (1, side), stride=1)
