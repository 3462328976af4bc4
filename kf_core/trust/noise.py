"""The noise of a photo: white noise, by its spectrum, and what JPEG has taken from it. Not in the paper."""

from __future__ import annotations

import math

from torch import Tensor

from kf_core.clipped import at_the_ends
from kf_core.photo import Photo
from kf_core.physics.grid import informative_crop
from kf_core.progress import Monitor
from kf_core.trust.compression import Compression, find_compression
from kf_core.trust.even_areas import OF_PAGES, colour_differences, flat_block_noise
from kf_core.trust.fitted import FITTED
from kf_core.trust.looks import looks_drawn
from kf_core.trust.spectrum import Spectrum

LEAST_FREE = 0.3  # share of the photo that is taken to be neither black nor white, however little it is


def noise_level(
    photo: Photo,
    kernel: Tensor,
    scale: int,
    monitor: Monitor | None = None,
    compression: Compression | None = None,
) -> float:
    """Standard deviation, in grey levels, of the noise of a photo that `kernel` (K, K) shrank.

    White noise, and what JPEG left. A large photo is judged by its most telling part, as the spectrum takes time and
    memory. Raises Cancelled.

    Args:
        compression: what `find_compression` says of the photo; None: it is asked.
    """
    monitor = monitor or Monitor()
    box = informative_crop(photo.pixels, FITTED.noise_crop)
    part = photo if box == photo.whole else photo.cut(box)
    white = page_noise(part) if looks_drawn(part) else photograph_noise(part, kernel, scale, monitor)
    return math.hypot(white, (compression or find_compression(photo, monitor)).noise)


def photograph_noise(photo: Photo, kernel: Tensor, scale: int, monitor: Monitor) -> float:
    """White noise of a photograph. Raises Cancelled.

    Two measures: the power spectrum, whose end is flat where there is noise or the finest texture; and the flattest
    blocks of the differences between colours, as texture is much alike in all colours and noise is not (in a grey
    photo, the flattest blocks of the photo itself). What both see is noise, and what the spectrum sees beyond the
    texture of clean photos. Clipped values are painted over. Where a sky is as white as the file can hold, its noise is
    cut off: such places are left out of the blocks, and of the area that the spectrum's noise is spread over.
    """
    lr = photo.unclipped
    cut_off = at_the_ends(photo.pixels)[0] != 0
    green = Spectrum(lr, scale, (0.0, 1.0, 0.0))  # an average of colours would have less noise than each of them
    green.fit_anisotropy(kernel, monitor)
    planes, coloured = colour_differences(lr)
    flat = flat_block_noise(planes, cut_off=cut_off.any(0))
    texture = FITTED.colour_texture if coloured else FITTED.flat_texture
    free = max(1 - float(cut_off[1].float().mean()), LEAST_FREE)
    seen = green.noise(kernel) ** 2  # texture included
    return math.sqrt(max(seen - FITTED.texture**2, min(seen / free, flat**2 - texture**2), 0.0))


def page_noise(photo: Photo) -> float:
    """White noise of text, of a drawing or a screenshot, by what is even between its lines: edges that no blur has
    softened have the spectrum of noise."""
    return flat_block_noise(colour_differences(photo.pixels)[0], OF_PAGES)
