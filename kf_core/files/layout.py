"""What the header of a picture says of its pixels, before any is unpacked; refuses by name what cannot be used."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from kf_core.errors import BadPicture
from kf_core.files import png, tiff

SAVE_AS = "Open it in an image editor and save it as an RGB or grey PNG, JPEG, TIFF or WebP."
JPEG_SIGNATURE = b"\xff\xd8\xff"
_PHOTOMETRIC = {
    4: "a transparency mask",
    5: "CMYK",
    6: "YCbCr",
    8: "LAB",
    9: "LAB (ICC)",
    10: "LAB (ITU)",
    32803: "a camera's colour filter",
    32844: "logarithmic luminance",
    32845: "logarithmic colour",
    34892: "a camera's linear raw values",
}
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 6: 3}  # samples that are colour
COPY_AGAIN = "Copy it again from where it came from."
_SAMPLES = {2: " signed", 3: " floating-point", 5: " complex", 6: " complex"}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"
)


@dataclass(frozen=True)
class Layout:
    """What the header of a picture says of how its pixels are stored.

    Attributes:
        kind: "PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000", "AVIF", "HEIC", or None: no format known here.
        bits: per colour.
        size: (width, height) of a TIFF.
        palette: its values are numbers of colours.
        tags: the first directory of a TIFF.
        white_is_zero: the values of a TIFF are those of a negative.
        alpha: which sample is the transparency; None: none is.
        premultiplied: the colours were multiplied with it.
        extras: samples that are neither colour nor transparency.
    """

    kind: str | None
    bits: int = 8
    size: tuple[int, int] = (0, 0)
    palette: bool = False
    tags: Mapping[int, Any] | None = None
    white_is_zero: bool = False
    alpha: int | None = None
    premultiplied: bool = False
    extras: int = 0


def examine(file: BinaryIO, name: str) -> Layout:
    """Raises BadPicture for pixels that are no 8- or 16-bit grey or RGB, as far as the header tells."""
    file.seek(0)
    header = file.read(64)
    kind = kind_of(header)
    if kind == "TIFF":
        try:
            return _tiff(file, name)
        except (ValueError, TypeError, OverflowError, IndexError):
            raise BadPicture(f"'{name}' is damaged or incomplete.", COPY_AGAIN) from None
    bits = 8
    if kind == "PNG" and header[12:16] == b"IHDR" and len(header) > 24:
        bits = header[24]
    elif kind == "JPEG2000":
        bits = _jpeg2000_bits(file)
    if bits not in range(17):
        raise _other_values(name, bits, "")
    return Layout(kind, bits)


def kind_of(header: bytes) -> str | None:
    """The format by its first bytes, at least 16."""
    if header[4:8] == b"ftyp":
        brands = [header[8:12], *(header[at : at + 4] for at in range(16, min(len(header), _box(header)), 4))]
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WEBP"
    for start, kind in (
        (png.SIGNATURE, "PNG"),
        (JPEG_SIGNATURE, "JPEG"),
        (b"GIF8", "GIF"),
        (b"BM", "BMP"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
        (b"\xff\x4f\xff\x51", "JPEG2000"),
    ):
        if header.startswith(start):
            return kind
    return "TIFF" if header.startswith(tiff.SIGNATURES) else None


def _tiff(file: BinaryIO, name: str) -> Layout:
    tags = tiff.read_tags(file)
    if not tags:
        return Layout("TIFF")
    if 50706 in tags or (330 in tags and tiff.numbers(tags, 254, 0)[0] & 1):  # DNG, or a preview that points to the raw
        raise BadPicture(f"'{name}' is a camera raw file.", "Develop it first and save it as a PNG or TIFF.")
    each, forms = tiff.numbers(tags, tiff.BITS, 1), tiff.numbers(tags, tiff.SAMPLE_FORMAT, 1)
    bits, form = max(each), next((_SAMPLES[form] for form in forms if form in _SAMPLES), "")
    if form or not (bits <= 8 or bits == 16):
        raise _other_values(name, bits, form)
    photometric = tiff.numbers(tags, tiff.PHOTOMETRIC, 1)[0]
    if photometric not in _COLOURS or (photometric in (3, 6) and bits == 16):
        kind = "a palette of 16 bits" if photometric == 3 else _PHOTOMETRIC.get(photometric, f"kind {photometric}")
        raise BadPicture(f"'{name}' has the colours {kind} rather than RGB or grey.", SAVE_AS)
    colours, samples = _COLOURS[photometric], tiff.numbers(tags, tiff.SAMPLES, 1)[0]
    extra = tiff.numbers(tags, tiff.EXTRA_SAMPLES)
    if len(set(each)) > 1 or samples < colours:
        raise BadPicture(f"'{name}' stores its colours in different ways.", SAVE_AS)
    alpha = next((colours + at for at, kind in enumerate(extra) if kind in (1, 2) and colours + at < samples), None)
    if not extra and samples == colours + 1:
        alpha = colours  # nobody says what it is; transparency is what it usually is
    return Layout(
        kind="TIFF",
        bits=bits,
        size=(tiff.numbers(tags, tiff.WIDTH, 0)[0], tiff.numbers(tags, tiff.HEIGHT, 0)[0]),
        palette=photometric == 3,
        tags=tags,
        white_is_zero=photometric == 0,
        alpha=alpha,
        premultiplied=alpha is not None and bool(extra) and extra[alpha - colours] == 1,
        extras=samples - colours - (alpha is not None),
    )


def _other_values(name: str, bits: int, form: str) -> BadPicture:
    what = f"{bits}-bit{form}" if form else f"{bits}-bit"
    return BadPicture(f"'{name}' stores {what} values; only unsigned ones of 8 and 16 bits can be used.", SAVE_AS)


def _box(header: bytes) -> int:
    return int(struct.unpack(">I", header[:4])[0])


def _jpeg2000_bits(file: BinaryIO) -> int:
    """From the size segment of the code stream; 8 where it is not found near the beginning."""
    file.seek(0)
    start = file.read(1 << 16)
    at = start.find(b"\xff\x4f\xff\x51")
    return (start[at + 42] & 0x7F) + 1 if at >= 0 and len(start) > at + 42 else 8
