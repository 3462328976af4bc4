"""Between arrays of pixels and the tensors the method computes with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kf_core.errors import BadPicture, TooSmall
from kf_core.physics.grid import bicubic
from kf_core.settings import SMALLEST

WHITE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}  # of the whole-number pixels that can be used
SAMPLED = 4_000_000  # values that quantiles of larger arrays are taken from


def as_pixels(image: np.ndarray) -> np.ndarray:
    """The picture as an array; a Pillow image in mode L or RGB and nested lists are taken too. Raises BadPicture."""
    mode = getattr(image, "mode", None)
    if isinstance(mode, str) and mode not in ("L", "RGB"):
        raise BadPicture(f"A picture in the mode {mode} is not supported.", "Convert it to L or RGB first.")
    return np.asarray(image)


def checked_pixels(image: np.ndarray) -> np.ndarray:
    """(1, 3, H, W) float64 in the array's own values; grey is repeated. Raises BadInput."""
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise BadPicture(f"An array of shape {image.shape} is not a picture.", "Give (H, W) grey or (H, W, 3) RGB.")
    if image.dtype not in WHITE and image.dtype.kind != "f":
        raise BadPicture(f"Pixels of type {image.dtype} are not supported.", "Give uint8, uint16, or float.")
    if min(image.shape[:2]) < SMALLEST:
        raise TooSmall(
            f"The picture is {image.shape[1]} x {image.shape[0]} pixels, which is too small.",
            f"Give at least {SMALLEST} x {SMALLEST}: the kernel is learned from the photo's own patches.",
        )
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise BadPicture("The picture has values that are not numbers.", "Replace NaN and infinity first.")
    return as_values(image)


def as_values(image: np.ndarray) -> np.ndarray:
    """(1, 3, H, W) float64 of (H, W) or (H, W, 3), in the array's own values; grey is repeated."""
    values = image.astype(np.float64)
    values = np.repeat(values[:, :, None], 3, axis=2) if image.ndim == 2 else values
    return np.ascontiguousarray(values.transpose(2, 0, 1))[None]


def quantiles(values: np.ndarray, *shares: float) -> list[float]:
    """Of (..., H, W); of a large array those of every so many rows and columns, which tell the same."""
    step = round((values.size / SAMPLED) ** 0.5)
    sample = values[..., ::step, ::step] if step > 1 else values
    return [float(value) for value in np.quantile(sample, shares)]


def value_range(image: np.ndarray) -> tuple[float, float]:
    """The values of black and white in an array of this dtype."""
    return 0.0, float(WHITE.get(image.dtype, 1))


def to_tensor(image: np.ndarray) -> Tensor:
    """(1, 3, H, W) in [-1, 1], black and white of the dtype at its ends; grey is repeated. Raises BadInput."""
    return torch.from_numpy((checked_pixels(image) * (2 / value_range(image)[1]) - 1).astype(np.float32))


def to_array(result: Tensor, like: np.ndarray) -> np.ndarray:
    """The inverse of to_tensor, in the dtype and number of channels of `like`."""
    values = ((result[0].double().cpu() + 1) / 2).clamp(0, 1).numpy()
    return array_like(values * value_range(like)[1], like)


def bicubic_enlargement(
    image: np.ndarray, height: int, width: int, limits: tuple[float, float] | None = None
) -> np.ndarray:
    """The plain enlargement of (H, W) or (H, W, C) to (height, width), of its dtype.

    Computed as float32 where the image is, else as float64.

    Args:
        limits: the values that it stays within; None: black and white of the dtype.

    >>> bicubic_enlargement(np.eye(32, dtype=np.uint8) * 255, 64, 96).shape
    (64, 96)
    """
    planes = np.atleast_3d(image).transpose(2, 0, 1)[None]
    values = torch.from_numpy(planes.astype(np.float32 if image.dtype == np.float32 else np.float64, order="C"))
    larger = bicubic(values, height, width, limits or value_range(image))[0].numpy()
    larger = larger.transpose(1, 2, 0).reshape(height, width, *image.shape[2:])
    return (larger.round() if image.dtype in WHITE else larger).astype(image.dtype)


def array_like(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """(3, H, W) in the values of `like`, as an array of its dtype and number of channels."""
    values = values.transpose(1, 2, 0)
    values = values.mean(axis=2) if like.ndim == 2 else values
    return (values.round() if like.dtype in WHITE else values).astype(like.dtype)
