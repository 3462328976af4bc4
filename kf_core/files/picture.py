"""Photographs in files: their pixels, colour profile and EXIF, read with a clear word on whatever cannot be used."""

from __future__ import annotations

import contextlib
import io
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from kf_core.errors import BadInput, BadPicture, CannotWrite, TooLarge, TooSmall
from kf_core.files.atomic import check_writable_folder, write_atomically
from kf_core.files.deep import eight_bit, encode_deep, read_deep, upright
from kf_core.settings import SMALLEST

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
# TIFF without compression: Pillow's compressing writer loses the EXIF block. Subsampling 0 is 4:4:4.
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
_PNG, _JPEG, _TIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX")  # Pillow's names of what can be converted
_SAVE_AS = "Open it in an image editor and save it as an 8-bit PNG, JPEG, TIFF or WebP."

_ORIENTATION, _EXIF_BLOCK, _GPS_BLOCK = 0x0112, 0x8769, 0x8825
# Description, make, model, software, date, artist, copyright. The rest of the main block says how this very file is
# stored (in a TIFF it is the file's layout), which is no longer true of the result.
_EXIF_KEPT = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
# Width and height, no longer true either; maker note and interoperability block, whose offsets break when moved.
_EXIF_DROPPED = (0xA002, 0xA003, 0x927C, 0xA005)


@dataclass(frozen=True, eq=False)
class Picture:
    """A photograph.

    Attributes:
        pixels: (H, W) grey or (H, W, 3) RGB, uint8 or uint16.
        profile: the ICC colour profile, None: sRGB by convention.
        dpi: horizontal and vertical resolution.
        exif: an EXIF block without orientation; the pixels are upright.
    """

    pixels: np.ndarray
    profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Reads a PNG, JPEG, TIFF or WebP, at least 32 x 32, upright; grey stays grey, palettes become RGB.

    PNG and TIFF may have 16 bits per colour. A WebP is always RGB, the format knows no grey. Of a JPEG with previews
    inside (MPO, usual in cameras) the photo itself is read. Raises BadInput for everything else.

    >>> import kf_core
    >>> from kf_core.examples import example
    >>> kf_core.read_picture(example("pan")).pixels.shape
    (128, 128, 3)
    """
    from PIL import Image

    path = Path(path)
    with _open(path) as file:
        try:
            return _decode(file, path)
        except (BadInput, MemoryError):
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # the latter where warnings are errors
            raise _far_too_large(path.name) from None
        except Exception as error:  # a damaged file makes Pillow raise nearly anything
            raise _unreadable(file, path.name) from error


def write_picture(path: str | os.PathLike[str], picture: Picture) -> None:
    """Writes `picture` in the format its suffix names, atomically, with profile, dpi (WebP knows none) and EXIF.

    JPEG is written at quality 95 without colour subsampling, everything else without loss. Raises BadInput when that
    is not possible, and ValueError if the pixels are not uint8 or uint16 of shape (H, W) or (H, W, 3). 16 bits stay in
    PNG and TIFF, without EXIF; JPEG and WebP hold 8.

    >>> import kf_core, numpy as np
    >>> kf_core.write_picture("grey.png", kf_core.Picture(np.full((32, 48, 3), 128, np.uint8)))
    >>> kf_core.read_picture("grey.png").pixels.shape
    (32, 48, 3)
    """
    path = Path(path)
    data = _encode(picture, _format_of(path), path.name)
    write_atomically(path, lambda file: file.write(data))


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises BadInput if write_picture would fail for the suffix or folder of `path`: to be asked before long work."""
    _format_of(Path(path))
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
        reason = (error.strerror or str(error)).lower()
        raise BadPicture(f"'{path.name}' could not be read: {reason}.", "Check its name and permissions.") from error


def _decode(file: BinaryIO, path: Path) -> Picture:
    """Raises BadInput or whatever Pillow raises."""
    from PIL import Image

    name = path.name
    bits = _bits(file, name)
    file.seek(0)
    image = Image.open(file, formats=sorted(set(FORMATS.values())))
    pictures = getattr(image, "n_frames", 1)
    if image.format != "MPO" and pictures > 1:
        raise BadPicture(f"'{name}' holds {pictures} pictures.", "Save the one you mean as a file of its own.")
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):  # Pillow only warns
        raise _far_too_large(name)
    if min(image.size) < SMALLEST:
        raise TooSmall(
            f"'{name}' has {image.width} x {image.height} pixels, too few to learn from.",
            f"Use a photo of at least {SMALLEST} x {SMALLEST} pixels.",
        )
    if bits == 16:
        return _decode_deep(image, path)
    if image.mode not in _MODES:
        raise BadPicture(f"'{name}' has the colours {image.mode} rather than RGB or grey.", _SAVE_AS)
    image.load()
    orientation, exif = _orientation_and_exif(image)
    pixels = upright(np.array(_opaque(image, name)), orientation)
    return Picture(pixels, image.info.get("icc_profile") or None, _dpi(image), exif)


def _decode_deep(image: Image.Image, path: Path) -> Picture:
    """What Pillow would make of the pixels is left aside; the rest it reads well."""
    orientation, exif = _orientation_and_exif(image)
    pixels = upright(read_deep(path), orientation)
    if pixels.shape[2] in (2, 4):
        if (pixels[..., -1] < 65535).any():
            raise _transparent(path.name)
        pixels = pixels[..., :-1]
    if pixels.shape[2] not in (1, 3):
        raise BadPicture(f"'{path.name}' has {pixels.shape[2]} colours rather than RGB or grey.", _SAVE_AS)
    pixels = np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return Picture(pixels, image.info.get("icc_profile") or None, _dpi(image), exif)


