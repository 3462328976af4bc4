"""PD: the patch diffusion network (appendix A.2). Six convolutional blocks that see 15x15 pixels and no more."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from kf_core.denoisers.diffusion import VelocityNetwork

RECEPTIVE_FIELD = 15
WORK = 1e-4  # millions of multiply-adds per pixel and squared number of channels
ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}


class TimestepEmbedding(nn.Module):
    """Sinusoids of t (1..T) through a small MLP, as in DDPM; the paper only says that every block sees t."""

    def __init__(self, width: int):
        super().__init__()
        self.frequencies = 32
        self.mlp = nn.Sequential(nn.Linear(2 * self.frequencies, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, t: Tensor) -> Tensor:
        ladder = torch.arange(self.frequencies, device=t.device, dtype=torch.float32) / self.frequencies
        angle = t.float()[:, None] * torch.exp(-math.log(10_000.0) * ladder)[None]
        return self.mlp(torch.cat([angle.cos(), angle.sin()], dim=1))


class Block(nn.Module):
    """3x3 convolution, scale and shift from t, activation, then a second convolution (3x3 in block 1, else 1x1)."""

    def __init__(self, inside: int, hidden: int, outside: int, second: int, embedding: int, activation: str):
        super().__init__()
        self.first = nn.Conv2d(inside, hidden, 3, padding=1)
        self.condition = nn.Linear(embedding, 2 * hidden)
        self.activation = ACTIVATIONS[activation]()
        self.second = nn.Conv2d(hidden, outside, second, padding=second // 2)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        scale, shift = self.condition(embedded)[:, :, None, None].chunk(2, dim=1)
        return self.second(self.activation(torch.addcmul(shift, self.first(x), 1 + scale)))


class PatchDiffusion(VelocityNetwork):
    """Predicts the velocity of a noised image from 15x15 patches (appendix A.2, D).

    No stride, no attention and no normalisation over space: any of them would widen the receptive field beyond 15x15,
    which is what keeps the prior one of patches. Borders are zero-padded; as it learns from small crops it knows them.

    Args:
        channels: filters of the hidden layers (128 in the paper).
        colours: channels of the image.
        activation: one of ACTIVATIONS; the paper does not say.
        residual: blocks 2-5 add to their input; the paper does not say.
    """

    def __init__(self, channels: int = 128, colours: int = 3, activation: str = "relu", residual: bool = True):
        super().__init__()
        self.config: dict[str, Any] = {
            "channels": channels,
            "colours": colours,
            "activation": activation,
            "residual": residual,
        }
        self.reach, self.work = RECEPTIVE_FIELD // 2, WORK * channels**2
        self.residual = residual
        width = max(64, channels)
        self.embedding = TimestepEmbedding(width)
        shapes = [(colours, channels, 3)] + [(channels, channels, 1)] * 4 + [(channels, colours, 1)]
        self.blocks = nn.ModuleList(Block(i, channels, o, k, width, activation) for i, o, k in shapes)
        self.between = ACTIVATIONS[activation]()

    def forward(self, noisy: Tensor, t: Tensor) -> Tensor:
        """Velocity of `noisy` (B, colours, H, W) at timesteps t (B,), 1..T."""
        embedded = self.embedding(t)
        hidden = self.blocks[0](noisy, embedded)
        for block in self.blocks[1:-1]:
            update = block(self.between(hidden), embedded)
            hidden = hidden + update if self.residual else update
        return self.blocks[-1](self.between(hidden), embedded)
