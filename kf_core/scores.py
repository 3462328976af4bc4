"""How near an image is to the truth; of kernels that is kf_core.physics.kernel.cosine_similarity."""

from __future__ import annotations

import numpy as np

SHAVE = 16  # HR pixels at each side that psnr leaves out, as is usual at scale 4


def luma(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) RGB -> (H, W) float64: Y of BT.601 in studio range 16..235, as MATLAB's rgb2ycbcr; grey stays."""
    values = image.astype(np.float64)
    return values if values.ndim == 2 else 16 + values @ np.array([65.481, 128.553, 24.966]) / 255


def psnr(image: np.ndarray, truth: np.ndarray, where: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB of two (H, W[, 3]) uint8 images, of their luma.

    Args:
        where: a mask (H, W) of the pixels that count; None: all but SHAVE at each side.
    """
    error = (luma(image) - luma(truth)) ** 2
    error = error[SHAVE:-SHAVE, SHAVE:-SHAVE] if where is None else error[where]
    return float(10 * np.log10(255**2 / max(error.mean(), 1e-12)))
