"""What a public page accepts: pixels, bytes, seconds and visitors, and the sentence that says so."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kf_core import BadInput
from kf_core.files.fit import fit_kernel
from kf_core.files.kernels import READ as KERNEL_SUFFIXES
from kf_core.files.kernels import read_kernel
from kf_core.physics.kernel import largest_kernel_size
from kf_core.settings import SMALLEST

__all__ = [
    "KERNEL_SUFFIXES",
    "Limits",
    "check_photo_file",
    "check_prior_name",
    "check_size",
    "checked_kernel",
    "fitted_kernel",
    "on_zero_gpu",
    "read_kernel_file",
    "safe_stem",
]

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "MPO")
_ORIENTATION = 0x0112  # the EXIF tag
# A published prior is named by its commit: a name alone could be given other content between two visits.
_PRIOR_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}@[0-9a-f]{40}")


@dataclass(frozen=True)
class Limits:
    """Args:
    pixels: largest width x height of a photo that is worked on.
    decoded_pixels: largest width x height that is decoded at all, to choose a part of it.
    file_bytes: largest file that may be uploaded.
    seconds: longest run; then it is stopped.
    waiting: jobs in the queue, the running ones included, before newcomers are sent away.
    keep_seconds: how long the files of a visitor are kept.
    """

    pixels: int = 512 * 512
    decoded_pixels: int = 70_000_000
    file_bytes: int = 60 * 2**20
    seconds: float = 6 * 3600
    waiting: int = 30
    keep_seconds: int = 3600

    @classmethod
    def for_host(cls) -> Limits:
        """Generous at home; on a Hugging Face Space (it sets SPACE_ID) what its processor or its GPU minute can do."""
        if not os.environ.get("SPACE_ID"):
            return cls()
        if on_zero_gpu():
            return cls(pixels=384 * 384, file_bytes=40 * 2**20, seconds=110)
        return cls(pixels=160 * 160, file_bytes=40 * 2**20, seconds=900)

    @property
    def side(self) -> int:
        """Of the largest square photo."""
        return math.isqrt(self.pixels)


def on_zero_gpu() -> bool:
    """Whether the GPU is lent by the call, through the package that only such a Space has."""
    return bool(os.environ.get("SPACES_ZERO_GPU")) and importlib.util.find_spec("spaces") is not None


def check_photo_file(path: str | os.PathLike[str], limits: Limits) -> tuple[int, int]:
    """(width, height) as it is seen, read from the header only. Raises BadInput before anything is unpacked."""
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() not in PHOTO_SUFFIXES:
        raise BadInput(f"'{path.name}' is not a photo in a format known here.", "Use a PNG, JPEG, TIFF or WebP file.")
    if path.stat().st_size > limits.file_bytes:
        raise BadInput(f"'{path.name}' is larger than {limits.file_bytes // 2**20} MB.", "Crop it, or save it smaller.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the number of pixels is judged below
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                if _lies_on_its_side(image):
                    width, height = height, width
    except Image.DecompressionBombError:
        raise BadInput(f"'{path.name}' has far too many pixels.", "Crop it first.") from None
    except Exception as error:  # a damaged or hostile header makes Pillow raise nearly anything
        raise BadInput(
            f"'{path.name}' is not a photo that can be read.", "Use a PNG, JPEG, TIFF or WebP file."
        ) from error
    if width * height > limits.decoded_pixels:
        raise BadInput(
            f"'{path.name}' has {width} x {height} pixels, far too many.",
            f"Crop it to at most {limits.decoded_pixels // 10**6} megapixels first.",
        )
    if min(width, height) < SMALLEST:
        raise BadInput(
            f"'{path.name}' has {width} x {height} pixels, too few to learn from.",
            f"Use a photo of at least {SMALLEST} x {SMALLEST} pixels.",
        )
    return width, height


def _lies_on_its_side(image: Any) -> bool:
    """Whether it is seen turned by a quarter: a phone that was held upright. Unpacks nothing."""
    from PIL import Image

    if image.format == "PNG":  # whose getexif() would unpack the pixels, as there may be something behind them
        notes = Image.Exif()
        notes.load(image.info.get("exif"))
    else:
        notes = image.getexif()
    return notes.get(_ORIENTATION) in (5, 6, 7, 8)


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raises BadInput for more pixels than this page works on."""
    if width * height > limits.pixels:
        raise BadInput(
            f"The photo has {width} x {height} pixels; this page takes up to {limits.side} x {limits.side}.",
            "Choose a part of it, or let it be shrunk.",
        )


def read_kernel_file(path: str | os.PathLike[str], scale: int = 4) -> tuple[np.ndarray, tuple[str, ...]]:
    """(a kernel (K, K) with sum 1 that fits the scale, sentences about what was done to it) from an uploaded file of
    one of the kinds in KERNEL_SUFFIXES; nothing in it can run. Raises BadInput."""
    return fitted_kernel(read_kernel(path), scale)


def fitted_kernel(taps: np.ndarray, scale: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The same of an array. Raises BadInput."""
    largest = largest_kernel_size(scale)
    kernel, said = fit_kernel(taps, scale, largest)
    if len(kernel) > largest:
        raise BadInput(
            f"The kernel is too large for {scale}x.",
            f"Use one of at most {largest} x {largest} taps, or a larger scale.",
        )
    return checked_kernel(kernel, "The kernel"), said


def checked_kernel(kernel: np.ndarray, name: str) -> np.ndarray:
    """(K, K) float32 with sum 1. Raises BadInput."""
    total = float(kernel.sum())
    if not np.isfinite(kernel).all() or total <= 1e-6:
        raise BadInput(f"{name} is empty, or holds values that are not numbers.", "Give it a positive sum.")
    return (kernel / total).astype(np.float32)


def check_prior_name(name: str) -> str | None:
    """None for an empty name. Never a path: a visitor must not open files of the server. Raises BadInput."""
    name = (name or "").strip()
    if not name:
        return None
    if not _PRIOR_NAME.fullmatch(name):
        raise BadInput(
            f"'{name[:200]}' does not name a prior.",
            "Write OWNER/NAME@COMMIT, with the whole commit of 40 characters.",
        )
    return name


def safe_stem(name: str) -> str:
    """What is left of a visitor's file name to name the downloads with."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(name or "").stem).strip("_")
    return stem[:60] or "photo"
