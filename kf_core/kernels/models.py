"""The unknown kernel as a network: the paper's SIREN (A.4) and the alternatives of its Table 4.

Each is a module without inputs whose output is a kernel (K, K) that sums to 1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def leaky_sigmoid(x: Tensor) -> Tensor:
    """(1 + 1e-4) sigmoid(x) - 1e-4 (A.4): lets a tap reach zero and a little below, so that its gradient never dies."""
    return (1 + 1e-4) * torch.sigmoid(x) - 1e-4


class ImplicitKernel(nn.Module):
    """SIREN (Sitzmann et al. 2020): kernel coordinates -> kernel value (A.4, F).

    Args:
        size: K. Another grid of the same support can be asked for when called.
        layers, width: fully connected sine layers and their nodes.
        omega: frequency factor of every layer.
        extent: coordinates run over [-extent, extent].
    """

    def __init__(self, size: int, layers: int = 5, width: int = 256, omega: float = 5.0, extent: float = 1.0):
        super().__init__()
        self.size, self.omega, self.extent = size, omega, extent
        inputs = [2] + [width] * (layers - 1)
        self.hidden = nn.ModuleList(nn.Linear(n, width) for n in inputs)
        self.last = nn.Linear(width, 1)
        with torch.no_grad():
            for i, linear in enumerate([*self.hidden, self.last]):
                bound = 1 / linear.in_features if i == 0 else math.sqrt(6 / linear.in_features) / omega
                linear.weight.uniform_(-bound, bound)

    def logits(self, size: int) -> Tensor:
        """Values before the leaky sigmoid, on a size x size grid of cells that together span [-extent, extent]."""
        axis = (torch.arange(size, device=self.last.weight.device) + 0.5) / size * 2 - 1
        x = self.extent * torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).reshape(-1, 2)
        for linear in self.hidden:
            x = torch.sin(self.omega * linear(x))
        return self.last(x).reshape(size, size)

    def forward(self, size: int | None = None) -> Tensor:
        kernel = leaky_sigmoid(self.logits(size or self.size))
        return kernel / kernel.sum()


class DirectKernel(nn.Module):
    """Every tap its own parameter (appendix C.1), kept non-negative by a sigmoid or a ReLU."""

    def __init__(self, size: int, activation: str):
        super().__init__()
        self.activation = activation
        start = torch.zeros(size, size) if activation == "sigmoid" else torch.ones(size, size)
        self.taps = nn.Parameter(start + 0.01 * torch.randn(size, size))

    def forward(self) -> Tensor:
        kernel = torch.sigmoid(self.taps) if self.activation == "sigmoid" else F.relu(self.taps)
        return kernel / kernel.sum().clamp_min(1e-8)


class LinearKernel(nn.Module):
    """KernelGAN's deep linear generator (C.1): convolutions 7, 7, 5, 3, 1, 4 with 32 channels, no activations.

    The kernel is what the layers make of a single point, all strides left out (the last layer's stride is the
    downscaling itself, which the degradation does): 22 x 22 taps, set into the K x K grid.
    """

    def __init__(self, size: int, widths: tuple[int, ...] = (7, 7, 5, 3, 1, 4), channels: int = 32):
        super().__init__()
        self.size, self.reach = size, sum(widths) - len(widths) + 1
        ends = [1] + [channels] * (len(widths) - 1) + [1]
        layers = [nn.Conv2d(i, o, w, bias=False) for i, o, w in zip(ends[:-1], ends[1:], widths, strict=True)]
        self.layers = nn.ModuleList(layers)
        with torch.no_grad():  # each layer near a mean filter: with plain random weights the sum may start near zero
            for layer in layers:
                layer.weight.add_(1 / layer.weight[0].numel())

    def forward(self) -> Tensor:
        weights = list(self.parameters())
        x = torch.ones(1, 1, 1, 1, device=weights[0].device)
        for weight in weights:
            x = F.conv2d(F.pad(x, (weight.shape[-1] - 1,) * 4), weight.flip(2, 3))
        margin = self.size - self.reach
        kernel = F.pad(x[0, 0], (margin // 2, margin - margin // 2) * 2)
        return kernel / signed_floor(kernel.sum())


def signed_floor(total: Tensor) -> Tensor:
    """`total` kept at least 1e-4 away from zero, with its sign."""
    return torch.where(total < 0, total.clamp(max=-1e-4), total.clamp(min=1e-4))


def make_kernel_model(name: str, size: int, *, layers: int, width: int, omega: float, extent: float) -> nn.Module:
    """The kernel model called `name`: inr, direct_sigmoid, direct_relu or linear_cnn (Table 4)."""
    if name == "inr":
        return ImplicitKernel(size, layers, width, omega, extent)
    if name in ("direct_sigmoid", "direct_relu"):
        return DirectKernel(size, name.removeprefix("direct_"))
    if name == "linear_cnn":
        return LinearKernel(size)
    raise ValueError(f"unknown kernel model {name!r}")
