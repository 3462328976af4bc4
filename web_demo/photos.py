"""Visitors' photos on their way in: judged by their header, unpacked one at a time, cut to what the page works on."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kf_core import BadInput, Picture, Unavailable
from kf_core.files.deep import eight_bit
from web_demo import decode
from web_demo.limits import Limits, check_photo_file, check_size

ROOT = Path(__file__).resolve().parents[1]
SECONDS_TO_WAIT = 60.0  # for the photos of others
SECONDS_TO_DECODE = 60.0
_one = threading.BoundedSemaphore(1)  # so that their memory is needed once, not once for each visitor


@dataclass(frozen=True)
class Look:
    """Attributes:
    width, height: of the photo as it is seen.
    box: the part of it that is proposed.
    """

    width: int
    height: int
    box: decode.Box


def look(photo: str | Path, limits: Limits, overview: Path, pixels: int) -> Look:
    """Unpacks the photo as a run would, writes an overview (JPEG), and finds its best part of so many pixels.

    Raises BadInput, Unavailable.
    """
    fits = _fits(photo, limits)
    with _in_turn():
        request = {"photo": str(photo), "overview": str(overview), "pixels": min(pixels, limits.pixels)}
        said = decode.answer(request) if fits else _elsewhere(request)
    return Look(*said["size"], tuple(said["box"]))


def load(photo: str | Path, part: str, limits: Limits) -> Picture:
    """The part of the photo that a run works on, as `decode.place_of` has it. Raises BadInput, Unavailable."""
    if _fits(photo, limits):
        with _in_turn():
            return decode.cut(decode.read(photo), part, limits.pixels)
    if not (part or "").strip():
        check_size(*check_photo_file(photo, limits), limits)  # raises
    check_part(photo, part, limits)
    with tempfile.TemporaryDirectory() as folder, _in_turn():
        out = Path(folder) / "part.png"
        said = _elsewhere({"photo": str(photo), "part": part, "out": str(out), "pixels": limits.pixels})
        return replace(decode.read(out), warnings=tuple(said["warnings"]))


def check_part(photo: str | Path, part: str, limits: Limits) -> tuple[int, int]:
    """(width, height) of what a run would work on, from the header alone. Raises BadInput."""
    width, height = check_photo_file(photo, limits)
    how, place = decode.place_of(part, width, height, limits.pixels)
    size = (place[0], place[1]) if how == "shrink" else (place[2], place[3])
    check_size(*size, limits)
    return size


def as_eight_bit(picture: Picture) -> Any:
    return eight_bit(picture.pixels)


def _fits(photo: str | Path, limits: Limits) -> bool:
    width, height = check_photo_file(photo, limits)
    return width * height <= limits.pixels


@contextlib.contextmanager
def _in_turn() -> Iterator[None]:
    if not _one.acquire(timeout=SECONDS_TO_WAIT):
        raise Unavailable("Many photos are being read just now.", "Please try again in a minute.")
    try:
        yield
    finally:
        _one.release()


def _elsewhere(request: dict[str, Any]) -> dict[str, Any]:
    """`decode.answer` in a process of its own. Raises BadInput."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    name = Path(request["photo"]).name
    try:
        done = subprocess.run(
            [sys.executable, "-m", "web_demo.decode", json.dumps(request)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS_TO_DECODE,
        )
        said = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise BadInput(f"'{name}' takes too long to unpack.", "Save it as a JPEG or PNG, or crop it first.") from None
    except ValueError:  # it died: out of memory, or a decoder that crashed
        raise BadInput(f"'{name}' cannot be unpacked here.", "Crop it first, or save it again as a PNG.") from None
    if "error" in said:
        raise BadInput(*said["error"])
    return said
