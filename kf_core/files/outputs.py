"""The files beside the photo: kernels, reports and sheets, and the check of all names before the long run."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kf_core.errors import AlreadyThere, BadKernel, CannotWrite
from kf_core.files.atomic import check_writable_folder, write_atomically
from kf_core.files.deep import eight_bit
from kf_core.files.figure import kernel_picture, side_by_side
from kf_core.files.picture import Picture, check_writable, write_picture

KERNEL_SUFFIXES = (".npy", ".png")
KERNEL_PICTURE_SIDE = 480  # pixels at most of a kernel saved as a picture: 20 per tap at scale 4


def check_outputs(
    inputs: Sequence[Path | None],
    pictures: Sequence[Path | None] = (),
    kernel: Path | None = None,
    report: Path | None = None,
    prior: Path | None = None,
    replace: bool = True,
) -> None:
    """Raises CannotWrite if an output could not be written, would replace an input, or is named twice.

    Args:
        inputs: what is read; must survive.
        pictures, kernel, report, prior: what will be written; None: is not asked for.
        replace: whether it may replace what is there already.
    """
    for path in pictures:
        if path:
            check_writable(path)
    for path, suffixes in ((kernel, KERNEL_SUFFIXES), (report, (".json",)), (prior, (".safetensors",))):
        if path:
            if path.suffix.lower() not in suffixes:
                raise CannotWrite(f"'{path.name}' should end in {' or '.join(suffixes)}.", "Give it another name.")
            check_writable_folder(path)
    before = [path for path in inputs if path]
    for path in [path for path in (*pictures, kernel, report, prior) if path]:
        for other in before:
            if same_file(path, other):
                if other in inputs:
                    raise CannotWrite(f"'{path}' would be overwritten, but it is read here.", "Name another output.")
                raise CannotWrite(f"'{path}' is named for two outputs.", "Give each a name of its own.")
        if not replace and path.exists():
            raise AlreadyThere(f"'{path}' is there already.", "Give another name, or allow it to be replaced.")
        before.append(path)


def free_name(path: Path) -> Path:
    """`path`, or the first of path_2, path_3 ... that is not there yet."""
    tried, number = path, 2
    while tried.exists():
        tried, number = path.with_stem(f"{path.stem}_{number}"), number + 1
    return tried


def same_file(one: Path, other: Path) -> bool:
    """Whether both names lead to one file, also through links and on disks that do not tell a from A."""
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there yet
        return os.path.realpath(one) == os.path.realpath(other)


def read_kernel(path: Path, size: int | None = None) -> np.ndarray:
    """A kernel (K, K), of `size` if given, from a .npy file. Raises BadInput; the scale is not looked at."""
    hint = "Use a square array of numbers saved with numpy.save."
    try:
        with open(path, "rb") as file:
            kernel = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise BadKernel(f"There is no file '{path}'.", "Check its name and folder.") from None
    except OSError as error:
        raise BadKernel(f"'{path}' could not be read: {(error.strerror or str(error)).lower()}.", hint) from error
    except (ValueError, EOFError) as error:
        raise BadKernel(f"'{path.name}' is not a kernel in numpy's format.", hint) from error
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.dtype.kind not in "fiu":
        shape = " x ".join(str(n) for n in kernel.shape) or "single"
        raise BadKernel(f"'{path.name}' holds a {shape} array of {kernel.dtype}, which is not a kernel.", hint)
    if not np.isfinite(kernel).all() or kernel.sum() <= 0:
        raise BadKernel(f"The kernel '{path.name}' holds values that are not numbers, or has no positive sum.", hint)
    if size not in (None, len(kernel)):
        raise BadKernel(f"The kernel '{path.name}' has {len(kernel)} taps per side, not {size}.", "Leave the size out.")
    return kernel


def write_kernel(path: Path, kernel: np.ndarray) -> None:
    """As numbers (.npy) or, to look at, as a grey picture (.png)."""
    if path.suffix.lower() == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, kernel)
        write_atomically(path, lambda file: file.write(buffer.getvalue()))
    else:
        write_picture(path, Picture(kernel_picture(kernel, KERNEL_PICTURE_SIDE)))


def write_report(path: Path, report: dict[str, Any]) -> None:
    """As JSON for people and programs."""
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode("utf-8", "replace")))


def make_sheet(photo: np.ndarray, result: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Photo, bicubic enlargement, result and kernel in one picture."""
    from PIL import Image

    photo, result = eight_bit(photo), eight_bit(result)
    height, width = result.shape[:2]
    bicubic = np.array(Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC))
    return side_by_side(photo, bicubic, result, kernel)
