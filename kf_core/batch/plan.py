"""What a batch will write, under which names, and whether it can be: before any work is done."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from kf_core.batch.manifest import Entry
from kf_core.batch.sources import identity
from kf_core.errors import BadInput, CannotWrite, KernelFusionError
from kf_core.settings import Settings

SAME = "same"
FORMS = ("png", "jpg", "webp", "avif", "tif", SAME)


@dataclass(frozen=True, eq=False)
class Batch:
    """What to do with a folder.

    Attributes:
        source: the folder of the photos.
        output: the folder of the results, which need not be there yet.
        settings: of every photo.
        recursive: whether the folders inside are meant too.
        kernel: (K, K), where it is known; then only the images are recovered.
        shared: find one kernel for all photos, those of one camera and lens.
        form: of the results: one of FORMS; "same" is that of the photo, or PNG where it cannot be written.
        quality: 1 to 100, of JPEG, WebP and AVIF.
        workers: processes on this computer; None: one for each graphics card, or one.
        cluster: the address of a Dask scheduler whose workers do the work instead.
        seconds: about how long a photo may take on the computer that makes it; None: as long as it needs.
    """

    source: Path
    output: Path
    settings: Settings
    recursive: bool = False
    kernel: np.ndarray | None = None
    shared: bool = False
    form: str = "png"
    quality: int | None = None
    workers: int | None = None
    cluster: str | None = None
    seconds: float | None = None


def check_batch(batch: Batch) -> None:
    """Raises BadInput for what no batch can do, before anything is written."""
    from kf_core.files.encode import check_fits

    batch.settings.checked()
    if batch.form not in FORMS:
        raise BadInput(f"There is no format '{batch.form}'.", f"Choose one of {', '.join(FORMS)}.")
    if batch.form != SAME:
        check_fits(Path(f"result.{batch.form}"), quality=batch.quality)
    if not batch.source.is_dir():
        what = "is not a folder" if batch.source.exists() else "is not there"
        raise BadInput(f"'{batch.source}' {what}.", "Give the folder that holds the photos.")
    if batch.output.exists() and not batch.output.is_dir():
        raise CannotWrite(f"'{batch.output}' is a file.", "Give a folder for the results.")
    if identity(batch.source) == identity(batch.output):
        raise CannotWrite("The results would lie between the photos.", "Give another folder for the results.")
    if batch.kernel is not None and batch.shared:
        raise BadInput("A kernel is given, and one to be found for all photos.", "Choose one of the two.")
    if batch.settings.varying.regions > 1 and (batch.shared or batch.kernel is not None):
        which = "one kernel for all photos" if batch.shared else "a kernel that is given"
        raise BadInput(
            f"Blur that varies over the photo and {which} do not go together.",
            "Let each photo have its own kernel, or leave out that its blur varies.",
        )
    if batch.settings.scale == 1:
        from kf_core.same_size import check_same_size

        check_same_size(batch.settings, batch.kernel is None)
    if batch.seconds is not None:
        from kf_core.pace import check_pace

        check_pace(batch.seconds, batch.settings)
    if batch.cluster is not None and batch.workers is not None:
        raise BadInput("A cluster has its own workers.", "Leave out how many, or the cluster.")
    if batch.workers is not None and batch.workers < 1:
        raise BadInput(f"{batch.workers} processes cannot do any work.", "Give 1 or more.")


def name_results(photos: Iterable[str], batch: Batch, before: Mapping[str, Entry]) -> dict[str, str]:
    """For each photo the path of its result in the folder of the results: the tree of the photos, no name twice.

    A photo keeps the name that an earlier run gave its result. No file that is not the batch's own is replaced: neither
    a photo, where one folder lies inside the other, nor anything else that was there before.
    """
    photos = list(photos)
    named: dict[str, str] = {}
    taken = {_folded(os.path.realpath(batch.source / photo)) for photo in photos}
    for photo in photos:
        entry = before.get(photo)
        if entry and PurePosixPath(entry.result).suffix == ending(photo, batch.form):
            path = _folded(os.path.realpath(batch.output / entry.result))
            if path not in taken:
                named[photo] = entry.result
                taken.add(path)
    for photo in photos:
        if photo not in named:
            for name in _names(photo, ending(photo, batch.form)):
                path = os.path.realpath(batch.output / name)
                if _folded(path) not in taken and not os.path.lexists(path):
                    named[photo] = name
                    taken.add(_folded(path))
                    break
    return {photo: named[photo] for photo in photos}


def ending(photo: str, form: str) -> str:
    """The suffix of a photo's result."""
    from kf_core.files.encode import FORMATS

    if form != SAME:
        return f".{form}"
    own = PurePosixPath(photo).suffix.lower()
    return own if own in FORMATS else ".png"


def _names(photo: str, suffix: str) -> Iterator[str]:
    """a.png, then a.jpg.png, then a_2.png, a_3.png and so on, in the photo's folder."""
    path = PurePosixPath(photo)
    yield str(path.with_suffix(suffix))
    yield str(path.with_name(path.name + suffix))
    number = 2
    while True:
        yield str(path.with_name(f"{path.stem}_{number}{suffix}"))
        number += 1


def _folded(path: str) -> str:
    """The same for names that some disks take for the same."""
    return unicodedata.normalize("NFC", path).casefold()


def check_room(results: Mapping[Path, Path], scale: int, quality: int | None) -> None:
    """Raises CannotWrite where the disk has no room for the results of all photos, {photo: its result}, together."""
    from kf_core.files.atomic import free_space
    from kf_core.files.outputs import in_words

    if not results:
        return
    needed = sum(_bytes(photo, result, scale, quality) for photo, result in results.items())
    some = next(iter(results.values()))
    free = free_space(some)
    if free is not None and needed > free:
        raise CannotWrite(
            f"The results of {len(results)} photos may need {in_words(needed)}, and {in_words(free)} are free there.",
            "Make room, choose another folder for the results, or write them as jpg.",
        )


def _bytes(photo: Path, result: Path, scale: int, quality: int | None) -> int:
    """That the result has at most, by the header of the photo; 0 where it cannot be read, which is told later."""
    from PIL import Image

    from kf_core.files.layout import examine
    from kf_core.files.outputs import Planned

    with contextlib.suppress(OSError, ValueError, SyntaxError, KernelFusionError, Image.DecompressionBombError):
        with open(photo, "rb") as file:
            layout = examine(file, photo.name)
            file.seek(0)
            image = Image.open(file)
            (width, height), bands = image.size, len(image.getbands())
        samples = 1 if bands <= 2 and image.mode not in ("P", "PA") else 3
        size = (height * scale, width * scale)
        return Planned(result, size, samples, 16 if layout.bits > 8 else 8, bands in (2, 4), quality).bytes
    return 0
