"""R: the U-Net that turns the current guess into a refined HR image (appendix A.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def level(inside: int, outside: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
        nn.Conv2d(outside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class Refiner(nn.Module):
    """Five levels, `channels` filters on the first and twice as many on each next (32 -> 512), tanh at the end.

    It is always in training mode: batch norm uses the statistics of the one image it is fitted to.

    Args:
        channels: filters on the input level (32 in the paper).
        colours: channels of the image.
        depth: number of levels.
    """

    def __init__(self, channels: int = 32, colours: int = 3, depth: int = 5):
        super().__init__()
        widths = [channels * 2**i for i in range(depth)]
        self.down = nn.ModuleList(level(i, o) for i, o in zip([colours, *widths[:-1]], widths, strict=True))
        self.up = nn.ModuleList(level(widths[i + 1] + widths[i], widths[i]) for i in reversed(range(depth - 1)))
        self.last = nn.Conv2d(channels, colours, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, colours, H, W) in [-1, 1] -> the same. Any size; it is extended to a multiple of 2^(depth-1) inside."""
        height, width = image.shape[-2:]
        step = 2 ** (len(self.down) - 1)
        x = F.pad(image, (0, -width % step, 0, -height % step), mode="replicate")
        kept = []
        for i, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if i else x)
            kept.append(x)
        x = kept.pop()
        for block in self.up:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat([kept.pop(), x], dim=1))
        return torch.tanh(self.last(x))[:, :, :height, :width]
