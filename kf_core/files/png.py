"""The chunks of a PNG: which there are, what they say of colour and text, and how to add some.

Pillow refuses a whole file for one note that is too long, and forgets the chunks about colour; here the notes are read
and written apart from the pixels.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FOR_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")  # what Pillow needs; it never sees the rest
COLOUR = (b"cICP", b"mDCV", b"cLLI", b"gAMA", b"cHRM", b"sRGB")  # what the numbers mean, as the specification ranks it
_XMP = "XML:com.adobe.xmp"
_IPTC = "Raw profile type iptc"  # ImageMagick's convention, which ExifTool reads too
_EXIF = ("Raw profile type exif", "Raw profile type APP1")
LONGEST_TEXT, LONGEST_PROFILE = 1 << 20, 1 << 25  # bytes, unpacked
LONGEST_TEXTS = 1 << 23  # of all notes together

Chunk = tuple[bytes, bytes]  # name and data


@dataclass(frozen=True)
class PngNotes:
    """What a PNG says beside its pixels; `dropped` names the notes that were too long or broken."""

    colour: tuple[Chunk, ...] = ()
    profile: bytes | None = None
    text: tuple[tuple[str, str], ...] = ()
    xmp: bytes | None = None
    iptc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    dropped: tuple[str, ...] = ()


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its data begin, their length) of each chunk, to the end or to where the file breaks off."""
    file.seek(0, io.SEEK_END)
    end, at = file.tell(), len(SIGNATURE)
    while at + 12 <= end:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if length > end - at - 12:
            return
        yield name, at + 8, length
        if name == b"IEND":
            return
        at += 12 + length


def frames(file: BinaryIO) -> int:
    """How many pictures an animation has; 1: it is none."""
    found = [name for name, _, length in chunks(file) if (name, length) in ((b"acTL", 8), (b"fcTL", 26))]
    return max(1, found.count(b"fcTL")) if b"acTL" in found else 1


def for_pixels(file: BinaryIO) -> BinaryIO:
    """The PNG without its notes: what Pillow is given."""
    kept, after, kind = io.BytesIO(), len(SIGNATURE), -1
    kept.write(SIGNATURE)
    for name, at, length in chunks(file):
        after = at + length + 4
        if name == b"IHDR" and length == 13:
            kind = _data(file, at, length)[9]
        transparent = name == b"tRNS" and (length == {0: 2, 2: 6}.get(kind) or (kind == 3 and 0 < length <= 256))
        if name in _FOR_PIXELS or transparent:
            file.seek(at - 8)
            kept.write(file.read(length + 12))
    file.seek(after)
    kept.write(file.read())  # where the file breaks off Pillow shall see it too
    kept.seek(0)
    return kept


def read_notes(file: BinaryIO) -> PngNotes:
    """All that a PNG says of colour, and its texts. What is broken or too long costs only itself."""
    colour: list[Chunk] = []
    text: list[tuple[str, str]] = []
    dropped: list[str] = []
    profile = xmp = iptc = exif = dpi = None
    room = LONGEST_TEXTS
    for name, at, length in chunks(file):
        if name in COLOUR and length <= 64:
            colour.append((name, _data(file, at, length)))
        elif name == b"pHYs" and length == 9:
            x, y, unit = struct.unpack(">IIB", _data(file, at, length))
            dpi = (x * 0.0254, y * 0.0254) if unit == 1 and x and y else None
        elif name == b"eXIf" and length <= LONGEST_TEXT:
            exif = _data(file, at, length)
        elif name == b"iCCP" and profile is None and "colour profile" not in dropped:
            profile = _profile(_data(file, at, min(length, LONGEST_PROFILE)))
            if profile is None:
                dropped.append("colour profile")
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            key, value = _text(name, _data(file, at, min(length, LONGEST_TEXT + 4096)), length)
            if value is None or len(value) > room:
                dropped.append(f"note '{key}'")
            elif key == _XMP:
                xmp = value.encode()
            elif key == _IPTC:
                iptc = _from_hex(value)
            elif key in _EXIF:
                exif = exif or _from_hex(value)
            elif not key.startswith("Raw profile type"):
                text.append((key, value))
                room -= len(value)
    return PngNotes(tuple(colour), profile, tuple(text), xmp, iptc, exif, dpi, tuple(dropped))


