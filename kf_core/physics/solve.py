"""Linear systems with a symmetric, positive definite operator that is only known by what it does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CG_ITERATIONS = 30  # of the data step; docs/results.md has what more of them would change
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
