"""Blind deblurring of the bicubic enlargement by a prior of few gradients: alternation of an image with an l0-smoothed
gradient and of a kernel by least squares, from coarse to fine (Xu, Zheng, Jia, CVPR 2013; Pan et al., CVPR 2014).

Its own finish is a deconvolution with a prior of sparse gradients (Krishnan and Fergus, NeurIPS 2009) by the kernel it
found, which explains the enlargement; that includes the bicubic's own blur.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.rivals.base import SIZE, Outcome, on_our_grid
from benchmarks.rivals.plain import bicubic
from kf_core.physics.kernel import centre

LEVELS, ROUNDS = (0.25, 0.35, 0.5, 0.71, 1.0), 5
SPARSITY, SMALLEST, RIDGE = 0.002, 0.002, 2.0
DECONVOLUTION, BORDER = 0.5, 40


def sparse_gradients(lr: np.ndarray, scale: int) -> Outcome:
    image = bicubic(lr, scale).image
    assert image is not None
    colour = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)
    colour = F.pad(colour, (BORDER,) * 4, mode="reflect")  # spectra take the image for one that goes round
    grey = colour.mean(0)
    full = SIZE + 7  # the enlargement's own blur besides
    kernel = torch.zeros(3, 3)
    kernel[1, 1:] = 0.5
    for level in LEVELS:
        size = max(3, round(full * level) // 2 * 2 + 1)
        photo = F.interpolate(grey[None, None], scale_factor=level, mode="bilinear", antialias=True)[0, 0]
        kernel = F.interpolate(kernel[None, None], (size, size), mode="bilinear")[0, 0]
        kernel = kernel / kernel.sum()
        for _ in range(ROUNDS):
            kernel = fitted(few_gradients(photo, kernel, SPARSITY), photo, size)
    kernel = centred(kernel)  # or the image would be moved by as much
    sharp = torch.stack([deconvolved(plane, kernel, DECONVOLUTION) for plane in colour])
    sharp = sharp[:, BORDER:-BORDER, BORDER:-BORDER]
    result = (sharp.clamp(0, 1).permute(1, 2, 0) * 255).round().byte().numpy()
    return Outcome(result, on_our_grid(kernel.flip(0, 1).numpy()))  # of the convolution -> as the benchmark's


def few_gradients(photo: Tensor, kernel: Tensor, weight: float) -> Tensor:
    """argmin |k * x - photo|^2 + weight |grad x|_0 by splitting, with a coupling that doubles."""
    spectra = _Spectra(photo.shape, kernel)
    x, coupling = photo, 2 * weight
    while coupling < 1e3 * weight:
        across, down = _gradient(x)
        kept = (across**2 + down**2 > weight / coupling).float()
        x = spectra.solve(photo, across * kept, down * kept, coupling)
        coupling *= 2
    return x


def fitted(x: Tensor, photo: Tensor, size: int) -> Tensor:
    """The kernel (size, size) between the large gradients of x and those of the photo, not negative, of sum 1."""
    across, down = _gradient(x)
    kept = (across**2 + down**2 > SMALLEST).float()
    above, below = 0.0, 0.0
    for mine, its in zip((across * kept, down * kept), _gradient(photo), strict=True):
        spectrum = torch.fft.rfft2(mine)
        above = above + spectrum.conj() * torch.fft.rfft2(its)
        below = below + spectrum.abs().square()
    wide = torch.fft.irfft2(above / (below + RIDGE), s=photo.shape)
    half = size // 2
    kernel = wide.roll((half, half), (0, 1))[:size, :size].clamp_min(0)
    kernel = torch.where(kernel < 0.05 * kernel.max(), 0.0, kernel)
    total = float(kernel.sum())
    return kernel / total if total > 0 else _point(size)


def deconvolved(photo: Tensor, kernel: Tensor, weight: float) -> Tensor:
    """argmin |k * x - photo|^2 + weight |grad x|^(2/3), the power by reweighting of the split gradients."""
    spectra = _Spectra(photo.shape, kernel)
    x = photo
    for coupling in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0):
        split = [_shrunk(g, coupling) for g in _gradient(x)]
        x = spectra.solve(photo, *split, weight * coupling)
    return x


def _shrunk(gradient: Tensor, coupling: float) -> Tensor:
    """Towards zero, small ones more: one step of the reweighted minimisation of |w|^(2/3) + coupling / 2 |w - g|^2."""
    size = gradient.abs().clamp_min(1e-4)
    return gradient * (1 - (2 / 3) * size.pow(-4 / 3) / (coupling * 1e3)).clamp_min(0)


class _Spectra:
    def __init__(self, shape: torch.Size, kernel: Tensor):
        half, wide = len(kernel) // 2, torch.zeros(shape)
        wide[: len(kernel), : len(kernel)] = kernel
        self.kernel = torch.fft.rfft2(wide.roll((-half, -half), (0, 1)))
        point = torch.zeros(shape)
        point[0, 0] = 1
        self.gradients = [torch.fft.rfft2(g) for g in _gradient(point)]

    def solve(self, photo: Tensor, across: Tensor, down: Tensor, coupling: float) -> Tensor:
        above = self.kernel.conj() * torch.fft.rfft2(photo)
        below = self.kernel.abs().square()
        for spectrum, wanted in zip(self.gradients, (across, down), strict=True):
            above = above + coupling * spectrum.conj() * torch.fft.rfft2(wanted)
            below = below + coupling * spectrum.abs().square()
        return torch.fft.irfft2(above / below.clamp_min(1e-8), s=photo.shape)


def centred(kernel: Tensor) -> Tensor:
    """(K, K) with room for the centre of mass to come to the middle tap."""
    return centre(F.pad(kernel, (len(kernel) // 2,) * 4))[0]


def _gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.roll(-1, 1) - x, x.roll(-1, 0) - x


def _point(size: int) -> Tensor:
    kernel = torch.zeros(size, size)
    kernel[size // 2, size // 2] = 1
    return kernel
