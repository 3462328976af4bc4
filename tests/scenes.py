"""Photos made up from noise, and noise for photos."""

from __future__ import annotations

import torch


def scene(height: int, width: int, power: float, seed: int = 0) -> torch.Tensor:
    """Noise (1, 3, height, width) with a spectrum of |f|^-power: the model of photographs."""
    random = torch.Generator().manual_seed(seed)
    rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None]
    radius = (rows.square() + columns.square()).clamp_min(1 / max(height, width) ** 2)
    white = torch.fft.fft2(torch.randn(height, width, generator=random))
    plane = torch.fft.ifft2(white * radius ** (-power / 4)).real
    return (0.4 * plane / plane.std()).expand(1, 3, -1, -1)


def with_noise(lr: torch.Tensor, sigma: float) -> torch.Tensor:
    return lr + sigma / 127.5 * torch.randn(lr.shape, generator=torch.Generator().manual_seed(0))
