"""A kernel that the user knows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kf_core.cost import Cost
from kf_core.errors import BadKernel
from kf_core.kernels.base import Estimate
from kf_core.photo import Photo
from kf_core.physics.kernel import check_kernel_size, normalise
from kf_core.run import Run


class GivenKernel:
    """A KernelEstimator that knows the answer, (K, K) with sum 1."""

    def __init__(self, kernel: Tensor):
        self.kernel = kernel

    def __call__(self, photo: Photo, run: Run) -> Estimate:
        return Estimate(self.kernel, "given")

    def cost(self, height: int, width: int) -> Cost:
        return Cost()


def given_kernel(kernel: np.ndarray, scale: int) -> Tensor:
    """A user's array (K, K) as float32 with sum 1.

    Raises BadKernel for what is no kernel, or does not fit the scale.
    """
    kernel = np.asarray(kernel)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.dtype.kind not in "fiu":
        raise BadKernel(
            "The kernel is not a square array of numbers.", "Give a K x K array, such as `kf kernel` writes."
        )
    check_kernel_size(kernel.shape[0], scale)
    return normalise(torch.from_numpy(kernel.astype(np.float32)))
