"""What takes noise off an image, as the rest of the engine sees it. A new denoiser is one class with this interface."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from kf_core.progress import Monitor


class Denoiser(Protocol):
    """An estimate of the clean image from one with white noise.

    Attributes:
        reach: pixels around a pixel on which its estimate depends: tiles that overlap by so much give the same numbers
            as the whole image. None: the estimate depends on the whole image, which is never cut.
        multiple: height and width have to be multiples of it, and a tile must begin at one to get the same numbers.
    """

    @property
    def reach(self) -> int | None: ...

    @property
    def multiple(self) -> int: ...

    def __call__(self, noisy: Tensor, sigma: float) -> Tensor:
        """x_0 + sigma n, (B, 3, H, W) with x_0 in [-1, 1] and n standard Gaussian -> the estimate of x_0, the same."""
        ...


def denoise_tiled(
    denoiser: Denoiser, noisy: Tensor, sigma: float, tile: int, monitor: Monitor, turn: int = 0
) -> Tensor:
    """The denoiser's estimate for any size of image, with the memory of one tile.

    Args:
        noisy: (1, 3, H, W).
        tile: pixels per side that are estimated at a time.
        monitor: asked before every tile whether to stop.
        turn: quarter turns in which the denoiser sees the image; from 4 on it is mirrored before.
    """
    height, width = noisy.shape[-2:]
    if denoiser.reach is None:
        tile = max(height, width)
    reach = -(-(denoiser.reach or 0) // denoiser.multiple) * denoiser.multiple
    tile = max(1, tile // denoiser.multiple) * denoiser.multiple
    clean = torch.empty_like(noisy)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            monitor.check()
            y0, x0 = max(0, top - reach), max(0, left - reach)
            part = noisy[:, :, y0 : top + tile + reach, x0 : left + tile + reach]
            rows, columns = min(tile, height - top), min(tile, width - left)
            seen = turned(_extended(part, denoiser.multiple), turn)
            estimate = turned_back(denoiser(seen, sigma), turn)
            clean[:, :, top : top + rows, left : left + columns] = estimate[
                :, :, top - y0 : top - y0 + rows, left - x0 : left - x0 + columns
            ]
    return clean


def turned(image: Tensor, turn: int) -> Tensor:
    """Images (..., H, W) by `turn` quarter turns, 0..7; from 4 on mirrored before. Larger numbers begin anew."""
    mirrored = image.flip(-1) if turn % 8 >= 4 else image
    return mirrored.rot90(turn % 4, (-2, -1))


def turned_back(image: Tensor, turn: int) -> Tensor:
    """What `turned` was given."""
    mirrored = image.rot90(-(turn % 4), (-2, -1))
    return mirrored.flip(-1) if turn % 8 >= 4 else mirrored


def _extended(image: Tensor, multiple: int) -> Tensor:
    """The image with rows and columns repeated at its end, up to a multiple."""
    down, right = (-side % multiple for side in image.shape[-2:])
    return torch.nn.functional.pad(image, (0, right, 0, down), mode="replicate") if down or right else image
