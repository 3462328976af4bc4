"""The files beside the photo: reports and sheets, and the check of all names before the long run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kf_core.errors import AlreadyThere, CannotWrite
from kf_core.files.atomic import check_writable_folder, write_atomically
from kf_core.files.deep import eight_bit
from kf_core.files.figure import side_by_side
from kf_core.files.kernels import SUFFIXES
from kf_core.files.picture import check_writable


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
    for path, suffixes in ((kernel, SUFFIXES), (report, (".json",)), (prior, (".safetensors",))):
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
