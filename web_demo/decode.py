"""Unpacks photos, and cuts and shrinks them. Also a program that does so in a process of its own.

A file of 143 kB can unpack to gigabytes. So whatever is larger than the page works on is unpacked by `python -m
web_demo.decode`, which has a limit to its memory and gives all of it back when it ends. photos.py starts it, one at a
time. Nothing here imports torch or gradio: it has to start fast.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kf_core.errors import BadInput, BadPicture, KernelFusionError
from kf_core.files.deep import eight_bit
from kf_core.files.picture import Picture, read_picture, write_picture
from kf_core.settings import SMALLEST

MEMORY = 3 * 2**30  # bytes of address space that the process may have
OVERVIEW = 1024  # pixels at most of the longer side of what is shown to choose a part from
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "MPO")
_LARGEST_PROFILE = 2**18  # bytes; real colour profiles are smaller
_BOX = re.compile(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*")
_SHRINK = re.compile(r"\s*shrink(?:\s*:\s*(\d{1,6}))?\s*")

Box = tuple[int, int, int, int]  # left, top, width, height


def read(path: str | Path) -> Picture:
    """The picture of an upload, without what a public page should not pass on: EXIF (it may say where the visitor
    lives), texts, and a colour profile that no colour management can read. Raises BadInput."""
    picture = read_picture(path, transparency=True)
    profile = _sound_profile(picture.profile)
    return Picture(picture.pixels, profile, picture.dpi, None, picture.alpha, warnings=picture.warnings)


def place_of(part: str, width: int, height: int, pixels: int) -> tuple[str, Box | tuple[int, int]]:
    """What `part` asks for in a photo of that size: ("whole" | "box" | "best", box) or ("shrink", (width, height)).

    Args:
        part: "", "best", "shrink", "shrink:LONGEST" or "LEFT,TOP,WIDTH,HEIGHT".
        pixels: the most that the page works on.

    Raises BadInput.
    """
    part = (part or "").strip()
    if not part:
        return "whole", (0, 0, width, height)
    if part == "best":
        rows, columns = best_size(width, height, pixels)
        return "best", (0, 0, columns, rows)
    if found := _SHRINK.fullmatch(part):
        return "shrink", shrunk_size(width, height, pixels, int(found[1] or 0))
    if found := _BOX.fullmatch(part):
        left, top, columns, rows = (int(number) for number in found.groups())
        if left + columns <= width and top + rows <= height:
            if min(rows, columns) < SMALLEST:
                hint = f"Choose one of at least {SMALLEST} x {SMALLEST}."
                raise BadInput(f"The part has {columns} x {rows} pixels, too few to learn from.", hint)
            return "box", (left, top, columns, rows)
        raise BadInput(f"The part reaches beyond the photo, which has {width} x {height} pixels.", "Move it inside.")
    raise BadInput(
        f"'{part[:60]}' is not a part of a photo.", "Use LEFT,TOP,WIDTH,HEIGHT in pixels, 'best', 'shrink', or nothing."
    )


def best_size(width: int, height: int, pixels: int) -> tuple[int, int]:
    """(rows, columns) of the largest part of so many pixels, as near to square as the photo allows."""
    rows = min(height, max(int(pixels**0.5), pixels // max(width, 1)))
    return rows, min(width, pixels // rows)


def shrunk_size(width: int, height: int, pixels: int, longest: int = 0) -> tuple[int, int]:
    """(width, height) of a photo shrunk to at most so many pixels and that longer side. Raises BadInput."""
    larger = max(width, height)
    side = min(longest or larger, larger, int(larger * (pixels / (width * height)) ** 0.5) + 1)
    columns, rows = round(width * side / larger), round(height * side / larger)
    while columns * rows > pixels:
        side -= 1
        columns, rows = round(width * side / larger), round(height * side / larger)
    if min(columns, rows) < SMALLEST:
        hint = f"Choose a part, or shrink it to at least {SMALLEST} x {SMALLEST}."
        raise BadInput(f"Shrunk, the photo has {columns} x {rows} pixels, too few to learn from.", hint)
    return columns, rows


def best_box(pixels: np.ndarray, rows: int, columns: int) -> Box:
    """The part of (H, W[, 3]) of that size with most structure in both directions: flat areas and parallel edges, such
    as wood grain, say little about a kernel. Found on a reduced copy."""
    height, width = pixels.shape[:2]
    step = max(1, min(int(np.ceil(max(height, width) / OVERVIEW)), min(rows, columns) // 16))
    grey = reduced(pixels, step)
    grey = grey.mean(2) if grey.ndim == 3 else grey
    dy, dx = grey[1:, :-1] - grey[:-1, :-1], grey[:-1, 1:] - grey[:-1, :-1]
    small_rows, small_columns = (max(1, min(rows // step, len(dy))), max(1, min(columns // step, dy.shape[1])))
    yy, xx, xy = (window_sums(plane, small_rows, small_columns) for plane in (dy * dy, dx * dx, dy * dx))
    smaller = (yy + xx) / 2 - np.sqrt(((yy - xx) / 2) ** 2 + xy**2)
    top, left = np.unravel_index(int(smaller.argmax()), smaller.shape)
    return min(int(left) * step, width - columns), min(int(top) * step, height - rows), columns, rows


def window_sums(plane: np.ndarray, rows: int, columns: int) -> np.ndarray:
    sums = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1))
    sums[1:, 1:] = plane.cumsum(0, dtype=np.float64).cumsum(1)
    tall = sums[rows:] - sums[:-rows]
    return tall[:, columns:] - tall[:, :-columns]


def reduced(pixels: np.ndarray, step: int) -> np.ndarray:
    """Means of step x step pixels, float32; what is left over at the edges is cut off."""
    rows, columns = pixels.shape[0] // step, pixels.shape[1] // step
    total = np.zeros((rows, columns, *pixels.shape[2:]), np.float32)
    for y in range(step):
        for x in range(step):
            total += pixels[y : rows * step : step, x : columns * step : step]
    return total / step**2


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W[, 3]) shrunk to (width, height) with all its bits: first by whole pixels, then by Lanczos' filter."""
    from PIL import Image

    step = max(1, min(pixels.shape[1] // (2 * size[0]), pixels.shape[0] // (2 * size[1])))
    planes = np.atleast_3d(reduced(pixels, step)).transpose(2, 0, 1)
    smaller = [np.array(Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS)) for plane in planes]
    white = np.iinfo(pixels.dtype).max
    values = np.stack(smaller, -1).round().clip(0, white).astype(pixels.dtype)
    return values[..., 0] if pixels.ndim == 2 else values


def cut(picture: Picture, part: str, pixels: int) -> Picture:
    """The part of a picture that `place_of` names. Raises BadInput."""
    height, width = picture.pixels.shape[:2]
    how, place = place_of(part, width, height, pixels)
    if how == "whole":
        return picture
    if how == "shrink":
        size = (place[0], place[1])
        share = size[0] / width
        dpi = (picture.dpi[0] * share, picture.dpi[1] * share) if picture.dpi else None
        return _with(picture, lambda plane: resized(plane, size), dpi)
    if how == "best":
        place = best_box(picture.pixels, place[3], place[2])
    left, top, columns, rows = place
    return _with(
        picture, lambda plane: np.ascontiguousarray(plane[top : top + rows, left : left + columns]), picture.dpi
    )


def overview(picture: Picture) -> np.ndarray:
    """(h, w, 3) uint8, at most OVERVIEW pixels a side, on white where it is transparent."""
    from PIL import Image

    step = max(1, max(picture.pixels.shape[:2]) // OVERVIEW)
    white = np.iinfo(picture.pixels.dtype).max
    small = np.atleast_3d(reduced(picture.pixels, step)) * np.float32(255 / white)
    if picture.alpha is not None:
        seen = reduced(picture.alpha, step)[..., None] / white
        small = small * seen + 255 * (1 - seen)
    image = Image.fromarray(np.broadcast_to(small, (*small.shape[:2], 3)).round().clip(0, 255).astype(np.uint8))
    image.thumbnail((OVERVIEW, OVERVIEW))
    return np.array(image)


def draft(path: str | Path) -> tuple[Picture, int, tuple[int, int]] | None:
    """A large JPEG at a half, a quarter or an eighth of its size: unpacked in a fraction of the time and memory, and
    enough to look at. None for all other files, and for one that is damaged.

    Returns:
        The picture, how many times smaller it is, and (width, height) of the whole.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=("JPEG", "MPO")) as image:
            width, height = image.size
            step = next((step for step in (8, 4, 2) if max(width, height) // step >= OVERVIEW), 1)
            if step == 1 or image.mode not in ("RGB", "L"):
                return None
            image.draft(image.mode, (width // step, height // step))
            if image.size != (-(-width // step), -(-height // step)):
                return None
            seen = ImageOps.exif_transpose(image)
            turned = (image.width > image.height) != (seen.width > seen.height)
            return Picture(np.array(seen)), step, (height, width) if turned else (width, height)
    except Exception:  # the reader of whole files knows what to say
        return None


def _with(picture: Picture, change: Callable[[np.ndarray], np.ndarray], dpi: Any) -> Picture:
    alpha = None if picture.alpha is None else change(picture.alpha)
    return Picture(change(picture.pixels), picture.profile, dpi, None, alpha, warnings=picture.warnings)


def _sound_profile(profile: bytes | None) -> bytes | None:
    if not profile or len(profile) > _LARGEST_PROFILE:
        return None
    try:
        from io import BytesIO

        from PIL import ImageCms

        ImageCms.getOpenProfile(BytesIO(profile))
    except Exception:  # whatever is wrong with it, no viewer is to meet it
        return None
    return profile


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Does what the request asks: writes `overview` (JPEG) and finds the best box of `side` x `side` pixels, or writes
    the `part` to `out` (PNG). Raises BadInput."""
    smaller = None if request.get("out") else draft(request["photo"])
    if smaller:
        picture, step, (width, height) = smaller
    else:
        picture, step = read(request["photo"]), 1
        height, width = picture.pixels.shape[:2]
    said: dict[str, Any] = {"size": [width, height], "warnings": list(picture.warnings)}
    if request.get("overview"):
        from PIL import Image

        Image.fromarray(overview(picture)).save(request["overview"], quality=88)
        rows, columns = best_size(width, height, request["pixels"])
        left, top = best_box(eight_bit(picture.pixels), rows // step, columns // step)[:2]
        said["box"] = (min(left * step, width - columns), min(top * step, height - rows), columns, rows)
    if request.get("out"):
        part = cut(picture, request["part"], request["pixels"])
        if part.pixels.shape[0] * part.pixels.shape[1] > request["pixels"]:
            raise BadPicture("The part is larger than this page takes.", "Choose a smaller one.")
        write_picture(request["out"], part)
    return said


def main() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):
        pass  # not on Windows
    try:
        said = answer(json.loads(sys.argv[1]))
    except KernelFusionError as error:
        said = {"error": [error.message, error.hint]}
    except MemoryError:
        said = {"error": ["The photo needs more memory than this page gives to one.", "Crop it first."]}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
