"""Kernels in files: read from numpy's format, written in it or as a picture."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from kf_core.errors import BadKernel
from kf_core.files.atomic import write_atomically
from kf_core.files.figure import kernel_picture
from kf_core.files.picture import Picture, write_picture

SUFFIXES = (".npy", ".png")
PICTURE_SIDE = 480  # pixels at most of a kernel saved as a picture: 20 per tap at scale 4


def read_kernel(path: str | os.PathLike[str], size: int | None = None) -> np.ndarray:
    """A kernel (K, K) of numbers as they are stored, from a .npy file.

    The file may come from anybody: nothing in it can run, and what its header promises is believed only where the file
    is as long. Whether the size fits a scale is not looked at.

    Args:
        size: the taps per side it has to have, None: any.

    Raises BadKernel.
    """
    path, hint = Path(path), "Use a square array of numbers saved with numpy.save."
    if not os.path.exists(path):
        raise BadKernel(f"There is no file '{path}'.", "Check its name and folder.")
    if not os.path.isfile(path):  # reading a pipe or a device may never end
        raise BadKernel(f"'{path}' is not an ordinary file.", hint)
    try:
        kernel = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise BadKernel(f"'{path.name}' could not be read: {(error.strerror or str(error)).lower()}.", hint) from error
    except Exception as error:  # a damaged header makes numpy raise nearly anything
        raise BadKernel(f"'{path.name}' does not hold a kernel in numpy's format.", hint) from error
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.dtype.kind not in "fiu":
        shape = " x ".join(str(n) for n in kernel.shape) or "single"
        raise BadKernel(f"'{path.name}' holds a {shape} array of {kernel.dtype}, which is not a kernel.", hint)
    if size not in (None, len(kernel)):
        raise BadKernel(f"The kernel '{path.name}' has {len(kernel)} taps per side, not {size}.", "Leave the size out.")
    taps = np.array(kernel)  # a copy: the file may change
    if not np.isfinite(taps).all() or taps.sum() <= 0:
        raise BadKernel(f"The kernel '{path.name}' holds values that are not numbers, or has no positive sum.", hint)
    return taps


def write_kernel(path: Path, kernel: np.ndarray) -> None:
    """As numbers (.npy) or, to look at, as a grey picture (.png); atomically. Raises CannotWrite."""
    if path.suffix.lower() == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, kernel)
        write_atomically(path, lambda file: file.write(buffer.getvalue()))
    else:
        write_picture(path, Picture(kernel_picture(kernel, PICTURE_SIDE)))