def _transparent(name: str) -> BadPicture:
    return BadPicture(f"'{name}' has transparent parts.", "Save it without transparency (alpha channel).")


def _far_too_large(name: str) -> TooLarge:
    return TooLarge(f"'{name}' has far too many pixels to be enlarged.", "Crop it first.")


def _bits(file: BinaryIO, name: str) -> int:
    """Bits per colour, at most 16; 8 where nobody says. Refuses floating point and the preview of a camera raw."""
    header = file.read(32)
    bits, kind = 8, "bit"
    if header.startswith(_PNG) and header[12:16] == b"IHDR" and len(header) == 32:
        bits = header[24]
    elif header.startswith(_TIFF):
        tags = _tiff_tags(file, header)
        bits = int(np.max(tags.get(258, 1)))
        kind = "bit floating-point" if 3 in np.ravel(tags.get(339, 1)) else "bit"
        if 50706 in tags or (330 in tags and tags.get(254, 0) & 1):  # DNG, or a preview that points to the raw
            raise BadPicture(f"'{name}' is a camera raw file.", "Develop it first and save it as an 8-bit PNG or TIFF.")
    if bits not in range(17) or (bits > 8 and (bits < 16 or kind != "bit")):
        raise BadPicture(f"'{name}' stores {bits}-{kind} values; only 8 and 16 bits can be used.", _SAVE_AS)
    return bits


def _tiff_tags(file: BinaryIO, header: bytes) -> dict[int, Any]:
    """The first directory of a TIFF; empty if it cannot be read, of which Pillow's reader will complain."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    with contextlib.suppress(Exception):
        tags = ImageFileDirectory_v2(header[: 16 if b"+" in header[:4] else 8])
        file.seek(tags.next)
        tags.load(file)
        return dict(tags)
    return {}


def _opaque(image: Image.Image, name: str) -> Image.Image:
    """The image as L or RGB. Raises BadInput if one can see through it anywhere."""
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        image = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)).convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            raise _transparent(name)
    return image.convert("L" if grey else "RGB")


def _orientation_and_exif(image: Image.Image) -> tuple[int, bytes | None]:
    """(1..8, the EXIF that stays true). Senseless EXIF is dropped; a TIFF says 1, Pillow having turned its pixels."""
    from PIL.Image import Exif

    orientation, kept = 1, Exif()
    with contextlib.suppress(Exception):
        exif = image.getexif()
        orientation = int(exif.get(_ORIENTATION, 1))
        kept.update({tag: exif[tag] for tag in _EXIF_KEPT if tag in exif})
        for block in (_EXIF_BLOCK, _GPS_BLOCK):
            entries = {tag: value for tag, value in exif.get_ifd(block).items() if tag not in _EXIF_DROPPED}
            if entries:
                kept[block] = entries
        return orientation, kept.tobytes() if len(kept) else None
    return orientation, None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    with contextlib.suppress(KeyError, TypeError, ValueError, ZeroDivisionError):
        x, y = (float(value) for value in image.info["dpi"])
        if 0 < x < math.inf and 0 < y < math.inf:
            return x, y
    return None


def _unreadable(file: BinaryIO, name: str) -> BadInput:
    """Why Pillow could not read `file` as one of the four formats."""
    from PIL import Image

    file.seek(0)
    header = file.read(16)
    if header.startswith((_PNG, _JPEG, *_TIFF)) or (header[:4], header[8:12]) == (b"RIFF", b"WEBP"):
        return BadPicture(f"'{name}' is damaged or incomplete.", "Copy it again from where it came from.")
    kind = "HEIC" if header[4:8] == b"ftyp" and header[8:12] in (b"heic", b"heix", b"mif1") else None
    with contextlib.suppress(Exception):
        file.seek(0)
        kind = kind or Image.open(file).format
    if kind:
        return BadPicture(f"'{name}' is a {kind} file, which cannot be used.", _SAVE_AS)
    return BadPicture(f"'{name}' is not a photo in a format known here.", "Use a PNG, JPEG, TIFF or WebP file.")


def _format_of(path: Path) -> str:
    if path.suffix.lower() not in FORMATS:
        raise CannotWrite(f"'{path.name}' does not say which format to write.", f"End it in {', '.join(FORMATS)}.")
    return FORMATS[path.suffix.lower()]


def _encode(picture: Picture, format: str, name: str) -> bytes:
    from PIL import Image

    pixels = np.ascontiguousarray(picture.pixels)
    if pixels.dtype not in (np.uint8, np.uint16) or not (
        pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    ):
        raise ValueError(f"pixels are {pixels.dtype} {pixels.shape} instead of uint8 or uint16, (H, W) or (H, W, 3)")
    profile = picture.profile
    if profile and profile[16:20] == b"GRAY" and (pixels.ndim == 3 or format == "WEBP"):
        profile = None  # it cannot describe RGB, and readers turn the picture down for it
    notes = {"icc_profile": profile, "dpi": picture.dpi, "exif": picture.exif}
    options = _SAVE_OPTIONS.get(format, {}) | {key: value for key, value in notes.items() if value is not None}
    buffer = io.BytesIO()  # in memory first, so that an error below is the encoder's and not the disk's
    try:
        if pixels.dtype == np.uint16:
            if format in ("PNG", "TIFF"):
                return encode_deep(pixels, f".{format[:3].lower()}", profile, picture.dpi)
            pixels = eight_bit(pixels)
        Image.fromarray(pixels).save(buffer, format, **options)
    except MemoryError:
        raise
    except Exception as error:
        what = f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
        raise CannotWrite(f"'{name}' cannot hold {what} as {format}.", "Write a .png instead.") from error
    return buffer.getvalue()
