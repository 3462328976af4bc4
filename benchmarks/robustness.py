"""Noisy photos and JPEGs, for `python -m benchmarks.kernels --cases spoilt`.

Cases of KF12, the LR photo spoilt before anything sees it: Gaussian noise of 2, 5 and 10 grey levels, JPEG of quality
85 and 70. Gain is over the bicubic enlargement of the same spoilt photo.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.kf144 import Pair, pair


def noisy(photo: np.ndarray, sigma: float) -> np.ndarray:
    """With Gaussian noise of `sigma` grey levels, the same for every photo of one size."""
    noise = np.random.default_rng(0).normal(0, sigma, photo.shape)
    return (photo + noise).round().clip(0, 255).astype(np.uint8)


def jpeg(photo: np.ndarray, quality: int) -> np.ndarray:
    """As it comes out of a JPEG of `quality`, colours at half resolution as cameras write them."""
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


SPOILT = {
    "noise 2": lambda photo: noisy(photo, 2),
    "noise 5": lambda photo: noisy(photo, 5),
    "noise 10": lambda photo: noisy(photo, 10),
    "JPEG 85": lambda photo: jpeg(photo, 85),
    "JPEG 70": lambda photo: jpeg(photo, 70),
}


def spoilt(index: int, crop: int) -> Pair:
    """One of 60 cases: all of KF12, spoilt in the first way, then in the next."""
    how, case = list(SPOILT)[index // 12], pair(index % 12, index % 12, crop)
    return replace(case, name=f"{case.name}, {how}", lr=SPOILT[how](case.lr))
