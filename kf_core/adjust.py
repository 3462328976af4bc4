"""What can be done to a kernel before a run and to an image after it, without a network."""

from __future__ import annotations

import numpy as np
import torch

from kf_core.physics.grid import bicubic
from kf_core.physics.kernel import matching_size, rebin_kernel


def kernel_at(kernel: np.ndarray, scale: int, target: int) -> np.ndarray:
    """The same blur for another scale: (K, K) float32 at `scale` -> (L, L) at `target`. Raises BadKernel.

    >>> kernel_at(np.full((12, 12), 1 / 144, np.float32), 2, 4).shape
    (24, 24)
    """
    if scale == target:
        return kernel
    size = matching_size(len(kernel), scale, target)
    return rebin_kernel(torch.from_numpy(kernel.astype(np.float32)), scale, size, target).numpy()


def weaken(image: np.ndarray, photo: np.ndarray, strength: float) -> np.ndarray:
    """`strength` of the image (H s, W s) or (H s, W s, 3), 0 to 1, and for the rest the bicubic enlargement.

    Both arrays are float in [0, 1].
    """
    planes = np.atleast_3d(photo).astype(np.float32).transpose(2, 0, 1)
    plain = bicubic(torch.from_numpy(np.ascontiguousarray(planes))[None], *image.shape[:2])[0].clamp_min(0)
    return strength * image + (1 - strength) * plain.permute(1, 2, 0).numpy().reshape(image.shape)
