"""Values that a camera or a file could not hold: where they are, and how they are painted over."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

PLATEAU = 8  # so many values at the very end of the range, and twice as many as next to it, are taken for clipped
STEEP, STEEP_WITHIN = 0.5, 2  # difference, in units of the range from -1 to 1, and within how many pixels
NEARLY = 0.008  # in units of the range from -1 to 1, a grey level: so close to the end counts as at it
CLIPPED_REACH = 3  # LR pixels around a clipped value that its light may have reached
LEAST_KNOWN = 0.3  # of a photo that is left when clipped values are taken out


def clipped_values(pixels: Tensor) -> Tensor | None:
    """Where values pile up at the very end of the range: 1 at the upper, -1 at the lower end, else 0; None: nowhere.

    Only near steep edges, as of a lamp: the value may then have been far beyond the end. In a white sky or a black
    shadow it was not, and where there is noise too, to leave out what it lifted beyond the end would favour the rest.
    """
    marks = at_the_ends(pixels)
    if not bool(marks.any()):
        return None
    for colour in range(pixels.shape[1]):  # one at a time: a large photo has many values
        plane = pixels[:, colour : colour + 1]
        marks[:, colour : colour + 1] *= _highest_near(plane) + _highest_near(-plane) > STEEP
    return marks if bool(marks.any()) else None


def at_the_ends(pixels: Tensor) -> Tensor:
    """Where values pile up at the very end of the range: 1 at the upper, -1 at the lower end, else 0."""
    marks = torch.zeros_like(pixels)
    for colour in range(pixels.shape[1]):
        plane = pixels[:, colour : colour + 1]
        for sign in (1, -1):
            below = (sign * plane).amax() - sign * plane
            there = below <= NEARLY
            count, next_to = torch.count_nonzero(there), torch.count_nonzero((below > NEARLY) & (below <= 2 * NEARLY))
            if count >= PLATEAU and count >= 2 * next_to:
                marks[:, colour : colour + 1] += sign * there
    return marks


def _highest_near(plane: Tensor) -> Tensor:
    """The highest value within STEEP_WITHIN pixels of each of (1, 1, h, w)."""
    side, reach = 2 * STEEP_WITHIN + 1, STEEP_WITHIN
    tall = functional.max_pool2d(plane, (side, 1), stride=1, padding=(reach, 0))
    return functional.max_pool2d(tall, (1, side), stride=1, padding=(0, reach))


def painted_over(pixels: Tensor, clipped: Tensor) -> Tensor:
    """The pixels (1, 3, h, w) near clipped values replaced by the mean of what is known around them, as `unclipped`."""
    side = 2 * CLIPPED_REACH + 1
    near = functional.max_pool2d(clipped.abs().amax(1, keepdim=True), side, stride=1, padding=CLIPPED_REACH)
    known = 1 - near
    if float(known.mean()) < LEAST_KNOWN:  # a page of white paper, or a drawing
        return pixels
    filled, weight, side = pixels * known, known, 1
    while bool((weight == 0).any()):
        side = 2 * side + 1
        weight = functional.avg_pool2d(known, side, stride=1, padding=side // 2, count_include_pad=False)
        mean = functional.avg_pool2d(pixels * known, side, stride=1, padding=side // 2, count_include_pad=False)
        filled = torch.where(known > 0, pixels, torch.where(filled == 0, mean / weight.clamp_min(1e-6), filled))
    return filled
