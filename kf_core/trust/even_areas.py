"""White noise, as the even areas of a photo show it. Not in the paper."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Pixels per side of a block, and the degree of the surface that counts as even.
OF_PHOTOGRAPHS = (7, 2)  # skies and walls
OF_PAGES = (4, 1)  # what is between two lines of text
FLATTEST = 0.05  # share of the blocks
ENOUGH = 0.2  # share of the blocks that must be free of black and white for the others to be left out
BIAS = {OF_PHOTOGRAPHS: 0.777, OF_PAGES: 0.615}  # what the flattest make of white noise of 1 on 64 x 64 pixels
MOST_TERMS = ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (1, 1))  # exponents of row and column
TERMS = {1: MOST_TERMS[:3], 2: MOST_TERMS}


def flat_block_noise(planes: Tensor, block: tuple[int, int] = OF_PHOTOGRAPHS, cut_off: Tensor | None = None) -> float:
    """Standard deviation of white noise, from the flattest blocks of planes (N, h, w): the median of the planes.

    Up to a surface of low degree a block is even, the rest of its variance is noise; the least of many such values are
    too small by a factor that is known for noise alone.

    Args:
        cut_off: (h, w) bool, where noise is cut off because black or white is. Blocks that hold such a pixel do not
            count, if enough are left.
    """
    side, degree = block
    axis = torch.arange(side, dtype=planes.dtype) - (side - 1) / 2
    rows, columns = axis.repeat_interleave(side), axis.repeat(side)
    terms = [rows**down * columns**across for down, across in TERMS[degree]]
    basis = torch.linalg.qr(torch.stack(terms, dim=1))[0]
    counts = torch.ones(1, dtype=torch.bool)
    if cut_off is not None:
        counts = F.unfold(cut_off.cpu().to(planes.dtype)[None, None], side)[0].amax(0) == 0
    if float(counts.float().mean()) < ENOUGH:
        counts = torch.ones(1, dtype=torch.bool)
    found = []
    for plane in planes.cpu():
        blocks = F.unfold(plane[None, None], side)[0]
        rest = blocks.square().sum(0) - (basis.T @ blocks).square().sum(0)
        variances = (rest / (len(blocks) - len(terms))).clamp_min(0)[counts.expand(len(rest))].sort().values
        found.append(variances[: max(1, int(FLATTEST * len(variances)))].mean())
    return float(torch.stack(found).median().sqrt()) / BIAS[block]


def colour_differences(lr: Tensor) -> tuple[Tensor, bool]:
    """Planes (N, h, w) float64, in grey levels, that have the noise of (1, 3, h, w) and little of its texture, which is
    much alike in all colours; and whether there are colours: of a grey photo the one plane is itself."""
    red, green, blue = lr[0].double() * 127.5
    differences = torch.stack([red - green, blue - green, red - blue]) / math.sqrt(2)
    if float(differences.abs().max()) > 0:
        return differences, True
    return green[None], False
