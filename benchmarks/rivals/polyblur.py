"""Polyblur (Delbracio et al., IEEE TCI 2021) on the bicubic enlargement: a Gaussian blur read from the largest slopes,
and undone by a polynomial of the blur itself.

The enlargement is blurred by more than the photo was, and Polyblur's Gaussians reach no further than a standard
deviation of 4 pixels, as published: at scale 4 the limit is reached often. Its removal of halos is left out.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.signal import convolve2d
from torch import Tensor

from benchmarks.rivals.base import Outcome, on_our_grid
from benchmarks.rivals.plain import bicubic

C, SIGMA_B = 0.352, 0.764  # sigma^2 = C^2 / slope^2 - SIGMA_B^2, slopes of an image in [0, 1] per pixel
ANGLES = 6
LEAST, MOST = 0.3, 4.0  # standard deviations, pixels
ALPHA, BETA, ROUNDS = 6, 1, 3


def polyblur(lr: np.ndarray, scale: int) -> Outcome:
    image = bicubic(lr, scale).image
    assert image is not None
    x = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)
    total = np.ones((1, 1))
    for _ in range(ROUNDS):
        kernel = gaussian_of(x.mean(0))
        total = convolve2d(total, kernel)
        transfer = _transfer(torch.from_numpy(kernel), x.shape[-2:])
        x = torch.fft.irfft2(torch.fft.rfft2(x) * inverse(transfer), s=x.shape[-2:]).clamp(0, 1)
    result = (x.permute(1, 2, 0) * 255).round().byte().numpy()
    return Outcome(result, on_our_grid(total))


def gaussian_of(grey: Tensor) -> np.ndarray:
    """The blur of a grey image (H, W) in [0, 1], as a Gaussian (25, 25).

    The image is stretched between its darkest and lightest 0.01 %; along each direction the largest slope that is left
    tells the blur in it, and the direction in which it is smallest is that of the most blur.
    """
    low, high = (float(np.quantile(grey.numpy(), share)) for share in (1e-4, 1 - 1e-4))
    stretched = ((grey - low) / max(high - low, 1e-6)).clamp(0, 1)
    down, across = torch.gradient(stretched)
    angles = [math.pi * step / ANGLES for step in range(ANGLES)]
    slopes = [float((math.cos(a) * across + math.sin(a) * down).abs().max()) for a in angles]
    fine = np.linspace(0, math.pi, 60, endpoint=False)
    steep = np.interp(fine, [*angles, math.pi], [*slopes, slopes[0]])
    least = int(steep.argmin())
    along = fine[least]
    most_blur, other_blur = _sigma(steep[least]), _sigma(steep[(least + 30) % 60])
    axis = np.arange(25) - 12
    y, x = np.meshgrid(axis, axis, indexing="ij")
    u, v = math.cos(along) * x + math.sin(along) * y, -math.sin(along) * x + math.cos(along) * y
    kernel = np.exp(-0.5 * ((u / most_blur) ** 2 + (v / other_blur) ** 2))
    return kernel / kernel.sum()


def _sigma(slope: float) -> float:
    return float(np.clip(math.sqrt(max((C / max(slope, 1e-6)) ** 2 - SIGMA_B**2, 0)), LEAST, MOST))


def inverse(transfer: Tensor) -> Tensor:
    """The polynomial of degree 3 that stands for one over a transfer function between 0 and 1: alpha says how it treats
    what is blurred by half, beta what is gone."""
    a3 = ALPHA / 2 - BETA + 2
    a2 = 3 * BETA - ALPHA - 6
    a1 = 5 - 3 * BETA + ALPHA / 2
    return a3 * transfer**3 + a2 * transfer**2 + a1 * transfer + BETA


def _transfer(kernel: Tensor, shape: torch.Size) -> Tensor:
    """Of a symmetric kernel: real."""
    wide = torch.zeros(shape)
    size = kernel.shape[-1]
    wide[:size, :size] = kernel.float()
    return torch.fft.rfft2(wide.roll((-(size // 2), -(size // 2)), (0, 1))).real
