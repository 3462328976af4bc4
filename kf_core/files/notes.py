"""What a picture says beside its pixels: EXIF, XMP, IPTC, texts, resolution; read from files and kept while true."""

from __future__ import annotations

import contextlib
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, BinaryIO

from kf_core.files import icc, png, tiff
from kf_core.files.layout import Layout

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION, EXIF_BLOCK, GPS_BLOCK = 0x0112, 0x8769, 0x8825
# Description, make, model, software, date, artist, host, rating, copyright, and the title, comment, author, keywords
# and subject of Windows. The rest of the main block says how this very file is stored (in a TIFF it is the file's
# layout), which is no longer true of the result.
_EXIF_KEPT = (
    *(0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298),
    *range(0x9C9B, 0x9CA0),
)
# Width and height, no longer true either; maker note and interoperability block, whose offsets break when moved.
_EXIF_DROPPED = (0xA002, 0xA003, 0x927C, 0xA005)
_IPTC_RESOURCE = 0x0404
# What XMP says of the stored pixels: an orientation would turn them again, the sizes are those of the photo.
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)[2-8]")
_XMP_SIZE = re.compile(
    rb"\s(?:tiff:ImageWidth|tiff:ImageLength|exif:PixelXDimension|exif:PixelYDimension)=(?:\"\d*\"|'\d*')"
    rb"|<(tiff:ImageWidth|tiff:ImageLength|exif:PixelXDimension|exif:PixelYDimension)>\d*</\1>"
)
_XMP_FIELDS = {  # keyword of a PNG: (the name in XMP, how the value is wrapped)
    "Title": ("dc:title", "Alt"),
    "Description": ("dc:description", "Alt"),
    "Copyright": ("dc:rights", "Alt"),
    "Author": ("dc:creator", "Seq"),
    "Keywords": ("dc:subject", "Bag"),
    "Source": ("dc:source", ""),
    "Software": ("xmp:CreatorTool", ""),
}
_EXIF_FIELDS = {"Description": 0x010E, "Title": 0x010E, "Software": 0x0131, "Author": 0x013B, "Copyright": 0x8298}


@dataclass(frozen=True)
class Notes:
    """What a picture says of itself beside its pixels, its profile and its EXIF block.

    Attributes:
        xmp: a packet of XMP, without an orientation other than upright.
        iptc: the records of IPTC-IIM.
        text: keywords and texts, as PNG has them; a comment of a JPEG or GIF is "Comment".
        colour: the chunks of a PNG that say what its numbers mean; where these are there, no profile says otherwise.
    """

    xmp: bytes | None = None
    iptc: bytes | None = None
    text: tuple[tuple[str, str], ...] = ()
    colour: tuple[png.Chunk, ...] = ()


@dataclass(frozen=True)
class Beside:
    """All that was read beside the pixels; `dropped` names what could not be."""

    profile: bytes | None
    dpi: tuple[float, float] | None
    exif: bytes | None
    orientation: int
    notes: Notes
    dropped: tuple[str, ...] = ()


def read_beside(file: BinaryIO, layout: Layout, image: Image.Image | None) -> Beside:
    """From the file itself and from what Pillow read of it, None: could not open it. Never fails."""
    info: Mapping[Any, Any] = image.info if image else {}
    tags = layout.tags or {}
    found = png.read_notes(file) if layout.kind == "PNG" else png.PngNotes()
    orientation, exif = _orientation_and_exif(file, layout, image, found.exif)
    if layout.kind == "PNG":
        orientation = orientation or _orientation_in(found.xmp)
        notes = Notes(cleaned(found.xmp), found.iptc, found.text, found.colour)
        return Beside(found.profile, found.dpi, exif, orientation, notes, found.dropped)
    if layout.kind == "TIFF":
        xmp = _as_bytes(tags.get(tiff.XMP))
        orientation = orientation or _orientation_in(xmp)
        notes = Notes(cleaned(xmp), _as_bytes(tags.get(tiff.IPTC)))
        profile = _as_bytes(tags.get(tiff.PROFILE))
        return Beside(profile, _dpi(layout, image, info), exif, orientation, notes)
    resources = info.get("photoshop")
    iptc = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else None
    comment = info.get("comment")
    if isinstance(comment, bytes):
        comment = _decoded(comment)
    text = (("Comment", comment),) if isinstance(comment, str) and comment else ()
    notes = Notes(cleaned(_as_bytes(info.get("xmp"))), _as_bytes(iptc), text)
    profile = info.get("icc_profile") or None
    if profile is None and image and _is_adobe_rgb(image):
        profile = icc.adobe_rgb()
    return Beside(profile, _dpi(layout, image, info), exif, orientation or 1, notes)


def exif_with(exif: bytes | None, text: tuple[tuple[str, str], ...]) -> bytes | None:
    """The EXIF block, with what the texts of a PNG say where it says nothing."""
    from PIL.Image import Exif

    block = Exif()
    with contextlib.suppress(Exception):
        if exif:
            block.load(exif)
        for key, number in _EXIF_FIELDS.items():
            value = dict(text).get(key, "")
            if value and value.isascii() and number not in block:
                block[number] = value
        return block.tobytes() if len(block) else None
    return exif


