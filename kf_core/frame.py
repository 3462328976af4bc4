"""The frame around a photo: a scan's white border, the black bars of a film, a thin black line. It was not blurred with
the photo, so it must not count where the photo is explained by a kernel."""

from __future__ import annotations

import numpy as np

from kf_core.pixels import quantiles
from kf_core.settings import SMALLEST

Frame = tuple[int, int, int, int]  # rows at the top and at the bottom, columns at the left and at the right
NO_FRAME: Frame = (0, 0, 0, 0)

# In units of the range that nearly all values of the picture fill.
NEAR_THE_ENDS = (0.1, 0.85)  # below is black, above is white
EVEN = 0.025  # mean difference of a line of a black or white frame from its colour: JPEG's, a scanner's
VERY_EVEN = 0.008  # the same of a frame of any colour: water and skies are less even
JUMP = 0.08  # difference of a pixel of the photo from the frame beside it
TAIL = 0.002  # share of the values at each end that do not decide the range

MOST_OF_A_LINE = 0.7  # jumps where the frame ends: not where the top of a head begins
SOME_OF_A_LINE = 0.3  # enough where another side of the frame has the same colour
ABRUPT, FEW_LINES = 0.6, 6  # share of the largest difference within so many lines that is reached in two
MIXED = 0.6  # a line that differs from the frame by less than this share of what the next does holds some of both
NESTED = 4  # frames within frames that are looked for
LEAST_LEFT = 1 / 3  # of the height and of the width


def find_frame(values: np.ndarray) -> Frame:
    """Even lines at the edges of (C, H, W), in any units, that end abruptly along most of their length.

    A sky or a white page is no frame: what it ends at begins here and there. At least SMALLEST pixels are left.
    """
    low, high = quantiles(values, TAIL, 1 - TAIL)
    if high <= low:
        return NO_FRAME
    values = np.subtract(values, low, dtype=np.float32)
    values /= high - low
    found = NO_FRAME
    for _ in range(NESTED):
        inner = without_frame(values, found)
        widths = _outermost(inner)
        if widths == NO_FRAME:
            break
        wider = _sum(found, widths)
        left = (values.shape[1] - wider[0] - wider[1], values.shape[2] - wider[2] - wider[3])
        if any(side < max(SMALLEST, LEAST_LEFT * whole) for side, whole in zip(left, values.shape[1:], strict=True)):
            break
        found = wider
    return found


def without_frame(pixels: np.ndarray, frame: Frame) -> np.ndarray:
    """(..., H, W) less the frame."""
    top, bottom, left, right = frame
    return pixels[..., top : pixels.shape[-2] - bottom, left : pixels.shape[-1] - right]


def _outermost(values: np.ndarray) -> Frame:
    """The frame around (C, H, W) that has one colour on each side."""
    turned = values.transpose(0, 2, 1)
    sides = [values, values[:, ::-1], turned, turned[:, ::-1]]
    even = [_even_lines(side) for side in sides]
    across = [(even[2], even[3])] * 2 + [(even[0], even[1])] * 2  # what the sides beside it take from each line
    ends = [_end(side, lines, beside) for side, lines, beside in zip(sides, even, across, strict=True)]
    colours = [np.median(side[:, 0], axis=-1) for side in sides]
    sure = [colour for colour, (_, share) in zip(colours, ends, strict=True) if share >= MOST_OF_A_LINE]
    top, bottom, left, right = (
        lines
        if share >= MOST_OF_A_LINE
        or (share >= SOME_OF_A_LINE and any(np.abs(colour - other).max() < EVEN for other in sure))
        else 0
        for colour, (lines, share) in zip(colours, ends, strict=True)
    )
    return top, bottom, left, right


def _even_lines(side: np.ndarray) -> int:
    """How many of the first lines of (C, lines, length) have the colour of the first; 0 if all have."""
    colour = np.median(side[:, 0], axis=-1)[:, None, None]
    at_an_end = colour.max() < NEAR_THE_ENDS[0] or colour.min() > NEAR_THE_ENDS[1]
    uneven = np.abs(side - colour).mean((0, 2)) > (EVEN if at_an_end else VERY_EVEN)
    return int(uneven.argmax()) if uneven.any() else 0


def _end(side: np.ndarray, lines: int, across: tuple[int, int]) -> tuple[int, float]:
    """The lines of the frame, `lines` and perhaps one that holds some of both; and which share of a line jumps there.

    The first and the last pixels of a line, as many as `across` says, are other sides of the frame.
    """
    begins = side[:, lines : lines + FEW_LINES, across[0] : side.shape[2] - across[1]]
    if lines == 0 or begins.shape[1] < FEW_LINES or begins.shape[2] == 0:
        return 0, 0.0
    begins = np.abs(begins - np.median(side[:, 0], axis=-1)[:, None, None]).max(0)
    means = begins.mean(1)
    if means[:2].max() < ABRUPT * means.max():  # blurred: the shore of a lake
        return 0, 0.0
    return lines + int(means[0] < MIXED * means[1]), float((begins[1] > JUMP).mean())


def _sum(one: Frame, other: Frame) -> Frame:
    top, bottom, left, right = (a + b for a, b in zip(one, other, strict=True))
    return top, bottom, left, right
