"""Linear systems and bounded least squares whose operator is only known by what it does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CG_ITERATIONS = 100  # of the data step, at most: enough for a tile to become what it is in the whole picture
ENOUGH = 1e-10  # of the right side's energy, below which the rest is left


def conjugate_gradients(apply: Callable[[Tensor], Tensor], right: Tensor, iterations: int) -> Tensor:
    """The y with apply(y) = right, after at most `iterations` steps from zero; of the shape of `right`."""
    solution, rest, direction = torch.zeros_like(right), right, right.clone()
    energy = rest.square().sum()
    enough = ENOUGH * float(energy)
    for _ in range(iterations):
        if float(energy) <= enough:
            break
        image = apply(direction)
        step = energy / (direction * image).sum()
        solution, rest = solution + step * direction, rest - step * image
        energy, before = rest.square().sum(), energy
        direction = rest + energy / before * direction
    return solution


def fista(descend: Callable[[Tensor], Tensor], start: Tensor, iterations: int) -> Tensor:
    """The minimum that projected gradient steps lead to, accelerated by momentum (Beck & Teboulle, 2009).

    Args:
        descend: one gradient step from a point, no longer than the curvature allows, and back to where values may lie.
    """
    found, ahead, pace = start, start, 1.0
    for _ in range(iterations):
        moved = descend(ahead)
        faster = (1 + (1 + 4 * pace**2) ** 0.5) / 2
        ahead = moved + (pace - 1) / faster * (moved - found)
        found, pace = moved, faster
    return found
