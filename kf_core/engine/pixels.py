"""Raw float32 pixels in and out, and what keeps transparency and values outside 0..1 out of the engine's way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kf_core import BadInput
from kf_core.adjust import kernel_at

CHANNELS = (1, 2, 3, 4)  # grey, grey + alpha, RGB, RGB + alpha
LARGEST_SCALE = 16  # of a kernel that came from somewhere else
FULL = 1e-4  # from this alpha on a pixel's colour counts


@dataclass(frozen=True)
class Layer:
    """A picture as super_resolve takes it, and what is needed to undo that.

    Attributes:
        colour: (H, W) or (H, W, 3) float32 in [0, 1].
        alpha: (H, W) float32 in [0, 1], or None.
        low, high: the values that became 0 and 1.
        warnings: sentences for the user.
    """

    colour: np.ndarray
    alpha: np.ndarray | None
    low: float
    high: float
    warnings: tuple[str, ...]


def read_raw(path: Path, about: dict[str, Any]) -> np.ndarray:
    """(H, W, C) from little-endian float32, row by row. Raises BadInput if `about` does not fit the file."""
    size: list[Any] = [about.get(name) for name in ("width", "height", "channels")]
    width, height, channels = size
    if not all(isinstance(value, int) and value > 0 for value in (width, height, channels)) or channels not in CHANNELS:
        raise BadInput(
            f"{width} x {height} pixels with {channels} channels are not a picture.", "Give 1 to 4 channels."
        )
    wanted = width * height * channels * 4
    found = path.stat().st_size if path.is_file() else 0
    if found != wanted:
        raise BadInput(f"The pixels are {found} bytes, not {wanted}.", "Write them as float32, row by row.")
    return np.fromfile(path, dtype="<f4").reshape(height, width, channels)


def read_kernel(path: Path, size: int, scale: int, target: int) -> np.ndarray:
    """(K, K) from float32 taps of a kernel at `scale`, on the grid of the scale `target`. Raises BadInput."""
    if size < 1 or not 1 <= scale <= LARGEST_SCALE:
        hint = f"Use a size of at least 1, and a scale from 1 to {LARGEST_SCALE}."
        raise BadInput(f"There is no kernel of {size} x {size} taps at a scale of {scale}.", hint)
    taps = read_raw(path, {"width": size, "height": size, "channels": 1})[..., 0]
    if not np.isfinite(taps).all() or taps.sum() <= 0:
        raise BadInput("The kernel is empty or not made of finite numbers.", "Give taps with a positive sum.")
    return kernel_at(taps, scale, target)


def write_raw(path: Path, pixels: np.ndarray) -> None:
    pixels.astype("<f4").tofile(path)


def prepare(raw: np.ndarray) -> Layer:
    """Splits alpha off, paints over what it hides, and brings the colours to 0..1. Raises BadInput."""
    warnings = []
    if not np.isfinite(raw).all():
        raw = np.nan_to_num(raw, nan=0.0, posinf=1.0, neginf=0.0)
        warnings.append("Some pixels had no value (NaN or infinite); they were taken for black or white.")
    colour, alpha = raw, None
    if raw.shape[2] in (2, 4):
        colour, alpha = raw[..., :-1], raw[..., -1].clip(0, 1)
        if alpha.max() < FULL:
            raise BadInput("The picture is completely transparent.", "Choose a layer with something on it.")
        if alpha.min() < 1:
            colour = fill_hidden(colour, alpha)
    # Wide gamuts and HDR: scaled into the range the engine works in, and back afterwards.
    low, high = min(0.0, float(colour.min())), max(1.0, float(colour.max()))
    if (low, high) != (0.0, 1.0):
        colour = ((colour - low) / (high - low)).clip(0, 1)
    colour = colour[..., 0] if colour.shape[2] == 1 else colour
    return Layer(np.ascontiguousarray(colour, dtype=np.float32), alpha, low, high, tuple(warnings))


def fill_hidden(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, C) where transparent pixels have the colour of their visible surroundings.

    What lies under alpha 0 is often black; sharpened together with the visible edge it would bleed into it. From fine
    to coarse, each gap takes the alpha-weighted mean of a block twice as large, until there is none.
    """
    levels = [(colour * alpha[..., None], alpha)]
    while levels[-1][1].min() < FULL and max(levels[-1][1].shape) > 1:
        total, weight = levels[-1]
        levels.append((halve(total), halve(weight)))
    filled: np.ndarray | None = None
    for total, weight in reversed(levels):
        mean = total / np.maximum(weight, FULL)[..., None]
        if filled is not None:
            height, width = weight.shape
            coarse = filled.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
            mean = np.where(weight[..., None] >= FULL, mean, coarse)
        filled = mean
    assert filled is not None, "there is at least one level"
    return np.where(alpha[..., None] >= FULL, colour, filled).astype(np.float32)


def halve(values: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 blocks; the last row and column are repeated where the size is odd."""
    height, width = values.shape[:2]
    padding = [(0, height % 2), (0, width % 2)] + [(0, 0)] * (values.ndim - 2)
    values = np.pad(values, padding, mode="edge")
    return (values[0::2, 0::2] + values[1::2, 0::2] + values[0::2, 1::2] + values[1::2, 1::2]) / 4


def restore(image: np.ndarray, layer: Layer, scale: int) -> np.ndarray:
    """(H s, W s, C) in the values and channels that came in. Alpha is enlarged apart, bicubically."""
    colour = image[..., None] if image.ndim == 2 else image
    if (layer.low, layer.high) != (0.0, 1.0):
        colour = colour * (layer.high - layer.low) + layer.low
    if layer.alpha is None:
        return colour
    return np.concatenate([colour, enlarge(layer.alpha, scale)[..., None]], axis=2)


def enlarge(plane: np.ndarray, scale: int) -> np.ndarray:
    """(H, W) in [0, 1] to (H s, W s), the edges of the pixels aligned as in the engine."""
    if plane.min() == plane.max():
        return np.full([side * scale for side in plane.shape], plane.flat[0], dtype=np.float32)
    import torch
    import torch.nn.functional as F

    larger = F.interpolate(
        torch.from_numpy(np.ascontiguousarray(plane))[None, None], scale_factor=scale, mode="bicubic"
    )
    return larger[0, 0].clamp(0, 1).numpy()


def reduce(pixels: np.ndarray, scale: int) -> np.ndarray:
    """(H s, W s, C) to (H, W, C): the mean of each block, colours weighted by alpha."""
    height, width, channels = pixels.shape
    blocks = pixels.reshape(height // scale, scale, width // scale, scale, channels)
    if channels in (1, 3):
        return blocks.mean(axis=(1, 3))
    alpha = blocks[..., -1:]
    weight = np.maximum(alpha, FULL)
    colour = (blocks[..., :-1] * weight).sum(axis=(1, 3)) / weight.sum(axis=(1, 3))
    return np.concatenate([colour, alpha.mean(axis=(1, 3))], axis=2)
