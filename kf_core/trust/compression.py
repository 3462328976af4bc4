"""What JPEG has taken from a photo, by its pixels alone. Not in the paper.

JPEG rounds the DCT coefficients of each block of 8 x 8 pixels to multiples of a step that its quality sets. Once
decoded, the coefficients still lie near such multiples, if one cuts the blocks where the encoder did: the pixels alone
tell, the file may be long gone. Fine detail is rounded to zero, and its power spectrum then says nothing of the blur.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kf_core.photo import Photo
from kf_core.physics.grid import cut, informative_crop
from kf_core.progress import Monitor
from kf_core.trust.fitted import FITTED
from kf_core.trust.spectrum import DCT_BLOCK as BLOCK
from kf_core.trust.spectrum import grey_plane

LUMINANCE = (  # steps at quality 50, ITU-T T.81, table K.1; nearly every encoder scales these
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
QUALITIES = range(20, 96)  # above, the steps are hardly more than the rounding of pixels
PEAK = 5  # qualities on each side of the right one whose steps suit nearly as well
ERASED = 0.1  # a frequency is erased where a smaller share of its coefficients has not become zero


@dataclass(frozen=True)
class Compression:
    """What JPEG took from a photo.

    Attributes:
        noise: standard deviation, in grey levels of 127.5 to a unit of a photo's pixels, of the error that JPEG left.
        kept: (8, 8) bool, the frequencies of the DCT that it has not erased; None: all of them.
    """

    noise: float = 0.0
    kept: Tensor | None = None


def find_compression(photo: Photo, monitor: Monitor | None = None) -> Compression:
    """What JPEG took from a photo, by its most telling part. Raises Cancelled.

    Its steps are those of the file's own values, so the photo is taken back to these, clipped values as they are.
    """
    lr = cut(photo.as_shot, informative_crop(photo.pixels, FITTED.noise_crop)) * photo.unit
    quantised = quantised_blocks(lr, monitor)
    if quantised is None:
        return Compression()
    kept = share_left(*quantised) >= ERASED
    kept[:2, :2] = True  # of these a photo always has some
    return Compression(rounding_error(*quantised) / photo.unit, kept)


def quantisation_table(quality: int) -> Tensor:
    """(8, 8): what libjpeg divides the coefficients of brightness by at a quality of 1..100."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((torch.tensor(LUMINANCE) * scale + 50) // 100).clamp(1, 255).float()


def coefficients(grey: Tensor) -> Tensor:
    """(N, 8, 8): the orthonormal DCT of the whole blocks of (h, w)."""
    place, wave = torch.arange(BLOCK).float() + 0.5, torch.arange(BLOCK).float()
    basis = torch.cos(torch.pi / BLOCK * wave[:, None] * place[None]) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    return basis @ grey.unfold(0, BLOCK, BLOCK).unfold(1, BLOCK, BLOCK).reshape(-1, BLOCK, BLOCK) @ basis.T


def quantised_blocks(lr: Tensor, monitor: Monitor | None = None) -> tuple[Tensor, Tensor] | None:
    """The DCT (N, 8, 8) of the blocks that JPEG has cut (1, 3, h, w) into, and its steps (8, 8); None: it has not.

    A photo resized after it was compressed has no blocks left. Raises Cancelled.
    """
    monitor = monitor or Monitor()
    grey, tables = grey_plane(lr).float(), [quantisation_table(quality) for quality in QUALITIES]  # coarse ones first
    best, second, blocks, scores = -1.0, -1.0, grey[None], [0.0]  # second: where blocks could begin elsewhere
    for row in range(BLOCK):
        for column in range(BLOCK):
            monitor.check()
            cut_here = coefficients(grey[row:, column:])
            cut_here[:, 0, 0] = 0  # the mean of a block: 127.5 is subtracted here, 128 there
            found = [lattice_score(cut_here, step) for step in tables]
            if max(found) > best:
                best, second, blocks, scores = max(found), best, cut_here, found
            else:
                second = max(second, max(found))
    clear, faint = second + FITTED.lattice_lead, max(FITTED.lattice_faint, 2 * second)
    if best < faint and (best < FITTED.lattice or best < clear):
        return None
    # A JPEG that was saved again has the steps of both: the coarse ones took more.
    peaks = [score == max(scores[max(0, at - PEAK) : at + PEAK + 1]) for at, score in enumerate(scores)]
    return blocks, next(t for t, s, peak in zip(tables, scores, peaks, strict=True) if peak and s >= min(faint, best))


def lattice_score(blocks: Tensor, step: Tensor) -> float:
    """-1..1: how near the coefficients (N, 8, 8) that are not zero lie to multiples of `step` (8, 8): 1 if on them, 0
    if anywhere, and -1 where too few can tell."""
    speaks = (blocks.abs() > step / 2) & (step >= 3)
    if int(speaks.sum()) < FITTED.fewest_coefficients:
        return -1.0
    return float(torch.cos(2 * torch.pi * (blocks / step)[speaks]).mean())


def share_left(blocks: Tensor, step: Tensor) -> Tensor:
    """(8, 8): of the coefficients of each frequency, the share that rounding has not made zero."""
    return (blocks.abs() > step / 2).float().mean(0)


def rounding_error(blocks: Tensor, step: Tensor) -> float:
    """RMS of what rounding to multiples of `step` (8, 8) took from coefficients that are now `blocks` (N, 8, 8).

    A coefficient that became zero was one of a Laplace distribution, as wide as the rest of its frequency say.
    """
    nonzero = share_left(blocks, step).clamp(0, 0.99)
    laplace = 2 * (step / (2 * nonzero.log())).square()  # 0 for a frequency that is nowhere left
    lost = torch.minimum(laplace, step.square() / 12)
    return float(lost.mean().sqrt())
