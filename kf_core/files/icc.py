"""Colour profiles (ICC): which space one describes, and small ones made where a format has no other way to say it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from kf_core.files.png import Chunk

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# x, y of white, red, green, blue
SRGB = (0.3127, 0.329, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_ADOBE = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_PRIMARIES = {
    1: SRGB,
    9: (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    12: (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}  # of cICP: BT.709, BT.2020, Display P3
# The parametric curves (g, a, b, c, d): (a x + b)^g from d on, c x below.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_TRANSFERS: dict[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 14, 15), _BT709_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
    13: _SRGB_CURVE,
}


def space_of(profile: bytes | None) -> str | None:
    """The colours it describes, as "RGB", "GRAY", "CMYK" or "Lab"; None for what is no profile."""
    if not profile or len(profile) < 132 or profile[36:40] != b"acsp":
        return None
    return profile[16:20].decode("latin-1").strip()


def fitting(profile: bytes | None, grey: bool) -> bytes | None:
    """The profile for pixels that are grey or RGB.

    One of the other of these two keeps its curve; one of any other space is left out: it would make programs that
    manage colours turn the picture down.
    """
    space, wanted = space_of(profile), "GRAY" if grey else "RGB"
    if profile is None or space == wanted:
        return profile
    if space == "GRAY" and (curve := _tag(profile, b"kTRC")):
        return _rgb(SRGB, curve, "RGB with the curve of a grey profile")
    if space == "RGB" and (curve := _tag(profile, b"gTRC")):
        return _grey(curve, "Grey with the curve of an RGB profile")
    return None


def knows(cicp: bytes) -> bool:
    """Whether the primaries and the curve that a cICP chunk names can be put into a profile here."""
    return len(cicp) == 4 and cicp[0] in _PRIMARIES and cicp[1] in _TRANSFERS


def adobe_rgb() -> bytes:
    """What cameras mean that mark a photo as Adobe RGB in EXIF, and embed no profile."""
    return _rgb(_ADOBE, _parametric((563 / 256,)), "Compatible with Adobe RGB (1998)")


def from_png(colour: Sequence[Chunk], grey: bool) -> bytes | None:
    """A profile that says what the chunks say; None where they say sRGB, nothing, or what no profile made here can."""
    chunks = dict(colour)
    primaries: tuple[float, ...] = SRGB
    curve: tuple[float, ...] = _SRGB_CURVE
    cicp = chunks.get(b"cICP", b"")
    if knows(cicp):
        primaries, curve = _PRIMARIES[cicp[0]], _TRANSFERS[cicp[1]]
    elif b"sRGB" not in chunks and not cicp:
        if len(chunks.get(b"gAMA", b"")) == 4 and 0 < (gamma := struct.unpack(">I", chunks[b"gAMA"])[0]) < 10**7:
            near_srgb = abs(gamma - 45455) < 600
            curve = _SRGB_CURVE if near_srgb and b"cHRM" not in chunks else (1e5 / gamma,)
        if len(chunks.get(b"cHRM", b"")) == 32:
            primaries = tuple(value / 1e5 for value in struct.unpack(">8I", chunks[b"cHRM"]))
    same = max(abs(a - b) for a, b in zip(primaries, SRGB, strict=True)) < 0.002
    if same and (curve == _SRGB_CURVE or (len(curve) == 1 and abs(curve[0] - 2.2) < 0.03)):
        return None
    if min(primaries[1::2]) <= 0:
        return None
    if grey:
        return _grey(_parametric(curve), "Grey as the PNG describes it")
    try:
        return _rgb(primaries, _parametric(curve), "RGB as the PNG describes it")
    except np.linalg.LinAlgError:  # primaries on one line
        return None


def _rgb(primaries: Sequence[float], curve: bytes, name: str) -> bytes:
    columns = _to_d50(primaries)
    tags = {b"wtpt": _xyz(_D50)}
    for letter, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
        tags |= {letter + b"XYZ": _xyz(column), letter + b"TRC": curve}
    return _profile(b"RGB ", tags, name)


def _grey(curve: bytes, name: str) -> bytes:
    return _profile(b"GRAY", {b"wtpt": _xyz(_D50), b"kTRC": curve}, name)


def _to_d50(primaries: Sequence[float]) -> np.ndarray:
    """(3, 3): the XYZ of red, green and blue as columns, adapted to the white D50 of profiles."""
    xy = np.asarray(primaries, dtype=np.float64).reshape(4, 2)
    xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    white, colours = xyz[:, 0], xyz[:, 1:]
    colours = colours * np.linalg.solve(colours, white)
    gain = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ white)
    return np.linalg.solve(_BRADFORD, gain[:, None] * (_BRADFORD @ colours))


def _fixed(values: Sequence[float] | np.ndarray) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _xyz(values: Sequence[float] | np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _parametric(curve: Sequence[float]) -> bytes:
    kind = 0 if len(curve) == 1 else 3
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(curve)


def _text(value: str) -> bytes:
    words = value.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(words), 28) + words


def _profile(space: bytes, tags: dict[bytes, bytes], name: str) -> bytes:
    """A display profile of version 4.3."""
    tags = {b"desc": _text(name), b"cprt": _text("No copyright"), **tags}
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for key, data in tags.items():
        table += struct.pack(">4sII", key, at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", at + len(body), b"\0" * 4, 0x04300000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(_D50)
    return header.ljust(128, b"\0") + table + body


def _tag(profile: bytes, key: bytes) -> bytes | None:
    """The data of a curve; None where there is none."""
    count = struct.unpack(">I", profile[128:132])[0]
    for at in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        name, start, length = struct.unpack(">4sII", profile[at : at + 12])
        if name == key:
            data = profile[start : start + length]
            return data if len(data) == length and data[:4] in (b"curv", b"para") else None
    return None