def text_chunks(text: Iterable[tuple[str, str]], xmp: bytes | None, iptc: bytes | None) -> list[Chunk]:
    """The chunks that say the same again."""
    made = []
    for key, value in text:
        keyword = key.encode("latin-1", "replace")[:79]
        with contextlib.suppress(UnicodeEncodeError):
            made.append((b"tEXt", keyword + b"\0" + value.encode("latin-1")))
            continue
        made.append((b"iTXt", keyword + b"\0\0\0\0\0" + value.encode("utf-8", "replace")))
    if xmp:
        made.append((b"iTXt", _XMP.encode() + b"\0\0\0\0\0" + xmp))
    if iptc:
        lines = f"\niptc\n{len(iptc):8d}\n{iptc.hex()}\n"
        made.append((b"zTXt", _IPTC.encode() + b"\0\0" + zlib.compress(lines.encode())))
    return made


def profile_chunk(profile: bytes) -> Chunk:
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)


def resolution_chunk(dpi: tuple[float, float]) -> Chunk:
    x, y = (min(round(each / 0.0254), 2**31 - 1) for each in dpi)
    return b"pHYs", struct.pack(">IIB", x, y, 1)


def encode(pixels: np.ndarray, notes: Iterable[Chunk]) -> bytes:
    """A PNG of uint8 or uint16 pixels (H, W) or (H, W, 1..4): grey, grey + alpha, RGB, RGB + alpha."""
    height, width, channels = (*pixels.shape, 1)[:3]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, kind, 0, 0, 0)
    body = [(b"IHDR", header), *notes, (b"IDAT", _packed(pixels.reshape(height, width, channels))), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(name, data) for name, data in body)


def with_notes(png: bytes, notes: Iterable[Chunk]) -> bytes:
    """The PNG with those chunks right after its header, where all of them are allowed."""
    after = len(SIGNATURE) + 25
    return png[:after] + b"".join(_chunk(name, data) for name, data in notes) + png[after:]


def _packed(pixels: np.ndarray) -> bytes:
    """Rows filtered by their difference from the one above, compressed in bands."""
    height = len(pixels)
    rows = np.frombuffer(pixels.astype(pixels.dtype.newbyteorder(">")).tobytes(), np.uint8).reshape(height, -1)
    packer, packed, above = zlib.compressobj(6), [], np.zeros_like(rows[:1])
    for start in range(0, height, 64):
        band = rows[start : start + 64]
        filtered = np.full((len(band), band.shape[1] + 1), 2, np.uint8)
        filtered[:, 1:] = band - np.concatenate([above, band[:-1]])
        packed.append(packer.compress(filtered.tobytes()))
        above = band[-1:]
    return b"".join([*packed, packer.flush()])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _data(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


def _inflate(data: bytes, longest: int) -> bytes | None:
    """None where it is broken, or longer than allowed."""
    with contextlib.suppress(zlib.error):
        unpacker = zlib.decompressobj()
        unpacked = unpacker.decompress(data, longest)
        return unpacked if unpacker.eof else None
    return None


def _profile(data: bytes) -> bytes | None:
    _, _, packed = data.partition(b"\0")
    return _inflate(packed[1:], LONGEST_PROFILE)


def _text(name: bytes, data: bytes, length: int) -> tuple[str, str | None]:
    keyword, _, rest = data.partition(b"\0")
    key, value, encoding = keyword[:79].decode("latin-1"), None, "latin-1"
    if length > LONGEST_TEXT:
        return key, None
    if name == b"tEXt":
        value = rest
    elif name == b"zTXt":
        value = _inflate(rest[1:], LONGEST_TEXT)
    elif len(rest) > 2 and rest.count(b"\0", 2) >= 2:
        packed, encoding = rest[0] == 1, "utf-8"
        value = rest[2:].split(b"\0", 2)[2]
        value = _inflate(value, LONGEST_TEXT) if packed else value
    return key, None if value is None else value.decode(encoding, "replace")


def _from_hex(value: str) -> bytes | None:
    with contextlib.suppress(ValueError):
        return bytes.fromhex("".join(value.split()[2:])) or None
    return None
