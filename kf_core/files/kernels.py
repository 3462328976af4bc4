"""Kernels in files: from numpy, MATLAB, text and pictures, and written again."""

from __future__ import annotations

import base64
import binascii
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kf_core.errors import BadKernel, reason
from kf_core.files import matlab, png
from kf_core.files.atomic import write_atomically
from kf_core.files.figure import kernel_picture
from kf_core.files.kernel_readers import candidates, read_matlab, read_npz, read_text
from kf_core.files.picture import Notes, Picture, write_picture

SUFFIXES = (".npy", ".png")
READ = (".npy", ".npz", ".mat", ".txt", ".csv", ".png")
PICTURE_SIDE = 480  # pixels at most of a kernel saved as a picture: 20 per tap at scale 4
LARGEST = 256  # taps per side that are read at all
LARGEST_FILE = 2**26  # bytes
_NOTE = "Kernel"  # of a PNG that holds the taps as numbers too: "24 " and the float32 values in base64
_HINT = "Use a square array of numbers saved with numpy.save, or as .npz, .mat, .txt, .csv or .png."


def read_kernel(path: str | os.PathLike[str], size: int | None = None, number: int | None = None) -> np.ndarray:
    """A kernel (K, K) of numbers as they are stored, from one of the kinds of file in READ.

    The file may come from anybody: nothing in it can run, and what its header promises is believed only where the file
    is as long. Whether the size fits a scale is not looked at: that is fit_kernel's.

    Args:
        size: the taps per side it has to have, None: any.
        number: which one, from 1 on, of a file that holds several.

    Raises BadKernel.
    """
    path = Path(path)
    if not os.path.exists(path):
        raise BadKernel(f"There is no file '{path}'.", "Check its name and folder.")
    if not os.path.isfile(path):  # reading a pipe or a device may never end
        raise BadKernel(f"'{path}' is not an ordinary file.", _HINT)
    if os.path.getsize(path) > LARGEST_FILE and path.suffix.lower() != ".npy":
        raise BadKernel(f"'{path.name}' is far too large for a kernel.", _HINT)
    suffix = path.suffix.lower()
    if suffix == ".png":
        taps = _from_picture(path, size)
    else:
        reader = {".npz": read_npz, ".mat": read_matlab, ".txt": read_text, ".csv": read_text}.get(suffix, _npy)
        taps = _chosen(path, candidates(_read(path, reader)), number)
    if taps.ndim != 2 or taps.shape[0] != taps.shape[1] or taps.dtype.kind not in "fiu" or not taps.size:
        shape = " x ".join(str(n) for n in taps.shape) or "single"
        raise BadKernel(f"'{path.name}' holds a {shape} array of {taps.dtype}, which is not a kernel.", _HINT)
    if len(taps) > LARGEST:
        raise BadKernel(f"'{path.name}' has {len(taps)} taps per side, far too many for a kernel.", _HINT)
    if size not in (None, len(taps)):
        raise BadKernel(f"The kernel '{path.name}' has {len(taps)} taps per side, not {size}.", "Leave the size out.")
    taps = np.array(taps)  # a copy: the file may change
    if not np.isfinite(taps).all() or (taps / max(np.abs(taps).max(), 1e-300)).sum() <= 0:
        raise BadKernel(f"The kernel '{path.name}' holds values that are not numbers, or has no positive sum.", _HINT)
    return taps


def write_kernel(path: Path, kernel: np.ndarray) -> None:
    """As numbers, or to look at, as a grey picture (.png) that also has the numbers; atomically. Raises CannotWrite."""
    suffix, buffer = path.suffix.lower(), io.BytesIO()
    if suffix == ".png":
        taps = np.ascontiguousarray(kernel, dtype="<f4")
        note = f"{len(taps)} {base64.b64encode(taps.tobytes()).decode()}"
        write_picture(path, Picture(kernel_picture(kernel, PICTURE_SIDE), notes=Notes(text=((_NOTE, note),))))
        return
    if suffix == ".npz":
        np.savez(buffer, kernel=kernel)
    elif suffix == ".mat":
        buffer.write(matlab.write("kernel", kernel))
    elif suffix in (".txt", ".csv"):
        np.savetxt(buffer, kernel, fmt="%.9g", delimiter="," if suffix == ".csv" else " ")
    else:
        np.save(buffer, kernel)
    write_atomically(path, lambda file: file.write(buffer.getvalue()))


def _read(path: Path, reader: Callable[[Path], list[np.ndarray]]) -> list[np.ndarray]:
    try:
        return reader(path)
    except BadKernel:
        raise
    except OSError as error:
        raise BadKernel(f"'{path.name}' could not be read: {reason(error)}.", _HINT) from error
    except Exception as error:  # a damaged file makes the readers raise nearly anything
        kind = {".npz": "numpy's archive", ".mat": "MATLAB's", ".txt": "text", ".csv": "text"}.get(path.suffix.lower())
        what = f"{kind} format" if kind else "numpy's format"
        raise BadKernel(f"'{path.name}' does not hold a kernel in {what}.", _HINT) from error


def _npy(path: Path) -> list[np.ndarray]:
    return [np.lib.format.open_memmap(path, mode="r")]


def _chosen(path: Path, found: list[np.ndarray], number: int | None) -> np.ndarray:
    if number is not None and not 1 <= number <= len(found):
        raise BadKernel(f"'{path.name}' holds {len(found)} kernels; there is no number {number}.", "Count from 1.")
    if len(found) > 1 and number is None:
        raise BadKernel(
            f"'{path.name}' holds {len(found)} kernels.",
            "Take one out into a file of its own first (kf kernel convert FILE --number N -o K.npy).",
        )
    if not found:
        raise BadKernel(f"'{path.name}' holds no square array of numbers.", _HINT)
    return found[(number or 1) - 1]


def _from_picture(path: Path, size: int | None) -> np.ndarray:
    """The taps of a PNG: as numbers where `kf` wrote it, else its grey values, each square of equal ones once."""
    from PIL import Image

    try:
        with open(path, "rb") as file:
            for key, value in png.read_notes(file).text:
                if key == _NOTE and (taps := _from_note(value)) is not None:
                    return taps
            with Image.open(png.for_pixels(file), formats=["PNG"]) as image:
                if image.width != image.height or image.width > 16 * LARGEST:
                    raise BadKernel(f"'{path.name}' is not square, as a picture of a kernel is.", _HINT)
                values = np.array(image.convert("RGB") if image.mode in ("P", "PA", "RGBA", "LA", "1") else image)
    except BadKernel:
        raise
    except Exception as error:
        raise BadKernel(f"'{path.name}' is not a picture of a kernel.", _HINT) from error
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise BadKernel(f"'{path.name}' is in colour: it is not a picture of a kernel.", _HINT)
        values = values[..., 0]
    side = len(values)
    squares = [f for f in range(side, 0, -1) if side % f == 0 and size in (None, side // f) and side // f > 1]
    for factor in squares:
        taps = values[::factor, ::factor]
        if np.array_equal(taps.repeat(factor, 0).repeat(factor, 1), values):
            return taps.astype(np.float64)
    return values.astype(np.float64)


def _from_note(value: str) -> np.ndarray | None:
    side, _, numbers = value.partition(" ")
    try:
        taps = np.frombuffer(base64.b64decode(numbers, validate=True), dtype="<f4")
        return taps.reshape(int(side), int(side)).astype(np.float32)
    except (binascii.Error, ValueError):
        return None
