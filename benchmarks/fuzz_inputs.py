"""The inputs of `benchmarks.fuzz`: endless, the same for the same seed, made of nothing but numbers."""

from __future__ import annotations

import io
import itertools
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

SUFFIXES = (".png", ".jpg", ".tif", ".webp", ".avif", ".gif", ".bmp", ".jp2", ".heic")
SAVED = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp"} | {
    "JPEG2000": ".jp2",
    "AVIF": ".avif",
}


@dataclass(frozen=True)
class Input:
    """`name` is its family, a colon and what distinguishes it; `kind` is picture, kernel or array."""

    name: str
    file: str
    content: bytes
    kind: str = "picture"


def inputs(seed: int) -> Iterator[Input]:
    """In turn from each family, without end."""
    families: list[Callable[[random.Random], Input]] = [
        damaged,
        truncated,
        renamed,
        bombs,
        plain,
        strips,
        tiff_layouts,
        png_chunks,
        junk,
        kernels,
        arrays,
    ]
    weights = [4, 2, 1, 1, 2, 1, 5, 3, 1, 3, 0.3]
    for number in itertools.count():
        dice = random.Random(f"{seed}/{number}")
        yield dice.choices(families, weights)[0](dice)


def pixels(dice: random.Random, height: int, width: int, channels: int = 3, bits: int = 8) -> np.ndarray:
    """Noise, one colour, a ramp, black and white, or nearly black."""
    numbers = np.random.default_rng(dice.getrandbits(32))
    white, shape = 2**bits - 1, (height, width, channels)
    kind = dice.randrange(5)
    if kind == 0:
        values = numbers.integers(0, white + 1, shape)
    elif kind == 1:
        values = np.broadcast_to(numbers.integers(0, white + 1, channels), shape)
    elif kind == 2:
        values = np.broadcast_to(np.linspace(0, white, width)[None, :, None], shape)
    elif kind == 3:
        values = white * numbers.integers(0, 2, shape)
    else:
        values = numbers.integers(0, 3, shape)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def picture(dice: random.Random, format: str) -> bytes:
    """A small sound picture of that format, in one of its modes."""
    height, width = dice.randint(32, 60), dice.randint(32, 60)
    image = Image.fromarray(pixels(dice, height, width))
    modes = {"PNG": ("RGB", "L", "P", "1", "RGBA", "LA"), "TIFF": ("RGB", "L", "P", "1", "RGBA", "CMYK", "LAB")}
    mode = dice.choice(modes.get(format, ("RGB", "L")))
    if mode == "LAB":
        image = Image.frombytes("LAB", image.size, image.tobytes())
    elif mode == "RGBA":
        image.putalpha(Image.fromarray(pixels(dice, height, width, 1)[..., 0]))
    else:
        image = image.convert(mode)
    options: dict[str, Any] = {}
    if format == "TIFF":
        options["compression"] = dice.choice([None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
        if options["compression"] == "jpeg" and mode in ("P", "1", "RGBA", "LAB"):
            options = {}
    if dice.random() < 0.3 and format in ("PNG", "JPEG", "TIFF", "WEBP"):
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = dice.choice([1, 3, 6, 8] if format == "TIFF" else [1, 3, 6, 8, 9, 0]), "text"
        options["exif"] = exif
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def damaged(dice: random.Random) -> Input:
    format = dice.choice(list(SAVED))
    content = bytearray(picture(dice, format))
    reach = len(content) if dice.random() < 0.4 else min(len(content), 300)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(reach)
        content[at] = dice.choice([0, 255, content[at] ^ (1 << dice.randrange(8)), dice.randrange(256)])
    return Input(f"damaged:{format}", f"a{SAVED[format]}", bytes(content))


def truncated(dice: random.Random) -> Input:
    format = dice.choice(list(SAVED))
    content = picture(dice, format)
    return Input(f"truncated:{format}", f"a{SAVED[format]}", content[: dice.randrange(len(content))])


def renamed(dice: random.Random) -> Input:
    format = dice.choice([*SAVED, "PPM", "ICO", "TGA", "PCX"])
    return Input(f"renamed:{format}", f"a{dice.choice(SUFFIXES)}", picture(dice, format))


def bombs(dice: random.Random) -> Input:
    """Headers that promise far more than there is, and little data that unpack to much."""
    side = dice.choice([10_000, 30_000, 65_535, 2**31 - 1])
    kind = dice.randrange(4)
    if kind == 0:
        return Input("bombs:PNG header", "a.png", png(side, side, 8, 2, b""))
    if kind == 1:
        rows = bytes(dice.choice([10**5, 10**7, 5 * 10**7]))
        return Input("bombs:PNG rows", "a.png", png(64, 64, 8, 2, rows))
    if kind == 2:
        tags = tiff_tags(dice, 64, 64, 3, 8) | {256: (4, [side]), 257: (4, [side])}
        return Input("bombs:TIFF header", "a.tif", tiff(tags, bytes(64 * 64 * 3), "<"))
    note = b"Comment\0\0" + zlib.compress(bytes(dice.choice([10**6, 3 * 10**7])))
    name = dice.choice([b"zTXt", b"iCCP"])
    return Input("bombs:PNG note", "a.png", png(40, 40, 8, 0, bytes(40 * 41), [(name, note)] * dice.choice([1, 40])))


def plain(dice: random.Random) -> Input:
    """Sound pictures: one colour, noise, black and white."""
    format = dice.choice(list(SAVED))
    return Input(f"sound:{format}", f"a{SAVED[format]}", picture(dice, format))


def strips(dice: random.Random) -> Input:
    """As narrow as allowed or narrower, and long."""
    short, long = dice.choice([1, 2, 31, 32, 33]), dice.choice([40, 1000, 20_000])
    height, width = dice.choice([(short, long), (long, short)])
    format = dice.choice(["PNG", "TIFF", "BMP"])
    buffer = io.BytesIO()
    Image.fromarray(pixels(dice, height, width)).save(buffer, format)
    return Input(f"strips:{height} x {width} {format}", f"a{SAVED[format]}", buffer.getvalue())


def tiff_layouts(dice: random.Random) -> Input:
    """Every photometric interpretation, sample format, depth and number of channels, sensible together or not."""
    channels, bits = dice.choice([1, 1, 2, 3, 3, 4, 5, 9]), dice.choice([1, 2, 4, 8, 8, 12, 16, 16, 32, 64])
    height, width = dice.randint(32, 50), dice.randint(32, 50)
    tags = tiff_tags(dice, height, width, channels, bits)
    data = np.random.default_rng(dice.getrandbits(32)).bytes(height * -(-width * channels * bits // 8))
    for _ in range(dice.choice([0, 0, 1, 3])):  # and some tags at random
        number = dice.choice([*tags, 317, 320, 322, 323, 324, 325, 330, 530, 700, 34675, 34665, 50706])
        tags[number] = (dice.choice([1, 2, 3, 4, 5, 7, 11, 13]), [dice.choice([0, 1, 2, 8, 255, 70_000])])
    name = f"TIFF:{tags[262][1]} x {channels} of {bits} bits"
    return Input(name, "a.tif", tiff(tags, data, dice.choice("<>")))


def png_chunks(dice: random.Random) -> Input:
    """Odd chunks before sound pixels, with sound and unsound checksums."""
    kind, channels = dice.choice([(0, 1), (2, 3), (4, 2), (6, 4), (3, 1)])
    bits = dice.choice([8, 16]) if kind != 3 else 8
    chunks: list[tuple[bytes, bytes]] = [(b"PLTE", bytes(range(96)) * 8)] if kind == 3 else []
    for _ in range(dice.randint(1, 4)):
        name = dice.choice([b"gAMA", b"cHRM", b"cICP", b"sRGB", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"eXIf"])
        name = dice.choice([name, name, name, b"pHYs", b"tRNS", b"bKGD", b"acTL", b"fcTL", b"zzzz"])
        data = dice.choice(
            [b"", bytes(4), b"\0" * 32, dice.randbytes(dice.randint(1, 60)), b"k\0\0" + zlib.compress(b"x")]
        )
        chunks.append((name, data))
    rows = b"".join(b"\0" + dice.randbytes(40 * channels * bits // 8) for _ in range(36))
    content = bytearray(png(40, 36, bits, kind, rows, chunks))
    if dice.random() < 0.2:
        content[dice.randrange(33, min(len(content), 200))] ^= 1
    return Input(f"PNG chunks:{kind}/{bits}", "a.png", bytes(content))


def junk(dice: random.Random) -> Input:
    starts = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"GIF89a", b"BM"]
    starts += [
        b"RIFF\0\0\1\0WEBPVP8 ",
        b"\0\0\0\x18ftypheic",
        b"\0\0\0\x1cftypavif",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\0",
    ]
    start = dice.choice(starts)
    body = dice.randbytes(dice.choice([0, 1, 20, 5000]))
    return Input(f"junk:{start[:4]!r}", f"a{dice.choice(SUFFIXES)}", start + body)


def kernels(dice: random.Random) -> Input:
    suffix = dice.choice([".npy", ".npz", ".mat", ".txt", ".csv", ".png"])
    side = dice.choice([1, 2, 7, 12, 13, 24, 64, 300])
    numbers = np.random.default_rng(dice.getrandbits(32))
    taps = numbers.random((side, dice.choice([side, side, side + 1])))
    taps *= dice.choice([1, 1, 1e-300, 1e300, 0, -1])
    if dice.random() < 0.2:
        taps[0, 0] = dice.choice([np.nan, np.inf, -np.inf])
    buffer = io.BytesIO()
    if suffix == ".npz":
        np.savez(buffer, **dict.fromkeys(dice.choice([("kernel",), ("a", "b"), ()]), taps))
    elif suffix == ".mat":
        from scipy import io as matlab

        matlab.savemat(buffer, {"kernel": taps, "name": "text"}, do_compression=dice.random() < 0.5)
    elif suffix in (".txt", ".csv"):
        np.savetxt(buffer, taps, delimiter=dice.choice([" ", ",", ";", "\t", "x"]))
    elif suffix == ".png":
        Image.fromarray((np.nan_to_num(taps) * 255 % 256).astype(np.uint8)).save(buffer, "PNG")
    else:
        np.save(buffer, taps.astype(dice.choice(["f4", "f8", "f2", "i4", "c8"])))
    content = bytearray(buffer.getvalue())
    if dice.random() < 0.4 and content:
        for _ in range(dice.randint(1, 5)):
            content[dice.randrange(min(len(content), 400))] = dice.randrange(256)
    if dice.random() < 0.2:
        del content[dice.randrange(len(content) + 1) :]
    return Input(f"kernels:{suffix}", f"k{suffix}", bytes(content), "kernel")


def arrays(dice: random.Random) -> Input:
    """What a program may hand to the engine: flat, noise, NaN, strips, of any type and shape."""
    shape = dice.choice(
        [(32, 32), (40, 32, 3), (32, 70), (31, 31), (32, 32, 4), (32,), (0, 0), (32, 32, 1), (33, 35, 3)]
    )
    numbers = np.random.default_rng(dice.getrandbits(32))
    kind = dice.choice(["u1", "u2", "f4", "f8", "f4", "i4", "c8", "?"])
    values = dice.choice([np.zeros(shape), np.ones(shape), numbers.random(shape), numbers.random(shape) * 1e30])
    if kind in ("u1", "u2"):
        values = values % 1 * 255
    if kind.startswith("f") and values.size and dice.random() < 0.3:
        values.flat[0] = dice.choice([np.nan, np.inf, -1.0, 1e-40])
    buffer = io.BytesIO()
    np.save(buffer, values.astype(kind))
    return Input(f"arrays:{kind} {shape}", "a.npy", buffer.getvalue(), "array")


def png(
    width: int, height: int, bits: int, kind: int, rows: bytes, chunks: list[tuple[bytes, bytes]] | None = None
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    body = [(b"IHDR", header), *(chunks or []), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in body]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff_tags(
    dice: random.Random, height: int, width: int, channels: int, bits: int
) -> dict[int, tuple[int, list[int]]]:
    kinds = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 32803, 34892, 7]
    usual = dice.choice([0, 1]) if channels < 3 else 2
    tags = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * channels),
        259: (3, [dice.choice([1, 1, 1, 5, 7, 8, 32773, 34712])]),
        262: (3, [dice.choice([usual, dice.choice(kinds)])]),
        277: (3, [channels]),
        278: (4, [height]),
        284: (3, [dice.choice([1, 1, 1, 2])]),
        339: (3, [dice.choice([1, 1, 1, 2, 3, 4, 5, 6])] * channels),
    }
    if dice.random() < 0.6:
        tags[338] = (3, [dice.choice([0, 1, 2])] * max(1, channels - (1 if usual < 2 else 3)))
    if dice.random() < 0.3:
        tags[274] = (3, [dice.randrange(10)])
    return tags


def tiff(tags: dict[int, tuple[int, list[int]]], data: bytes, order: str) -> bytes:
    """One directory, then what does not fit into it, then the pixels as one strip."""
    letters = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 7: "B", 11: "f", 13: "I"}
    tags = dict(tags) | {273: (4, [0]), 279: (4, [len(data)])}
    at, packed, extra = 8 + 2 + 12 * len(tags) + 4, {}, b""
    for number, (kind, values) in tags.items():
        many = [value for value in values for _ in letters[kind]]
        limit = {"B": 255, "H": 65535}.get(letters[kind], 2**31 - 1)
        body = struct.pack(f"{order}{letters[kind] * len(values)}", *(min(value, limit) for value in many))
        head = struct.pack(f"{order}HHI", number, kind, len(values))
        if len(body) > 4:
            packed[number] = head + struct.pack(f"{order}I", at + len(extra))
            extra += body + bytes(len(body) % 2)
        else:
            packed[number] = head + body.ljust(4, b"\0")
    packed[273] = struct.pack(f"{order}HHII", 273, 4, 1, at + len(extra))
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(packed))
    return head + b"".join(packed[number] for number in sorted(packed)) + bytes(4) + extra + data
