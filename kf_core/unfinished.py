"""The result of a large photo while it is made: in memory, or in a folder where the next run finds what is done."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kf_core.errors import CannotWrite, reason
from kf_core.files.atomic import free_space, write_atomically
from kf_core.physics.grid import Box

PIXELS, DONE = "pixels.npy", "done.json"


@dataclass
class Unfinished:
    """The result of a large photo while its tiles are made.

    Attributes:
        pixels: of the whole result, what is not done yet is anything; in a folder: a file that memory holds in part.
        folder: None: in memory.
        job: what the result is of, in a word that differs where the result would.
        done: the tiles that are there, and the mean square that each leaves unexplained.
        share: that they were mixed by; None: they were not.
    """

    pixels: np.ndarray
    folder: Path | None = None
    job: str = ""
    done: dict[Box, float] = field(default_factory=dict)
    share: float | None = None

    @classmethod
    def begin(cls, folder: Path | None, job: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Unfinished:
        """What the folder holds already of that job, or a new one in its place. Raises CannotWrite."""
        if folder is None:
            return cls(np.empty(shape, dtype))
        try:
            about = json.loads((folder / DONE).read_text("utf-8"))
            pixels = np.lib.format.open_memmap(folder / PIXELS, mode="r+")
            if about["job"] == job and pixels.shape == shape and pixels.dtype == dtype:
                return cls(pixels, folder, job, {tuple(box): squares for box, squares in about["done"]}, about["share"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing there, or nothing to use
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / DONE).unlink(missing_ok=True)
            pixels = np.lib.format.open_memmap(folder / PIXELS, mode="w+", dtype=dtype, shape=shape)
            _claim_room(folder / PIXELS)
        except OSError as error:
            hint = "Make room on that disk, or give another folder for unfinished work."
            raise CannotWrite(f"The unfinished picture cannot be kept in {folder}: {reason(error)}.", hint) from error
        return cls(pixels, folder, job)

    def add(self, box: Box, squares: float, share: float | None) -> None:
        """The pixels of a tile are there: so it is remembered, on the disk once they are."""
        self.done[box] = squares
        self.share = share
        if self.folder is not None:
            assert isinstance(self.pixels, np.memmap)
            self.pixels.flush()
            about = json.dumps({"job": self.job, "done": sorted(self.done.items()), "share": share}).encode()
            write_atomically(self.folder / DONE, lambda file: file.write(about))


def _claim_room(path: Path) -> None:
    """Makes sure that the disk holds the whole file, which so far has a size only. Raises OSError where it does not.

    Without that, a disk that becomes full ends the process when memory is written to the file.
    """
    if not hasattr(os, "posix_fallocate"):
        free = free_space(path)
        if free is not None and free < path.stat().st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # which some file systems say
                raise


def forget(folder: Path) -> None:
    """Deletes what was kept in a folder of `Unfinished`; the result, where it is still in use, stays readable."""
    shutil.rmtree(folder, ignore_errors=True)
