"""The files beside the photo: reports and sheets, and the check of all names before the long run."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kf_core.errors import AlreadyThere, CannotWrite, KernelFusionError
from kf_core.files import tiff
from kf_core.files.atomic import check_writable_folder, free_space, write_atomically
from kf_core.files.deep import eight_bit
from kf_core.files.encode import format_of
from kf_core.files.figure import side_by_side
from kf_core.files.kernels import SUFFIXES, write_kernel
from kf_core.files.picture import Picture, check_writable, write_picture

Writer = Callable[[Path], Sequence[str]]


@dataclass(frozen=True)
class Planned:
    """A picture that will be written: `size` is (height, width), `samples` the numbers in a pixel."""

    path: Path
    size: tuple[int, int]
    samples: int = 3
    bits: int = 8
    transparent: bool = False
    quality: int | None = None

    @classmethod
    def enlarged(cls, picture: Picture, scale: int, path: Path, quality: int | None) -> Planned:
        """`picture` made `scale` times larger."""
        height, width = (side * scale for side in picture.pixels.shape[:2])
        samples, bits = 1 if picture.pixels.ndim == 2 else 3, 8 * picture.pixels.itemsize
        return cls(path, (height, width), samples, bits, picture.alpha is not None, quality)

    @property
    def bytes(self) -> int:
        """That the file has at most, or nearly."""
        raw = self.size[0] * self.size[1] * (self.samples + self.transparent)
        form = format_of(self.path)
        small = form.lossy and (self.quality is not None or form.name != "WEBP")
        return raw // 2 if small else raw * (self.bits if form.deep else 8) // 8


def check_outputs(
    inputs: Sequence[Path | None],
    pictures: Sequence[Path | None] = (),
    kernel: Path | None = None,
    report: Path | None = None,
    prior: Path | None = None,
    replace: bool = True,
    planned: Sequence[Planned] = (),
    kernel_suffixes: Sequence[str] = SUFFIXES,
) -> None:
    """Raises CannotWrite if an output could not be written, would replace an input, or is named twice.

    Args:
        inputs: what is read; must survive.
        pictures, kernel, report, prior: what will be written; None: is not asked for.
        replace: whether it may replace what is there already.
        kernel_suffixes: what its name may end in.
        planned: pictures of which more is known, so that their size and the free disk can be checked too.
    """
    for path in pictures:
        if path:
            check_writable(path)
    for each in planned:
        check_writable(each.path, each.size, each.transparent, each.quality)
    check_space(planned)
    pictures = [*pictures, *(each.path for each in planned)]
    for path, suffixes in ((kernel, kernel_suffixes), (report, (".json",)), (prior, (".safetensors",))):
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


def check_space(planned: Sequence[Planned]) -> None:
    """Raises CannotWrite where a file would be too long, or a disk has no room for all that will be written to it."""
    needed: dict[int, int] = {}
    for each in planned:
        if format_of(each.path).name == "TIFF" and each.bytes > tiff.LARGEST:
            raise CannotWrite(
                f"'{each.path.name}' would be larger than a TIFF can be (4 GiB).", "Write a .png instead."
            )
        folder = Path(os.path.realpath(each.path)).parent
        disk = os.stat(folder).st_dev
        needed[disk] = needed.get(disk, 0) + each.bytes
        free = free_space(each.path)
        if free is not None and free < needed[disk]:
            raise CannotWrite(
                f"'{each.path.name}' may need {in_words(needed[disk])}, and {in_words(free)} are free on that disk.",
                "Make room, or write it to another disk.",
            )


def in_words(count: int) -> str:
    return f"{count / 2**20:.0f} MB" if count >= 2**20 else f"{count / 2**10:.0f} KB"


def default_name(photo: Path, ending: str) -> Path:
    """`photo` with `ending` in place of its suffix, or the next free name; shortened if the disk wants it shorter."""
    longest = 255
    with contextlib.suppress(AttributeError, OSError, ValueError):
        longest = os.pathconf(photo.parent, "PC_NAME_MAX")
    room = longest - len(os.fsencode(ending)) - len("_999")
    stem = photo.stem
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return free_name(photo.with_name(f"{stem}{ending}"))


def free_name(path: Path) -> Path:
    """`path`, or the first of path_2, path_3 ... that is not there yet."""
    tried, number = path, 2
    while os.path.lexists(tried):
        tried, number = path.with_stem(f"{path.stem}_{number}"), number + 1
    return tried


class Jobs:
    """Writes the results of a run, each wherever it can be: a long run is not lost to a format or a full disk.

    Attributes:
        written: {where it was wanted: where it is}.
        warnings: sentences about what a format could not hold.
        failed: the first failure, with a word on where the result is instead; None: all is where it was wanted.
    """

    def __init__(self) -> None:
        self.written: dict[Path, Path] = {}
        self.warnings: list[str] = []
        self.failed: Exception | None = None

    def kernel(self, path: Path, kernel: np.ndarray) -> None:
        def write(to: Path) -> Sequence[str]:
            write_kernel(to, kernel)
            return ()

        self._write(path, write, ".npy")

    def report(self, path: Path, report: dict[str, Any]) -> None:
        def write(to: Path) -> Sequence[str]:
            write_report(to, report)
            return ()

        self._write(path, write, ".json")

    def picture(self, path: Path, picture: Picture, quality: int | None = None) -> None:
        """Falls back to a PNG beside it, at last with nothing but the pixels."""
        plain = Picture(picture.pixels, alpha=picture.alpha)
        others = [lambda to: write_picture(to, picture), lambda to: write_picture(to, plain)]
        self._write(path, lambda to: write_picture(to, picture, quality=quality), ".png", others)

    def sheet(self, path: Path, make: Callable[[], Picture]) -> None:
        self._write(path, lambda to: write_picture(to, make()), ".png")

    def _write(self, path: Path, write: Writer, suffix: str, others: Sequence[Writer] = ()) -> None:
        try:
            self.warnings += write(path)
            self.written[path] = path
            return
        except Exception as error:
            failed = error
        for folder in (path.parent, Path.cwd(), Path(tempfile.gettempdir())):
            for attempt in others or (write,):
                with contextlib.suppress(Exception):
                    other = default_name(folder / path.name, suffix)
                    self.warnings += attempt(other)
                    self.written[path] = other
                    self._fail(failed, f"It was written to '{other}' instead.")
                    return
        self._fail(failed, "")

    def _fail(self, error: Exception, instead: str) -> None:
        if self.failed is None:
            if isinstance(error, KernelFusionError):
                self.failed = CannotWrite(error.message, instead or error.hint)
            elif instead:
                self.failed = CannotWrite(f"Something went wrong while writing: {error}", instead)
            else:
                self.failed = error


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
