"""Arrays out of files that other programs wrote, to be looked through for kernels."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kf_core.errors import BadKernel
from kf_core.files import matlab

_LARGEST_ARRAY = 2**26  # bytes that are unpacked of an archive
_NUMBER = "fiu"
_NAME = re.compile(r"kernel|psf|blur|^k$|^h$", re.IGNORECASE)


def read_npz(path: Path) -> list[np.ndarray]:
    """The arrays of an archive of numpy; nothing is unpickled."""
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_ARRAY:
            raise BadKernel(f"'{path.name}' unpacks to far more than a kernel.", "Save the kernel alone.")
    with np.load(path, allow_pickle=False) as arrays:
        return _likely([(name, arrays[name]) for name in arrays.files])


def read_matlab(path: Path) -> list[np.ndarray]:
    """The variables of a .mat file, cells taken apart."""
    content = path.read_bytes()
    if b"MATLAB 7.3" in content[:128]:
        raise BadKernel(
            f"'{path.name}' is saved in the format of MATLAB 7.3, which cannot be read.",
            "Save it with save(name, 'kernel', '-v7').",
        )
    return _likely(matlab.read(content))


def read_text(path: Path) -> list[np.ndarray]:
    """Rows of numbers, apart by blanks, tabs, commas or semicolons; a line may be a comment after # or %.

    A comma is the decimal point where semicolons, or tabs and no points, stand between the numbers.
    """
    text = path.read_bytes().decode("utf-8-sig")
    if "\0" in text:
        raise ValueError("not a text")
    lines = [line.split("#")[0].split("%")[0].strip() for line in text.splitlines()]
    text = "\n".join(lines).strip().strip("[]")
    decimal_comma = "," in text and "." not in text and (";" in text or "\t" in text)
    text = text.replace(",", "." if decimal_comma else " ")
    # A semicolon ends a row where MATLAB printed a matrix into one line, else it stands between numbers.
    text = text.replace(";", " " if "\n" in text else "\n")
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines()):
        try:
            rows += [[float(word) for word in line.split()]] if line.strip() else []
        except ValueError:
            if number or "\n" not in text:  # else: the names of columns
                raise
    if len({len(row) for row in rows}) != 1:
        raise ValueError("rows of different lengths")
    return [np.array(rows)]


def candidates(arrays: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The kernels among them: square ones, and those that are stacked along a third axis.

    A single array that holds none is given back as it is, so that it can be named in the refusal.
    """
    arrays, found = list(arrays), []
    for array in arrays:
        flat = array.squeeze() if array.ndim > 2 else array
        if array.dtype.kind not in _NUMBER:
            continue
        if flat.ndim == 2 and flat.shape[0] == flat.shape[1] and len(flat) > 1:
            found.append(flat)
        elif flat.ndim == 3 and flat.shape[1] == flat.shape[2]:
            found += list(flat)
        elif flat.ndim == 3 and flat.shape[0] == flat.shape[1]:
            found += list(np.moveaxis(flat, 2, 0))
    return found if found or len(arrays) != 1 else arrays


def _likely(found: Sequence[tuple[str, np.ndarray]]) -> list[np.ndarray]:
    """Those whose name says that they are kernels; all where none does."""
    named = [value for name, value in found if _NAME.search(name)]
    return named or [value for _, value in found]
