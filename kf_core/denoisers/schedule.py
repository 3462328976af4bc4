"""The diffusion process: noise schedule, velocity parametrisation, posterior mean.

Images are in [-1, 1]. Timesteps are integers 1..T (the paper's T is 1000); t = 0 is the clean image.
With a_t = alpha_bar_t:

    x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps
    v_t = sqrt(a_t) eps - sqrt(1 - a_t) x_0          (velocity, what the network predicts)
    x_0 = sqrt(a_t) x_t - sqrt(1 - a_t) v_t          (Algorithm 1, line 19)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class NoiseSchedule:
    """Cumulative signal levels alpha_bar_t for t = 0..T, on one device.

    Args:
        kind: "linear" (beta from 1e-4 to 0.02, Ho et al. 2020) or "cosine" (Nichol & Dhariwal 2021). The paper prints
            neither; see docs/design.md for the choice.
        steps: T, the number of training timesteps.
    """

    def __init__(self, kind: str = "linear", steps: int = 1000, device: torch.device | str = "cpu"):
        if kind == "linear":
            beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64)
        elif kind == "cosine":
            angle = (torch.arange(steps + 1, dtype=torch.float64) / steps + 0.008) / 1.008 * math.pi / 2
            level = torch.cos(angle) ** 2
            beta = (1 - level[1:] / level[:-1]).clamp(max=0.999)
        else:
            raise ValueError(f"unknown noise schedule {kind!r}")
        alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - beta, 0)])
        self.kind, self.steps = kind, steps
        self.alpha_bar = alpha_bar.to(torch.float32).to(device)

    def variance(self, t: int) -> float:
        """sigma^2 of the noise at timestep t relative to an image at full strength: x_t / sqrt(a_t) = x_0 + sigma n."""
        return float(1 / self.alpha_bar[t] - 1)

    def timestep(self, sigma: float) -> Tensor:
        """(1,): the timestep 1..T whose sigma is nearest to the one given, by ratio."""
        level = (1 / self.alpha_bar[1:].double() - 1).log()
        return (level - 2 * math.log(max(sigma, 1e-12))).abs().argmin()[None] + 1

    def signal_and_noise(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(a_t) and sqrt(1 - a_t), each shaped (len(t), 1, 1, 1) to broadcast over images (B, C, H, W)."""
        level = self.alpha_bar[t.to(self.alpha_bar.device)].view(-1, 1, 1, 1)
        return level.sqrt(), (1 - level).sqrt()

    def add_noise(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        signal, sigma = self.signal_and_noise(t)
        return signal * clean + sigma * noise

    def velocity(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        signal, sigma = self.signal_and_noise(t)
        return signal * noise - sigma * clean

    def clean_from_velocity(self, noisy: Tensor, velocity: Tensor, t: Tensor) -> Tensor:
        signal, sigma = self.signal_and_noise(t)
        return signal * noisy - sigma * velocity

    def noise_from_clean(self, noisy: Tensor, clean: Tensor, t: Tensor) -> Tensor:
        """The noise that, with `clean`, makes `noisy` at t."""
        signal, sigma = self.signal_and_noise(t)
        return (noisy - signal * clean) / sigma.clamp_min(1e-8)

    def posterior(self, noisy: Tensor, clean: Tensor, t: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of q(x_s | x_t, x_0) for s = `earlier` < t (Ho et al. 2020, eq. 6 and 7).

        With s = t - 1 this is the textbook DDPM posterior; with a strided walk the steps between are merged into one,
        whose beta is 1 - a_t / a_s.
        """
        a_t = self.alpha_bar[t.to(self.alpha_bar.device)].view(-1, 1, 1, 1)
        a_s = self.alpha_bar[earlier.to(self.alpha_bar.device)].view(-1, 1, 1, 1)
        beta = 1 - a_t / a_s
        rest = (1 - a_t).clamp_min(1e-12)
        mean = (a_s.sqrt() * beta * clean + (a_t / a_s).sqrt() * (1 - a_s) * noisy) / rest
        return mean, (beta * (1 - a_s) / rest).clamp_min(0).sqrt()
