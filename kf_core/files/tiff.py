"""TIFF: the tags of a file, and a writer that keeps 16 bits, transparency, EXIF and other notes together.

Pillow writes no 16-bit RGB and OpenImageIO no EXIF as it was; the layout of the file is Pillow's own writer of tags.
"""

from __future__ import annotations

import contextlib
import io
import os
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from kf_core.errors import CannotWrite

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
(
    WIDTH,
    HEIGHT,
    BITS,
    COMPRESSION,
    PHOTOMETRIC,
    OFFSETS,
    ORIENTATION,
    SAMPLES,
    COUNTS,
    EXTRA_SAMPLES,
    SAMPLE_FORMAT,
) = (256, 257, 258, 259, 262, 273, 274, 277, 279, 338, 339)
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, XMP, IPTC, PROFILE = 282, 283, 296, 700, 33723, 34675
LARGEST = 2**32 - 2**20  # bytes that an ordinary TIFF can hold
_BAND = 2**16  # bytes of a strip, about


def read_tags(file: BinaryIO) -> dict[int, Any]:
    """The first directory of a TIFF; empty if it cannot be read. The key 0 says whether there is another one."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    with contextlib.suppress(Exception):
        file.seek(0)
        header = file.read(16)
        tags = ImageFileDirectory_v2(header[: 16 if b"+" in header[:4] else 8])
        file.seek(tags.next)
        tags.load(file)
        return {**dict(tags), 0: bool(tags.next)}
    return {}


def numbers(tags: Mapping[int, Any], number: int, default: int | tuple[int, ...] = ()) -> list[int]:
    """The values of a tag, of whatever type. Raises ValueError, TypeError or OverflowError for what is no number."""
    value = tags.get(number, default)
    return list(value) if isinstance(value, bytes) else [int(each) for each in np.ravel(value)]


def is_whole(file: BinaryIO, tags: Mapping[int, Any]) -> bool:
    """Whether all pixels lie inside the file."""
    size = file.seek(0, os.SEEK_END)
    for offsets, counts in ((OFFSETS, COUNTS), (324, 325)):  # strips, tiles
        if offsets in tags and counts in tags:
            with contextlib.suppress(ValueError, TypeError, OverflowError):
                pairs = zip(numbers(tags, offsets), numbers(tags, counts), strict=False)
                return all(offset + count <= size for offset, count in pairs)
    return False


def resolution(tags: Mapping[int, Any]) -> tuple[float, float] | None:
    """Dots per inch, where the tags say so in so many words."""
    unit = {2: 1.0, 3: 2.54}.get(int(tags.get(RESOLUTION_UNIT, 2)), 0.0)
    if unit and X_RESOLUTION in tags and Y_RESOLUTION in tags:
        return float(tags[X_RESOLUTION]) * unit, float(tags[Y_RESOLUTION]) * unit
    return None


def encode(pixels: np.ndarray, tags: Mapping[int, Any], kinds: Mapping[int, int]) -> bytes:
    """A TIFF of uint8 or uint16 pixels (H, W) or (H, W, 1..4): grey, grey + alpha, RGB, RGB + alpha; without loss.

    Args:
        tags: more to be said, such as a description or a directory of EXIF.
        kinds: the TIFF type of those tags whose type does not follow from the number.

    Raises CannotWrite where the file would be larger than a TIFF can be.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    height, width, channels = (*pixels.shape, 1)[:3]
    if pixels.nbytes > LARGEST:
        raise CannotWrite("The picture is too large for a TIFF, which ends at 4 GiB.", "Write a .png instead.")
    rows = max(1, _BAND // (width * channels * pixels.itemsize))
    little = pixels.reshape(height, width, channels).astype(pixels.dtype.newbyteorder("<"))
    strips = [zlib.compress(_differences(little[top : top + rows])) for top in range(0, height, rows)]
    at = np.concatenate([[0], np.cumsum([len(strip) for strip in strips])]).tolist()
    directory = ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    for number, value in tags.items():
        if number in kinds:
            directory.tagtype[number] = kinds[number]
        directory[number] = value
    directory[WIDTH], directory[HEIGHT], directory[BITS] = width, height, (8 * pixels.itemsize,) * channels
    directory[COMPRESSION], directory[PHOTOMETRIC] = 8, 1 if channels <= 2 else 2
    directory[SAMPLES], directory[SAMPLE_FORMAT], directory[284] = channels, (1,) * channels, 1
    directory[278], directory[317] = rows, 2  # rows of a strip; each value is a difference from the one to its left
    if channels in (2, 4):
        directory[EXTRA_SAMPLES] = 2  # transparency that the colours were not multiplied with
    directory[COUNTS] = tuple(len(strip) for strip in strips)
    directory.tagtype[OFFSETS] = directory.tagtype[COUNTS] = 4  # as numbers of four bytes
    directory[OFFSETS] = tuple(at[:-1])  # the writer adds where they begin
    file = io.BytesIO()
    directory.save(file)
    file.write(b"".join(strips))
    return file.getvalue()


def _differences(rows: np.ndarray) -> bytes:
    changed = rows.copy()
    changed[:, 1:] -= rows[:, :-1]
    return changed.tobytes()
