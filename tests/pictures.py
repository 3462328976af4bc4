"""Small pictures in memory, as arrays, Pillow images and bytes of files."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def noise(height: int = 40, width: int = 36, grey: bool = False, seed: int = 0) -> np.ndarray:
    shape = (height, width) if grey else (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


RGB, GREY = Image.fromarray(noise()), Image.fromarray(noise(grey=True))
OPAQUE = Image.new("L", RGB.size, 255)
HOLE = Image.new("L", RGB.size, 255)
HOLE.putpixel((3, 4), 254)


def with_alpha(image: Image.Image, alpha: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(alpha)
    return image


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
