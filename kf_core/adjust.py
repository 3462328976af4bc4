"""What can be done to a kernel before a run and to an image after it, without a network."""

from __future__ import annotations

import numpy as np
import torch

from kf_core.physics.kernel import matching_size, rebin_kernel
from kf_core.pixels import WHITE, bicubic_enlargement, value_range


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

    Photo and image are of one dtype, float in [0, 1], uint8 or uint16; so is what comes back. At 1 it is the image.
    """
    if strength >= 1:
        return image
    (height, width), limits = image.shape[:2], value_range(photo)
    if photo.dtype in WHITE:
        photo = photo.astype(np.float64)
    plain = bicubic_enlargement(photo, height, width, limits)
    both = strength * image + (1 - strength) * plain
    return (both.round() if image.dtype in WHITE else both).astype(image.dtype)
