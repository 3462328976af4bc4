"""Simple kernels: what stands in where a photo does not tell its own."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kf_core.physics.kernel import gaussian_kernel


def simple_kernels(size: int, scale: int, widths: Sequence[float]) -> list[Tensor]:
    """Isotropic Gaussians (size, size) of these standard deviations in LR pixels."""
    return [gaussian_kernel(size, width * scale) for width in widths]
