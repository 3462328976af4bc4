"""Pixels of 16 bits, which Pillow silently reads as 8: by OpenImageIO, imported when a file needs it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from kf_core.errors import BadPicture

_MISSING = "Install the package openimageio, or save the photo with 8 bits per colour."


def read_deep(path: Path) -> np.ndarray:
    """(H, W, channels) uint16 of a 16-bit PNG or TIFF, not yet turned upright. Raises BadPicture."""
    oiio = _openimageio(path.name)
    image = oiio.ImageInput.open(os.fspath(path))
    pixels = image.read_image(format=oiio.UINT16) if image else None
    oiio.geterror()  # said in our words below; left alone it would be printed
    if image:
        image.geterror()
        image.close()
    if pixels is None:
        raise BadPicture(f"'{path.name}' is damaged or incomplete.", "Copy it again from where it came from.")
    return np.asarray(pixels)


def encode_deep(pixels: np.ndarray, suffix: str, profile: bytes | None, dpi: tuple[float, float] | None) -> bytes:
    """A file of uint16 pixels (H, W) or (H, W, 3), as `suffix` (.png, .tif) names it."""
    oiio = _openimageio(f"*{suffix}")
    height, width, channels = (*pixels.shape, 1)[:3]
    spec = oiio.ImageSpec(width, height, channels, oiio.UINT16)
    if profile:
        spec.attribute("ICCProfile", oiio.TypeDesc(f"uint8[{len(profile)}]"), np.frombuffer(profile, np.uint8))
    if dpi:
        spec.attribute("XResolution", float(dpi[0]))
        spec.attribute("YResolution", float(dpi[1]))
        spec.attribute("ResolutionUnit", "in")
    if suffix != ".png":
        spec.attribute("compression", "zip")
    with tempfile.TemporaryDirectory() as folder:  # it writes to names only
        path = os.path.join(folder, f"picture{suffix}")
        out = oiio.ImageOutput.create(path)
        if not (
            out
            and out.open(path, spec)
            and out.write_image(np.ascontiguousarray(pixels).reshape(height, width, channels))
            and out.close()
        ):
            reason = out.geterror() if out else oiio.geterror()
            raise OSError(reason)
        return Path(path).read_bytes()


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


def _openimageio(name: str) -> Any:
    try:
        import OpenImageIO
    except ImportError:
        raise BadPicture(f"'{name}' has 16 bits per colour, and what reads those is not installed.", _MISSING) from None
    return OpenImageIO
