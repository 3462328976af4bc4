"""Between arrays of pixels and the tensors the method computes with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kf_core.errors import BadPicture, TooSmall
from kf_core.settings import SMALLEST

WHITE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}  # of the whole-number pixels that can be used


def as_pixels(image: np.ndarray) -> np.ndarray:
    """The picture as an array; a Pillow image in mode L or RGB and nested lists are taken too. Raises BadPicture."""
    mode = getattr(image, "mode", None)
    if isinstance(mode, str) and mode not in ("L", "RGB"):
        raise BadPicture(f"A picture in the mode {mode} is not supported.", "Convert it to L or RGB first.")
    return np.asarray(image)


def to_tensor(image: np.ndarray) -> Tensor:
    """(1, 3, H, W) in [-1, 1]; grey is repeated. Raises BadInput."""
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise BadPicture(f"An array of shape {image.shape} is not a picture.", "Give (H, W) grey or (H, W, 3) RGB.")
    if image.dtype not in WHITE and image.dtype.kind != "f":
        raise BadPicture(f"Pixels of type {image.dtype} are not supported.", "Give uint8, uint16, or float in [0, 1].")
    if min(image.shape[:2]) < SMALLEST:
        raise TooSmall(
            f"The picture is {image.shape[1]} x {image.shape[0]} pixels, which is too small.",
            f"Give at least {SMALLEST} x {SMALLEST}: the kernel is learned from the photo's own patches.",
        )
    if image.dtype.kind == "f" and not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
        raise BadPicture("The picture has values outside 0 to 1.", "Scale float pictures to the range 0 to 1.")
    values = image.astype(np.float32) * (2 / WHITE.get(image.dtype, 1)) - 1
    values = np.repeat(values[:, :, None], 3, axis=2) if image.ndim == 2 else values
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]


def value_range(image: np.ndarray) -> tuple[float, float]:
    """The values of black and white in an array of this dtype."""
    return 0.0, float(WHITE.get(image.dtype, 1))


def to_array(result: Tensor, like: np.ndarray) -> np.ndarray:
    """The inverse of to_tensor, in the dtype and number of channels of `like`."""
    values = ((result[0].float().cpu() + 1) / 2).clamp(0, 1).numpy().transpose(1, 2, 0)
    values = values.mean(axis=2) if like.ndim == 2 else values
    white = WHITE.get(like.dtype)
    return (values * white).round().astype(like.dtype) if white else values.astype(like.dtype)
