"""Photographs in files: pixels, transparency and what stands beside them, with a clear word on what cannot be used."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kf_core.errors import BadInput, BadPicture, reason
from kf_core.files import icc
from kf_core.files.atomic import check_writable_folder, write_atomically
from kf_core.files.decode import decode, far_too_large, why_unreadable
from kf_core.files.encode import FORMATS, check_fits, encode
from kf_core.files.notes import Notes

__all__ = ["FORMATS", "Notes", "Picture", "check_writable", "read_picture", "write_picture"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A photograph.

    Attributes:
        pixels: (H, W) grey or (H, W, 3) RGB, uint8 or uint16.
        profile: the ICC colour profile, None: sRGB by convention.
        dpi: horizontal and vertical resolution in pixels per inch; None: not stated.
        exif: an EXIF block without orientation, as the pixels are upright; None: none.
        alpha: (H, W) of the dtype of the pixels, 0 where it is transparent, full where it is opaque; None: opaque.
        notes: what else the file says of itself: XMP, IPTC, texts.
        warnings: sentences about what was left out when it was read.
    """

    pixels: np.ndarray
    profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    alpha: np.ndarray | None = None
    notes: Notes = field(default_factory=Notes)
    warnings: tuple[str, ...] = ()


def read_picture(path: str | os.PathLike[str], *, transparency: bool = False) -> Picture:
    """Reads a photo of at least 32 x 32 pixels, upright; grey stays grey, palettes become RGB.

    PNG, JPEG, TIFF, WebP, AVIF, GIF, BMP and JPEG 2000, and HEIC where pillow-heif is installed. PNG, TIFF and JPEG
    2000 may have 16 bits per colour. A WebP or AVIF is always RGB. Of a JPEG with previews inside (MPO, usual in
    cameras) the photo itself is read.

    Args:
        transparency: True: a picture with transparent parts is read, with its `alpha`; False: it is refused.

    Raises:
        BadPicture: there is no such file, or it is damaged, too small, or of another kind; a BadInput.

    >>> import kf_core
    >>> from kf_core.examples import example
    >>> kf_core.read_picture(example("pan")).pixels.shape
    (128, 128, 3)
    """
    from PIL import Image

    path = Path(path)
    with _open(path) as file:
        try:
            pixels, alpha, beside, warnings = decode(file, path)
        except (BadInput, MemoryError):
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # the latter where warnings are errors
            raise far_too_large(path.name) from None
        except Exception as error:  # a damaged file makes the libraries raise nearly anything
            raise why_unreadable(file, path.name) from error
    if alpha is not None and not transparency:
        raise BadPicture(f"'{path.name}' has transparent parts.", "Save it without transparency (alpha channel).")
    grey, profile = pixels.ndim == 2, beside.profile
    if profile and icc.space_of(profile) not in ("RGB", "GRAY"):
        profile = None
        warnings += (f"The colour profile of '{path.name}' describes other colours than its own, and was left out.",)
    profile = icc.fitting(profile, grey) or icc.from_png(beside.notes.colour, grey)
    return Picture(pixels, profile, beside.dpi, beside.exif, alpha, beside.notes, warnings)


def write_picture(path: str | os.PathLike[str], picture: Picture, *, quality: int | None = None) -> tuple[str, ...]:
    """Writes `picture` in the format its suffix names, atomically, with what the format can hold of the rest.

    JPEG is written at quality 95 and AVIF at 90, both without colour subsampling, and everything else without loss.
    16 bits stay in PNG and TIFF; JPEG, WebP and AVIF hold 8. A profile for other colours than those of the pixels is
    never written.

    Args:
        quality: 1 to 100, of JPEG, AVIF, and of WebP, which then is no longer without loss.

    Returns:
        Sentences about what the format could not hold, such as a colour profile or the second eight bits.

    Raises:
        BadInput: the format cannot hold the picture, or the file cannot be written there.
        ValueError: the pixels are not uint8 or uint16 of shape (H, W) or (H, W, 3).

    >>> import kf_core, numpy as np
    >>> kf_core.write_picture("grey.png", kf_core.Picture(np.full((32, 48, 3), 128, np.uint8)))
    ()
    >>> kf_core.read_picture("grey.png").pixels.shape
    (32, 48, 3)
    """
    path = Path(path)
    data, warnings = encode(picture, path, quality)
    write_atomically(path, lambda file: file.write(data))
    return warnings


def check_writable(
    path: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    transparent: bool = False,
    quality: int | None = None,
) -> None:
    """Raises BadInput if write_picture would fail for the suffix, name or folder of `path`, or for a picture of that
    size (height, width): to be asked before long work."""
    check_fits(Path(path), size, transparent, quality)
    check_writable_folder(path)


def _open(path: Path) -> BinaryIO:
    choose = "Choose a PNG, JPEG, TIFF or WebP file."
    try:
        if os.path.isdir(path):
            raise BadPicture(f"'{path}' is a folder.", choose)
        if not os.path.exists(path):
            raise BadPicture(f"There is no file '{path}'.", "Check its name and folder.")
        if not os.path.isfile(path):  # reading a pipe or a device may never end
            raise BadPicture(f"'{path}' is not an ordinary file.", choose)
        if path.stat().st_size == 0:
            raise BadPicture(f"'{path.name}' is empty.", "Copy it again from where it came from.")
        return open(path, "rb")
    except OSError as error:
        raise BadPicture(
            f"'{path.name}' could not be read: {reason(error)}.", "Check its name and permissions."
        ) from error
