"""Enlargements that ask for no kernel: bicubic, and bicubic with an unsharp mask."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.rivals.base import Outcome


def bicubic(lr: np.ndarray, scale: int) -> Outcome:
    return Outcome(np.asarray(_enlarged(lr, scale)))


def unsharp_mask(lr: np.ndarray, scale: int) -> Outcome:
    """100 % at a radius of one LR pixel: what a photographer tries first."""
    return Outcome(np.asarray(_enlarged(lr, scale).filter(ImageFilter.UnsharpMask(scale, 100, 0))))


def _enlarged(lr: np.ndarray, scale: int) -> Image.Image:
    return Image.fromarray(lr).resize((lr.shape[1] * scale, lr.shape[0] * scale), Image.Resampling.BICUBIC)
