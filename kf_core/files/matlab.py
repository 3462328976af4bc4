"""Arrays in MATLAB's .mat files of level 5 (`save` with -v6 or -v7): numbers, also in cells and structures.

Written here because scipy.io, the reader that is kept, ends the whole process (segmentation fault) on some damaged
files; kernels come from anybody, also from visitors of a page.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

_KINDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}  # of the bytes
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCTURE = 1, 2
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX = 0x800
_DEEPEST = 8  # cells within cells
LARGEST = 2**26  # bytes that are unpacked


def read(content: bytes) -> list[tuple[str, np.ndarray]]:
    """(name of the variable, array) of everything in it that is made of real numbers, cells taken apart.

    Raises ValueError for what is no such file, or a damaged one.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("not a file of level 5")
    found: list[tuple[str, np.ndarray]] = []
    for kind, data in _elements(content[128:], order):
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            try:
                unpacked = unpacker.decompress(data, LARGEST)
            except zlib.error as error:
                raise ValueError("damaged") from error
            if not unpacker.eof:
                raise ValueError("too large, or cut off")
            kind, data = next(_elements(unpacked, order), (0, b""))
        if kind == _MATRIX:
            found += _matrix(data, order, "", 0)
    return found


def write(name: str, array: np.ndarray) -> bytes:
    """A file with one matrix of doubles."""

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    flags, sides = struct.pack("<II", 6, 0), struct.pack(f"<{array.ndim}i", *array.shape)
    numbers = np.asarray(array, dtype="<f8").tobytes(order="F")
    body = element(6, flags) + element(5, sides) + element(1, name.encode("ascii")) + element(9, numbers)
    header = b"MATLAB 5.0 MAT-file, written by KernelFusion".ljust(124) + struct.pack("<H", 0x100) + b"IM"
    return header + element(_MATRIX, body)


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(kind, bytes) of each element, one after the other. Raises ValueError where one is cut off."""
    at = 0
    while at + 8 <= len(data):
        kind, length = struct.unpack(f"{order}II", data[at : at + 8])
        if kind >> 16:  # a small one, with its bytes in place of its length
            kind, length, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            start = at + 8
            after = start + length + (0 if kind == _COMPRESSED else -length % 8)
        if start + length > len(data):
            raise ValueError("cut off")
        yield kind, data[start : start + length]
        at = after


def _matrix(data: bytes, order: str, name: str, depth: int) -> list[tuple[str, np.ndarray]]:
    if not data or depth > _DEEPEST:
        return []
    parts = list(_elements(data, order))
    if len(parts) < 3 or len(parts[0][1]) < 8:
        raise ValueError("damaged")
    flags = struct.unpack(f"{order}I", parts[0][1][:4])[0]
    sides = [int(side) for side in _numbers(parts[1], order)]
    name = parts[2][1].decode("latin-1") or name
    kind, rest = flags & 0xFF, parts[3:]
    if kind in (_CELL, _STRUCTURE):  # of a structure the first two of the rest say its fields
        inside = [_matrix(each, order, name, depth + 1) for number, each in rest if number == _MATRIX]
        return [array for arrays in inside for array in arrays]
    if kind not in _CLASSES or flags & _COMPLEX or not rest:
        return []
    values = _numbers(rest[0], order)
    if min(sides, default=0) < 0 or values.size != np.prod([float(side) for side in sides]):
        raise ValueError("damaged")
    return [(name, values.astype(_CLASSES[kind]).reshape(sides, order="F"))]


def _numbers(part: tuple[int, bytes], order: str) -> np.ndarray:
    kind, data = part
    if kind not in _KINDS:
        raise ValueError("no numbers")
    return np.frombuffer(data, np.dtype(order + _KINDS[kind]))
