"""Pictures into the bytes of a file, with whatever the format can hold of what stood beside the pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kf_core.errors import CannotWrite
from kf_core.files import icc, png, tiff
from kf_core.files.deep import eight_bit
from kf_core.files.notes import cleaned, exif_tags, exif_with, jpeg_iptc, xmp_of

if TYPE_CHECKING:
    from kf_core.files.picture import Picture

_SEGMENT = 65_500  # bytes of one note in a JPEG


@dataclass(frozen=True)
class Format:
    """What a format of pictures can hold.

    Attributes:
        name: Pillow's.
        largest_side: pixels.
        transparency, deep, lossy, resolution: whether it can hold an alpha channel and 16 bits, and knows a quality and
            dots per inch.
    """

    name: str
    largest_side: int
    transparency: bool = True
    deep: bool = False
    lossy: bool = False
    resolution: bool = True

    @property
    def label(self) -> str:
        """Its name as people write it."""
        return "WebP" if self.name == "WEBP" else self.name


_JPEG = Format("JPEG", 65_500, transparency=False, lossy=True)
_TIFF = Format("TIFF", 2**31 - 1, deep=True)
FORMATS = {
    ".png": Format("PNG", 2**31 - 1, deep=True),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WEBP", 16_383, lossy=True, resolution=False),
    ".avif": Format("AVIF", 16_384, lossy=True, resolution=False),
}
# Subsampling 0 is 4:4:4. A WebP is lossless until a quality is asked for.
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
}


def format_of(path: Path) -> Format:
    """By the suffix. Raises CannotWrite for one that no format here has."""
    if path.suffix.lower() not in FORMATS:
        raise CannotWrite(f"'{path.name}' does not say which format to write.", f"End it in {', '.join(FORMATS)}.")
    return FORMATS[path.suffix.lower()]


def check_fits(
    path: Path, size: tuple[int, int] | None = None, transparent: bool = False, quality: int | None = None
) -> None:
    """Raises CannotWrite if the format that `path` names cannot hold such a picture, so that nobody works for it.

    Args:
        size: (height, width).
    """
    form = format_of(path)
    if form.name == "AVIF":
        from PIL import features

        if not features.check("avif"):
            raise CannotWrite("The Pillow installed cannot write AVIF.", "Write a .png or .webp instead.")
    if size and max(size) > form.largest_side:
        raise CannotWrite(
            f"'{path.name}' cannot hold {size[1]} x {size[0]} pixels: {form.label} ends at {form.largest_side} a side.",
            "Write a .png or .tif instead.",
        )
    if transparent and not form.transparency:
        raise CannotWrite(
            f"'{path.name}' cannot hold the transparency of the photo: {form.label} knows none.",
            "Write a .png, .tif or .webp instead.",
        )
    if quality is not None and not form.lossy:
        raise CannotWrite(
            f"'{path.name}' has no quality to choose: {form.label} is written without loss.",
            "Leave the quality out, or write a .jpg, .webp or .avif.",
        )
    if quality is not None and not 1 <= quality <= 100:
        raise CannotWrite(f"There is no quality {quality}.", "Give one from 1 to 100; 90 is usual.")


def encode(picture: Picture, path: Path, quality: int | None = None) -> tuple[bytes, tuple[str, ...]]:
    """(the file, sentences about what it could not hold). Raises CannotWrite, or ValueError for other pixels."""
    pixels, form = checked_samples(picture), format_of(path)
    picture = replace(picture, notes=replace(picture.notes, xmp=cleaned(picture.notes.xmp)))
    check_fits(path, picture.pixels.shape[:2], picture.alpha is not None, quality)
    if pixels.dtype == np.uint16 and not form.deep:
        pixels = eight_bit(pixels)
    try:  # in memory first, so that an error here is the encoder's and not the disk's
        if form.name == "PNG":
            return _png(picture, pixels)
        if form.name == "TIFF":
            return _tiff(picture, pixels)
        return _by_pillow(picture, pixels, form, quality)
    except (MemoryError, CannotWrite):
        raise
    except Exception as error:
        what = f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
        raise CannotWrite(f"'{path.name}' cannot hold {what} as {form.label}.", "Write a .png instead.") from error


def checked_samples(picture: Picture) -> np.ndarray:
    """(H, W) or (H, W, 2..4): the colours, and the transparency as the last channel. Raises ValueError."""
    pixels, alpha = np.ascontiguousarray(picture.pixels), picture.alpha
    if pixels.dtype not in (np.uint8, np.uint16) or not (
        pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    ):
        raise ValueError(f"pixels are {pixels.dtype} {pixels.shape} instead of uint8 or uint16, (H, W) or (H, W, 3)")
    if alpha is None:
        return pixels
    if alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype:
        raise ValueError(f"alpha is {alpha.dtype} {alpha.shape}, the pixels are {pixels.dtype} {pixels.shape}")
    return np.dstack([pixels, alpha])


def _png(picture: Picture, pixels: np.ndarray) -> tuple[bytes, tuple[str, ...]]:
    from PIL import Image

    notes = picture.notes
    chunks = list(notes.colour)
    if profile := icc.fitting(picture.profile, grey=picture.pixels.ndim == 2):
        chunks = [chunk for chunk in chunks if chunk[0] != b"sRGB"] + [png.profile_chunk(profile)]
    if picture.dpi:
        chunks.append(png.resolution_chunk(picture.dpi))
    if picture.exif:
        chunks.append((b"eXIf", picture.exif.removeprefix(b"Exif\0\0")))
    chunks += png.text_chunks(notes.text, notes.xmp, notes.iptc)
    if pixels.dtype == np.uint16:
        return png.encode(pixels, chunks), ()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return png.with_notes(buffer.getvalue(), chunks), ()


def _tiff(picture: Picture, pixels: np.ndarray) -> tuple[bytes, tuple[str, ...]]:
    notes = picture.notes
    profile, warnings = _profile(picture, grey=picture.pixels.ndim == 2)
    tags, kinds = exif_tags(exif_with(picture.exif, notes.text)), {}
    for number, kind, value in (
        (tiff.PROFILE, 7, profile),
        (tiff.XMP, 1, notes.xmp or xmp_of(notes.text)),
        (tiff.IPTC, 7, notes.iptc),
    ):
        if value:
            tags[number], kinds[number] = value, kind
    if picture.dpi:
        x, y = (min(each, 2**31 - 1) for each in picture.dpi)
        tags |= {tiff.X_RESOLUTION: x, tiff.Y_RESOLUTION: y, tiff.RESOLUTION_UNIT: 2}
    return tiff.encode(pixels, tags, kinds), warnings


def _by_pillow(
    picture: Picture, pixels: np.ndarray, form: Format, quality: int | None
) -> tuple[bytes, tuple[str, ...]]:
    from PIL import Image

    notes, jpeg = picture.notes, form.name == "JPEG"
    profile, warnings = _profile(picture, grey=picture.pixels.ndim == 2 and jpeg)
    options = dict(_OPTIONS[form.name])
    if quality is not None:
        options = {name: value for name, value in options.items() if name != "lossless"} | {"quality": quality}
    values: dict[str, Any] = {
        "exif": exif_with(picture.exif, notes.text),
        "xmp": notes.xmp or xmp_of(notes.text),
        "icc_profile": profile,
    }
    if jpeg:
        values["comment"] = dict(notes.text).get("Comment", "").encode("utf-8", "replace")
        values["extra"] = jpeg_iptc(notes.iptc) if notes.iptc and len(notes.iptc) < _SEGMENT - 40 else b""
        if picture.dpi and max(picture.dpi) < 65_535:
            options["dpi"] = tuple(picture.dpi)
        for name, what in (("exif", "EXIF"), ("xmp", "XMP"), ("comment", "comment")):
            if len(values[name] or b"") > _SEGMENT:
                values[name] = None
                warnings += (f"The {what} of the photo is too long for a JPEG, and was left out.",)
    if notes.iptc and not values.get("extra"):
        warnings += (f"The IPTC notes of the photo do not fit into a {form.label}, and were left out.",)
    options |= {name: value for name, value in values.items() if value}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form.name, **options)
    return buffer.getvalue(), warnings


def _profile(picture: Picture, grey: bool) -> tuple[bytes | None, tuple[str, ...]]:
    """What a format without the chunks of PNG says of the colours, and a word where it cannot."""
    colour = dict(picture.notes.colour)
    profile = icc.fitting(picture.profile, grey) or icc.from_png(picture.notes.colour, grey)
    if profile is None and b"cICP" in colour and not icc.knows(colour[b"cICP"]):
        return None, ("The photo's colours (HDR) can only be described in a .png; here they will look different.",)
    return profile, ()
