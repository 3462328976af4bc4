"""The noise of a photo: white noise, by its spectrum, and what JPEG has taken from it. Not in the paper.

JPEG rounds the DCT coefficients of each block of 8 x 8 pixels to multiples of a step that its quality sets. Once
decoded, the coefficients still lie near such multiples, if one cuts the blocks where the encoder did: the pixels alone
tell, the file may be long gone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kf_core.physics.grid import cut, informative_crop
from kf_core.progress import Monitor
from kf_core.trust.fitted import FITTED
from kf_core.trust.spectrum import Spectrum, grey_plane

BLOCK = 8  # pixels per side
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


def noise_level(lr: Tensor, kernel: Tensor, scale: int, monitor: Monitor | None = None) -> float:
    """Standard deviation, in grey levels, of the noise of a photo (1, 3, h, w) that `kernel` (K, K) shrank.

    0 up to what the finest texture of a clean photo looks like, unless a JPEG left its steps. A large photo is judged
    by its most telling part, as the spectrum takes time and memory. Raises Cancelled.
    """
    monitor = monitor or Monitor()
    lr = cut(lr, informative_crop(lr, FITTED.noise_crop))
    green = Spectrum(lr, scale, (0.0, 1.0, 0.0))  # an average of colours would have less noise than each of them
    green.fit_anisotropy(kernel, monitor)
    white = max(0.0, green.noise(kernel) ** 2 - FITTED.texture**2)
    return math.sqrt(white + compression_noise(lr, monitor) ** 2)


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


def compression_noise(lr: Tensor, monitor: Monitor | None = None) -> float:
    """Standard deviation, in grey levels, of the error that JPEG left in (1, 3, h, w) in [-1, 1]; 0 if none is seen.

    A photo resized after it was compressed has no blocks left, and shows none. Raises Cancelled.
    """
    monitor = monitor or Monitor()
    grey, tables = grey_plane(lr).float(), {quality: quantisation_table(quality) for quality in QUALITIES}
    best, found, quality = FITTED.lattice, None, 0
    for row in range(BLOCK):
        for column in range(BLOCK):
            monitor.check()
            blocks = coefficients(grey[row:, column:])
            blocks[:, 0, 0] = 0  # the mean of a block: 127.5 is subtracted here, 128 there
            for tried, step in tables.items():
                speaks = (blocks.abs() > step / 2) & (step >= 3)
                if int(speaks.sum()) >= FITTED.fewest_coefficients:
                    score = float(torch.cos(2 * torch.pi * blocks / step)[speaks].mean())
                    if score > best:
                        best, found, quality = score, blocks, tried
    return 0.0 if found is None else rounding_error(found, tables[quality])


def rounding_error(blocks: Tensor, step: Tensor) -> float:
    """RMS of what rounding to multiples of `step` (8, 8) took from coefficients that are now `blocks` (N, 8, 8).

    A coefficient that became zero was one of a Laplace distribution, as wide as the rest of its frequency say.
    """
    nonzero = (blocks.abs() > step / 2).float().mean(0).clamp(0, 0.99)
    laplace = 2 * (step / (2 * nonzero.log())).square()  # 0 for a frequency that is nowhere left
    lost = torch.minimum(laplace, step.square() / 12)
    return float(lost.mean().sqrt())
