"""Simple kernels: what optics, movement and resizing leave, each with a name that people know.

They stand in where a photo does not tell its own kernel, and give a name to one that was recovered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from kf_core.physics.kernel import normalise

FINE = 4  # samples per tap and axis when a shape with edges is drawn
# In LR pixels, as all sizes here: a kernel's grid is six of them wide.
GAUSSIANS = (0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25)  # standard deviations
DISCS = (0.6, 0.8, 1.0, 1.25, 1.5, 1.8, 2.1, 2.4)  # radii
LINES = (1.5, 2.25, 3.0, 4.0, 5.0)  # lengths
ANGLES = 8  # of lines, over half a turn
LINE_WIDTH = 0.25  # standard deviation across a line, of sensor and lens
BOXES = (1.0, 1.5, 2.0, 3.0)  # sides; 1 is the mean over an LR pixel, which many resizers take


@dataclass(frozen=True)
class SimpleKernel:
    """A kernel (K, K) with sum 1, and its name as a sentence goes on: "a defocus 6 pixels across"."""

    kernel: Tensor
    name: str


def simple_kernels(size: int, scale: int) -> list[SimpleKernel]:
    """Gaussians, discs, lines, boxes and two resizers on a grid of (size, size) taps. Lengths in names are in pixels of
    the enlarged picture.

    The first is hardly any blur: the narrowest Gaussian.

    >>> simple_kernels(24, 4)[0].name
    'a soft blur of 1.2 pixels'
    """
    return [SimpleKernel(kernel.clone(), name) for kernel, name in _drawn(size, scale)]


@cache
def _drawn(size: int, scale: int) -> list[tuple[Tensor, str]]:
    fine = size * FINE
    axis = (torch.arange(fine, dtype=torch.float64) - (fine - 1) / 2) / (FINE * scale)  # LR pixels from the middle
    y, x = torch.meshgrid(axis, axis, indexing="ij")

    def taps(density: Tensor) -> Tensor:
        return normalise(density.double().reshape(size, FINE, size, FINE).sum((1, 3))).float()

    def across(length: float) -> str:
        return f"{length * scale:.1f}".removesuffix(".0") + " pixels"

    found: list[tuple[Tensor, str]] = []
    for sigma in GAUSSIANS:
        density = torch.exp(-0.5 * (x.square() + y.square()) / sigma**2)
        found.append((taps(density), f"a soft blur of {across(sigma)}"))
    for radius in DISCS:
        found.append((taps(torch.hypot(x, y) <= radius), f"a defocus {across(2 * radius)} across"))
    for length in LINES:
        for step in range(ANGLES):
            angle = math.pi * step / ANGLES
            along = x * math.cos(angle) - y * math.sin(angle)  # rows count downwards
            side = x * math.sin(angle) + y * math.cos(angle)
            beyond = (along.abs() - length / 2).clamp_min(0)
            density = torch.exp(-0.5 * (side.square() + beyond.square()) / LINE_WIDTH**2)
            found.append((taps(density), f"a movement of {across(length)} {direction(math.degrees(angle))}"))
    for width in BOXES:
        density = (x.abs() <= width / 2) & (y.abs() <= width / 2)
        found.append((taps(density), f"an average over squares of {across(width)}"))
    for name, profile in RESIZERS.items():
        row = profile((torch.arange(size, dtype=torch.float64) - (size - 1) / 2) / scale)
        found.append((normalise(row[:, None] * row[None]).float(), f"an ordinary {name} reduction"))
    return found


def direction(angle: float) -> str:
    """Of a movement, in degrees above the horizontal, 0 to 180."""
    if angle == 0:
        return "sideways"
    return "up and down" if angle == 90 else f"at {angle:.0f} degrees"


def _bicubic(x: Tensor) -> Tensor:
    """Keys' kernel with a = -0.5, as Pillow's and MATLAB's."""
    x = x.abs()
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


RESIZERS: dict[str, Callable[[Tensor], Tensor]] = {"bicubic": _bicubic, "Lanczos": _lanczos}
