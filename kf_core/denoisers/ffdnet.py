"""A denoiser for the finish: several times cheaper per pixel than PD, and it sees farther.

After FFDNet (Zhang et al. 2018): the network runs on the image's 2 x 2 blocks, and is told how strong the noise is.
Here with residual blocks, and scaled at every noise level as Karras et al. (2022) do. Not in the paper, whose prior is
one of patches and stays that: this network only makes images once the kernel is known.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kf_core.denoisers.diffusion import VelocityNetwork
from kf_core.denoisers.schedule import NoiseSchedule

VARIANCE = 0.25  # of photographs in [-1, 1]
BLOCK = 2  # pixels a side that become channels


class FFDNet(VelocityNetwork):
    """Predicts the velocity of a noised image, as PatchDiffusion does, up to the timestep `latest`.

    Args:
        channels: filters of the hidden layers.
        depth: residual blocks of two 3x3 convolutions.
        latest: the largest timestep that it learns. Where there is more noise, a photo has to be invented.
        schedule, timesteps: of the noise, see NoiseSchedule.
    """

    def __init__(
        self, channels: int = 64, depth: int = 6, latest: int = 250, schedule: str = "linear", timesteps: int = 1000
    ):
        super().__init__()
        self.config: dict[str, Any] = {
            "channels": channels,
            "depth": depth,
            "latest": latest,
            "schedule": schedule,
            "timesteps": timesteps,
        }
        self.latest, self.multiple = latest, BLOCK
        self.reach = BLOCK * (2 * depth + 2) + BLOCK - 1
        inputs, outputs = 3 * BLOCK**2 + 1, 3 * BLOCK**2
        self.work = 9e-6 * (inputs * channels + 2 * depth * channels**2 + channels * outputs) / BLOCK**2
        self.head = nn.Conv2d(inputs, channels, 3, padding=1)
        self.body = nn.ModuleList(ResidualBlock(channels) for _ in range(depth))
        self.tail = nn.Conv2d(channels, outputs, 3, padding=1)
        for weights in self.tail.parameters():
            nn.init.zeros_(weights)
        with torch.device("cpu"):  # also where the network is only planned, on no device
            alpha_bar = NoiseSchedule(schedule, timesteps).alpha_bar
        self.register_buffer("variances", 1 / alpha_bar - 1, persistent=False)  # of the noise on a full image

    def forward(self, noisy: Tensor, t: Tensor) -> Tensor:
        """Velocity of `noisy` (B, 3, H, W) at timesteps t (B,), 1..latest; of any height and width."""
        height, width = noisy.shape[-2:]
        variance = self.get_buffer("variances")[t][:, None, None, None]
        # `noisy` has variance 1 for an image of variance 1 at any timestep
        blocks = F.pixel_unshuffle(F.pad(noisy, (0, width % BLOCK, 0, height % BLOCK), "replicate"), BLOCK)
        level = (variance.log() / 8).expand(-1, 1, *blocks.shape[-2:])
        x = self.head(torch.cat([blocks, level.to(blocks.dtype)], 1))
        for block in self.body:
            x = block(x)
        found = F.pixel_shuffle(self.tail(F.relu(x)), BLOCK)[..., :height, :width]
        # The estimate x_0 = (noisy / signal) d / (d + s^2) + found sqrt(s^2 d / (d + s^2)), d = VARIANCE, as a velocity
        total = VARIANCE + variance
        direct = variance.sqrt() * (1 - VARIANCE) / total
        return direct * noisy - (VARIANCE * (1 + variance) / total).sqrt() * found


class ResidualBlock(nn.Module):
    """Activation, 3x3 convolution, activation, 3x3 convolution, added to the input; at first it adds nothing."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for weights in self.second.parameters():
            nn.init.zeros_(weights)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))
