"""Correlations of all pairs of feature maps over a half plane of lags, averaged over the photo.

    C_ij(dy, dx) = mean over p of z_i(p) z_j(p + (dy, dx)),   dy = 0..REACH, dx = -REACH..REACH

each z without its mean. The other half plane is C_ij(-l) = C_ji(l). Along the rows the sums go through the discrete
Fourier transform, down the columns they are matrix products, photo by photo: for a dozen or two maps a CPU does that
several times faster than two-dimensional transforms of every pair.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

REACH = 6  # LR pixels


def correlations(maps: Tensor) -> Tensor:
    """(B, M, h, w) -> (B, REACH + 1, 2 REACH + 1, M M); h and w greater than REACH."""
    batch, count, height, width = maps.shape
    forth, back = _transforms(width, maps.device)
    centred = (maps - maps.mean((2, 3), keepdim=True)).reshape(batch, count * height, width)
    spectra = torch.matmul(forth, centred.transpose(1, 2))
    sums = _LagSums.apply(spectra.reshape(batch, -1, 2 * count, height), back)
    lags = torch.arange(-REACH, REACH + 1, device=maps.device)
    overlap = (height - lags[REACH:, None]) * (width - lags.abs()[None, :])
    return sums / overlap[..., None]


def _transforms(width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """From a row to its F frequencies, real and imaginary parts in turn: (2 F, width); and from a cross spectrum, all
    real parts first, to the lags: (2 REACH + 1, 2 F)."""
    period = width + REACH
    frequency = torch.arange(period // 2 + 1, device=device, dtype=torch.float64)
    at = torch.arange(width, device=device, dtype=torch.float64)
    angle = 2 * math.pi / period * frequency[:, None] * at[None, :]
    forth = torch.stack([angle.cos(), -angle.sin()], 1).flatten(0, 1)
    weight = torch.full_like(frequency, 2 / period)
    weight[0] = 1 / period
    if period % 2 == 0:
        weight[-1] = 1 / period
    lag = torch.arange(-REACH, REACH + 1, device=device, dtype=torch.float64)
    angle = 2 * math.pi / period * lag[:, None] * frequency[None, :]
    back = torch.cat([angle.cos() * weight, -angle.sin() * weight], 1)
    return forth.float(), back.float()


class _LagSums(torch.autograd.Function):
    """Row spectra (B, F, 2 M, h), of each frequency the M real parts before the imaginary ones, and `back` to the sums
    (B, REACH + 1, 2 REACH + 1, M M)."""

    @staticmethod
    def forward(ctx: Any, spectra: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(spectra, back)
        batch, frequencies, both, height = spectra.shape
        m = both // 2
        cross = spectra.new_empty(2, frequencies, m, m)
        out = spectra.new_empty(batch, REACH + 1, 2 * REACH + 1, m * m)
        for photo, sums in zip(spectra, out, strict=True):
            for lag in range(REACH + 1):
                products = torch.bmm(photo[..., : height - lag], photo[..., lag:].transpose(1, 2))
                torch.add(products[:, :m, :m], products[:, m:, m:], out=cross[0])
                torch.sub(products[:, :m, m:], products[:, m:, :m], out=cross[1])
                torch.mm(back, cross.reshape(2 * frequencies, m * m), out=sums[lag])
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        spectra, back = ctx.saved_tensors
        batch, frequencies, both, height = spectra.shape
        m = both // 2
        products = spectra.new_empty(frequencies, both, both)
        out = torch.zeros_like(spectra)
        for photo, given, result in zip(spectra, gradient.contiguous(), out, strict=True):
            for lag in range(REACH + 1):
                real, imaginary = torch.mm(back.T, given[lag]).reshape(2, frequencies, m, m)
                products[:, :m, :m] = real
                products[:, m:, m:] = real
                products[:, :m, m:] = imaginary
                torch.neg(imaginary, out=products[:, m:, :m])
                result[..., : height - lag] += torch.bmm(products, photo[..., lag:])
                result[..., lag:] += torch.bmm(products.transpose(1, 2), photo[..., : height - lag])
        return out, None
