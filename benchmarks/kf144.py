"""The benchmark's pairs, and SSIM on Y of YCbCr (BT.601), 16 HR pixels shaved off each side, as kf_core.scores.psnr."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kf_core.files.kernels import read_kernel
from kf_core.files.picture import read_picture
from kf_core.physics.blur import UniformBlur
from kf_core.pixels import to_array, to_tensor
from kf_core.scores import SHAVE, luma

FOLDER = Path(__file__).parent / "data" / "kf144"
PHOTOS = sorted(FOLDER.glob("*.png"))
KERNELS = sorted((FOLDER / "kernels").glob("*.npy"))
SCALE, BORDER = 4, 12


@dataclass(frozen=True)
class Pair:
    """One photograph and one kernel: HR (H, W, 3) and LR (h, w, 3) uint8, kernel (24, 24) float32."""

    name: str
    hr: np.ndarray
    lr: np.ndarray
    kernel: np.ndarray


def case_name(photo: int, kernel: int) -> str:
    return f"{PHOTOS[photo].stem} x {KERNELS[kernel].stem}"


def pair(photo: int, kernel: int, crop: int = 0) -> Pair:
    """Photograph and kernel by index 0..11; `crop` is the side in LR pixels of the centre that is kept, 0 for all."""
    hr = read_picture(PHOTOS[photo]).pixels
    taps = read_kernel(KERNELS[kernel]).astype(np.float32)
    taps /= taps.sum()
    return shrunk(case_name(photo, kernel), hr, taps, crop)


def shrunk(
    name: str,
    hr: np.ndarray,
    taps: np.ndarray,
    crop: int = 0,
    corner: int | None = None,
    place: tuple[float, ...] = (0.5, 0.5),
) -> Pair:
    """A photograph shrunk with a kernel; of both, the middle `crop` LR pixels are kept, or all where that is fewer.

    Args:
        corner: in place of the middle, 0..3: top left, top right, bottom left, bottom right.
        place: of what is kept, without a corner: how far down and across, 0..1.
    """
    lr = to_array(UniformBlur(torch.from_numpy(taps), SCALE).A(to_tensor(hr)), hr)
    height, width = (min(crop or side, side) for side in lr.shape[:2])
    spare = lr.shape[0] - height, lr.shape[1] - width
    top, left = (
        (int(s * share) for s, share in zip(spare, place, strict=True))
        if corner is None
        else (spare[0] * (corner // 2), spare[1] * (corner % 2))
    )
    lr = lr[top : top + height, left : left + width]
    hr = hr[SCALE * top : SCALE * (top + height), SCALE * left : SCALE * (left + width)]
    return Pair(name, hr, lr, taps)


def frame(shape: tuple[int, ...]) -> np.ndarray:
    """Mask of the outermost BORDER pixels."""
    mask = np.ones(shape[:2], dtype=bool)
    mask[BORDER:-BORDER, BORDER:-BORDER] = False
    return mask


def ssim(image: np.ndarray, truth: np.ndarray) -> float | None:
    """By torchmetrics (11x11 Gaussian window); None where it is not installed."""
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except ImportError:
        return None
    a, b = (torch.from_numpy(luma(x)[SHAVE:-SHAVE, SHAVE:-SHAVE])[None, None] for x in (image, truth))
    return float(structural_similarity_index_measure(a, b, data_range=255.0))
