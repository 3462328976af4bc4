"""What the patch prior and the bundled denoiser have in common: networks that predict velocities, as Denoisers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from kf_core.denoisers.schedule import NoiseSchedule


class VelocityNetwork(nn.Module):
    """forward: image (B, 3, H, W) noised to the timesteps t (B,), 1..latest -> its velocity (see NoiseSchedule).

    Attributes:
        config: what the class was made with, for its checkpoint.
        reach: pixels around a pixel on which its velocity depends.
        multiple: see Denoiser.
        work: millions of multiply-adds per pixel.
        latest: the largest timestep that it learns; None: all that its schedule has.
    """

    config: dict[str, Any]
    reach: int
    multiple: int = 1
    work: float
    latest: int | None = None


class DiffusionDenoiser:
    """A velocity network as a Denoiser: the noise's sigma stands for the timestep whose noise is nearest.

    Attributes:
        network: frozen, on the device of the images; may be exchanged for one that has learned this photo.
        schedule: the one that the network learned.
    """

    def __init__(self, network: VelocityNetwork, schedule: NoiseSchedule):
        self.network, self.schedule = network, schedule

    @property
    def reach(self) -> int | None:
        return self.network.reach

    @property
    def multiple(self) -> int:
        return self.network.multiple

    def __call__(self, noisy: Tensor, sigma: float) -> Tensor:
        """x_0 + sigma n, (B, 3, H, W) -> the estimate of x_0, clamped to [-1, 1]."""
        t = self.schedule.timestep(sigma)
        signal, _ = self.schedule.signal_and_noise(t)
        diffused = signal * noisy
        velocity = self.network(diffused.contiguous(memory_format=torch.channels_last), t).float()
        return self.schedule.clean_from_velocity(diffused, velocity, t).clamp(-1, 1)
