"""The benchmark's pairs and scores. PSNR and SSIM on Y of YCbCr (BT.601), 16 HR pixels shaved off each side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kf_core.files.picture import read_picture
from kf_core.physics.blur import Degradation
from kf_core.pixels import to_array, to_tensor

FOLDER = Path(__file__).parent / "data" / "kf144"
PHOTOS = sorted(FOLDER.glob("*.png"))
KERNELS = sorted((FOLDER / "kernels").glob("*.npy"))
SCALE, SHAVE, BORDER = 4, 16, 12


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
    taps = np.load(KERNELS[kernel]).astype(np.float32)
    taps /= taps.sum()
    return shrunk(case_name(photo, kernel), hr, taps, crop)


def shrunk(name: str, hr: np.ndarray, taps: np.ndarray, crop: int = 0, corner: int | None = None) -> Pair:
    """A photograph shrunk with a kernel; of both, the middle `crop` LR pixels are kept, or all where that is fewer.

    Args:
        corner: in place of the middle, 0..3: top left, top right, bottom left, bottom right.
    """
    lr = to_array(Degradation(taps.shape[0], SCALE)(to_tensor(hr), torch.from_numpy(taps)), hr)
    height, width = (min(crop or side, side) for side in lr.shape[:2])
    spare = lr.shape[0] - height, lr.shape[1] - width
    top, left = (s // 2 for s in spare) if corner is None else (spare[0] * (corner // 2), spare[1] * (corner % 2))
    lr = lr[top : top + height, left : left + width]
    hr = hr[SCALE * top : SCALE * (top + height), SCALE * left : SCALE * (left + width)]
    return Pair(name, hr, lr, taps)


def luma(image: np.ndarray) -> np.ndarray:
    """Y of BT.601 in studio range, as MATLAB's rgb2ycbcr: (H, W) float64 in 16..235."""
    return 16 + image.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255


def psnr(image: np.ndarray, truth: np.ndarray, where: slice | np.ndarray | None = None) -> float:
    error = (luma(image) - luma(truth)) ** 2
    error = error[SHAVE:-SHAVE, SHAVE:-SHAVE] if where is None else error[where]
    return float(10 * np.log10(255**2 / max(error.mean(), 1e-12)))


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
