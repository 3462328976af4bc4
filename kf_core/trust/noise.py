"""The noise of a photo: white noise, by its spectrum, and what JPEG has taken from it. Not in the paper."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.photo import Photo
from kf_core.physics.grid import cut, informative_crop
from kf_core.progress import Monitor
from kf_core.trust.compression import Compression, find_compression
from kf_core.trust.fitted import FITTED
from kf_core.trust.spectrum import Spectrum

FLAT_BLOCK = 7  # pixels per side
FLATTEST, FLATTEST_BIAS = 0.05, 0.777  # share of the blocks, and what they make of white noise of 1 on 64 x 64 pixels
CLIPPED_REACH = 3  # LR pixels around a clipped value that its light may have reached
LEAST_KNOWN = 0.3  # of a photo that is left when clipped values are taken out


def noise_level(
    photo: Photo,
    kernel: Tensor,
    scale: int,
    monitor: Monitor | None = None,
    compression: Compression | None = None,
) -> float:
    """Standard deviation, in grey levels, of the noise of a photo that `kernel` (K, K) shrank.

    Two measures: the power spectrum, whose end is flat where there is noise or the finest texture; and the flattest
    blocks of the differences between colours, as texture is much alike in all colours and noise is not (in a grey
    photo, the flattest blocks of the photo itself). What both see is noise, and what the spectrum sees beyond the
    texture of clean photos. To it comes what JPEG left. A large photo is judged by its most telling part, as the
    spectrum takes time and memory; clipped values are painted over. Raises Cancelled.

    Args:
        compression: what `find_compression` says of the photo; None: it is asked.
    """
    monitor = monitor or Monitor()
    lr = cut(without_clipped(photo), informative_crop(photo.pixels, FITTED.noise_crop))
    green = Spectrum(lr, scale, (0.0, 1.0, 0.0))  # an average of colours would have less noise than each of them
    green.fit_anisotropy(kernel, monitor)
    red, middle, blue = lr[0].double() * 127.5
    differences = torch.stack([red - middle, blue - middle, red - blue]) / math.sqrt(2)
    if float(differences.abs().max()) > 0:
        flat, texture = flat_block_noise(differences), FITTED.colour_texture
    else:
        flat, texture = flat_block_noise(middle[None]), FITTED.flat_texture
    seen = green.noise(kernel) ** 2  # texture included
    white = max(seen - FITTED.texture**2, min(seen, flat**2 - texture**2), 0.0)
    return math.sqrt(white + (compression or find_compression(photo, monitor)).noise ** 2)


def flat_block_noise(planes: Tensor) -> float:
    """Standard deviation of white noise, from the flattest blocks of planes (N, h, w): the median of the planes.

    A block is flat up to a parabola, the rest of its variance is noise; the least of many such values are too small by
    a factor that is known for noise alone (FLATTEST_BIAS).
    """
    axis = torch.arange(FLAT_BLOCK, dtype=planes.dtype) - (FLAT_BLOCK - 1) / 2
    down, across = axis.repeat_interleave(FLAT_BLOCK), axis.repeat(FLAT_BLOCK)
    terms = [torch.ones_like(down), down, across, down**2, across**2, down * across]
    basis = torch.linalg.qr(torch.stack(terms, dim=1))[0]
    found = []
    for plane in planes.cpu():
        blocks = F.unfold(plane[None, None], FLAT_BLOCK)[0]
        rest = blocks.square().sum(0) - (basis.T @ blocks).square().sum(0)
        variances = (rest / (len(blocks) - len(terms))).clamp_min(0).sort().values
        found.append(variances[: max(1, int(FLATTEST * len(variances)))].mean())
    return float(torch.stack(found).median().sqrt()) / FLATTEST_BIAS


def without_clipped(photo: Photo) -> Tensor:
    """The pixels (1, 3, h, w) with clipped values and what is near them painted over by their surroundings.

    A lamp is no texture and no noise, yet has as much of every frequency as white noise.
    """
    if photo.clipped is None:
        return photo.pixels
    side = 2 * CLIPPED_REACH + 1
    near = F.max_pool2d(photo.clipped.abs().amax(1, keepdim=True), side, stride=1, padding=CLIPPED_REACH)
    known = 1 - near
    if float(known.mean()) < LEAST_KNOWN:  # a page of white paper, or a drawing
        return photo.pixels
    filled, weight, side = photo.pixels * known, known, 1
    while bool((weight == 0).any()):
        side = 2 * side + 1
        weight = F.avg_pool2d(known, side, stride=1, padding=side // 2, count_include_pad=False)
        mean = F.avg_pool2d(photo.pixels * known, side, stride=1, padding=side // 2, count_include_pad=False)
        filled = torch.where(known > 0, photo.pixels, torch.where(filled == 0, mean / weight.clamp_min(1e-6), filled))
    return filled
