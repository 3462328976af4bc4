"""Pixels that Pillow reads not at all, or silently as 8 bits: by OpenImageIO, imported when a file needs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from kf_core.errors import BadPicture, TooLarge

_MISSING = "Install the package openimageio, or save the photo as a PNG with 8 bits per colour."
LARGEST = 2**28  # samples that are unpacked at all


def read_deep(path: Path, bits: int = 16) -> np.ndarray | None:
    """(H, W, channels) as stored, not yet turned upright: uint16, or uint8 where `bits` are 8 or fewer.

    None where OpenImageIO cannot read it either. Transparency is left as the file has it. Raises BadPicture.
    """
    oiio = _openimageio(path.name, bits)
    asked = oiio.ImageSpec()
    asked.attribute("oiio:UnassociatedAlpha", 1)
    image, pixels = oiio.ImageInput.open(os.fspath(path), asked), None
    if image:
        spec = image.spec()
        if spec.width * spec.height * max(spec.nchannels, 3) > LARGEST:
            image.close()
            raise TooLarge(f"'{path.name}' has far too many pixels to be enlarged.", "Crop it first.")
        if image.seek_subimage(1, 0) and image.format_name() == "tiff":
            image.close()
            raise BadPicture(
                f"'{path.name}' holds more than one picture.", "Save the one you mean as a file of its own."
            )
        image.seek_subimage(0, 0)
        pixels = image.read_image(format=oiio.UINT16 if bits > 8 else oiio.UINT8)
        image.geterror()
        image.close()
    oiio.geterror()  # said in our words; left alone it would be printed
    return None if pixels is None else np.asarray(pixels)


def eight_bit(pixels: np.ndarray) -> np.ndarray:
    """uint8 or uint16 -> uint8, to the nearest."""
    return pixels if pixels.dtype == np.uint8 else np.round(pixels / 257).astype(np.uint8)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (H, W, ...) turned as the EXIF orientation 1..8 asks for."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _openimageio(name: str, bits: int) -> Any:
    try:
        import OpenImageIO
    except ImportError:
        what = f"has {bits} bits per colour" if bits > 8 else "is stored in an unusual way"
        raise BadPicture(f"'{name}' {what}, and what reads that is not installed.", _MISSING) from None
    return OpenImageIO