def xmp_of(text: tuple[tuple[str, str], ...]) -> bytes | None:
    """A packet of XMP that says what the texts of a PNG say; None where none of them has a name in it."""
    fields = []
    for key, value in text:
        if key not in _XMP_FIELDS:
            continue
        name, wrap = _XMP_FIELDS[key]
        items = [item.strip() for item in re.split("[,;]", value) if item.strip()] if wrap == "Bag" else [value]
        language = ' xml:lang="x-default"' if wrap == "Alt" else ""
        inside = "".join(f"<rdf:li{language}>{escape(item)}</rdf:li>" for item in items)
        inside = f"<rdf:{wrap}>{inside}</rdf:{wrap}>" if wrap else escape(value)
        fields.append(f"<{name}>{inside}</{name}>")
    if not fields:
        return None
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">'
        f'{"".join(fields)}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode("utf-8", "replace")


def jpeg_iptc(iptc: bytes) -> bytes:
    """The segment of a JPEG in which Photoshop keeps them."""
    resource = b"8BIM" + struct.pack(">H", _IPTC_RESOURCE) + b"\0\0" + struct.pack(">I", len(iptc)) + iptc
    body = b"Photoshop 3.0\0" + resource + bytes(len(iptc) % 2)
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body


def exif_tags(exif: bytes | None) -> dict[int, Any]:
    """The entries of an EXIF block as the tags of a TIFF, whose directories are dicts."""
    from PIL.Image import Exif

    tags: dict[int, Any] = {}
    if exif:
        with contextlib.suppress(Exception):
            block = Exif()
            block.load(exif)
            tags.update({tag: block[tag] for tag in block if tag not in (EXIF_BLOCK, GPS_BLOCK)})
            for number in (EXIF_BLOCK, GPS_BLOCK):
                if entries := dict(block.get_ifd(number)):
                    tags[number] = entries
    return tags


def _orientation_and_exif(
    file: BinaryIO, layout: Layout, image: Image.Image | None, block: bytes | None
) -> tuple[int, bytes | None]:
    """(1..8 or 0: not said, the EXIF that stays true) as stored. Senseless EXIF is dropped."""
    from PIL.Image import Exif

    orientation, kept = 0, Exif()
    with contextlib.suppress(Exception):
        if layout.kind == "TIFF":
            exif = Exif()
            file.seek(0)
            exif.load_from_fp(file)
        elif block:
            exif = Exif()
            exif.load(block)
        elif image:
            exif = image.getexif()
        else:
            return orientation, None
        orientation = int(exif.get(_ORIENTATION, 0))
        kept.update({tag: exif[tag] for tag in _EXIF_KEPT if tag in exif})
        for number in (EXIF_BLOCK, GPS_BLOCK):
            entries = {tag: value for tag, value in exif.get_ifd(number).items() if tag not in _EXIF_DROPPED}
            if entries:
                kept[number] = entries
        return orientation, kept.tobytes() if len(kept) else None
    return orientation, None


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Whether EXIF says so, in the block that does not survive being moved."""
    with contextlib.suppress(Exception):
        return str(image.getexif().get_ifd(0xA005).get(1, "")).startswith("R03")
    return False


def _orientation_in(xmp: bytes | None) -> int:
    """1..8, as XMP says it where EXIF does not."""
    found = _XMP_ORIENTATION.search(xmp or b"")
    return int(found.group()[-1:]) if found else 1


def _dpi(layout: Layout, image: Image.Image | None, info: Mapping[Any, Any]) -> tuple[float, float] | None:
    """What the file says, rather than what Pillow assumes where it says nothing."""
    with contextlib.suppress(Exception):
        if layout.kind == "TIFF":
            found = tiff.resolution(layout.tags or {})
        elif layout.kind == "JPEG" and info.get("jfif_unit") not in (1, 2):
            found = tiff.resolution(image.getexif()) if image else None
        else:
            found = info.get("dpi")
        if found is not None:
            x, y = (float(value) for value in found)
            if 0 < x < math.inf and 0 < y < math.inf:
                return x, y
    return None


def cleaned(xmp: bytes | None) -> bytes | None:
    """The packet without what it says of the stored pixels."""
    if not xmp:
        return None
    return _XMP_SIZE.sub(b"", _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)).rstrip(b"\0") or None


def _as_bytes(value: Any) -> bytes | None:
    """Of a tag that some writers store as text or as numbers of four bytes."""
    if isinstance(value, tuple) and value and all(isinstance(each, bytes) for each in value):
        value = b"".join(value)
    elif isinstance(value, tuple) and value and all(isinstance(each, int) for each in value):
        with contextlib.suppress(struct.error):
            value = struct.pack(f"<{len(value)}I", *value)
    elif isinstance(value, str):
        value = value.encode("utf-8", "replace")
    return value if isinstance(value, bytes) and value else None


def _decoded(value: bytes) -> str:
    value = value.rstrip(b"\0")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
