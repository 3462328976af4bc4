"""One photo of a batch, from its file to the file of its result. Runs in a process of its own; docs/batch.md."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kf_core.batch.manifest import DONE, FAILED, STOPPED, Entry, sha256_of
from kf_core.errors import Cancelled, CannotWrite, KernelFusionError, is_out_of_memory
from kf_core.progress import Progress
from kf_core.settings import Settings
from kf_core.unfinished import forget

if TYPE_CHECKING:
    from kf_core.batch.shared_kernel import SharedKernel
    from kf_core.files.picture import Picture
    from kf_core.result import SuperResolution

SECONDS_BETWEEN_LOOKS = 1.0  # at whether the batch goes on
SHOWN = 320  # pixels per side of the part of a result that the contact sheet shows
SEARCHED = 2048  # LR pixels per side of the middle in which that part is sought
PICTURES = "pictures"  # in the batch's own folder: those of the contact sheet


@dataclass(frozen=True, eq=False)
class Job:
    """What is to be done with one photo. It can be sent to another process, or another computer.

    Attributes:
        photo, result, key: as in an Entry.
        source, output: the two files.
        work: the batch's own folder, between the results.
        token: a file that is there as long as the batch is to go on.
        kernel: (K, K), where it is known.
        shared: where one kernel was found for all photos.
        seconds: about how long it may take; None: as long as it needs.
    """

    photo: str
    result: str
    key: str
    source: Path
    output: Path
    work: Path
    token: Path
    settings: Settings
    kernel: np.ndarray | None = None
    shared: SharedKernel | None = None
    quality: int | None = None
    seconds: float | None = None


def run_job(job: Job, told: Callable[[float], None] | None = None) -> Entry:
    """Does it, and says how it went: whatever happens is an Entry, so that no photo ends a batch.

    Args:
        told: is told how much is done, 0..1.
    """
    began = time.monotonic()
    entry = Entry(job.photo, job.result, job.key, FAILED)
    try:
        about = os.stat(job.source)
        entry = replace(entry, size=about.st_size, mtime=about.st_mtime_ns, sha256=sha256_of(job.source))
    except OSError:
        pass  # reading it says why
    unfinished = job.work / "unfinished" / short(job.photo)
    keep = False
    try:
        report = _enlarge(job, told, unfinished)
        kernel = "shared" if report["shared"] else ""
        entry = replace(
            entry,
            state=DONE,
            confidence=report.get("confidence"),
            kernel=kernel or report["kernel_source"],
            sentence=" ".join([report.get("confidence_sentence", ""), *report["warnings"]]).strip(),
        )
    except Cancelled:
        keep, entry = True, replace(entry, state=STOPPED)
    except KernelFusionError as error:
        keep, entry = isinstance(error, CannotWrite), replace(entry, sentence=str(error))
    except Exception as error:
        if is_out_of_memory(error):
            told_so = "The memory did not suffice. Use a smaller part of the photo, or fewer processes at a time."
        else:
            what = " ".join(str(error).split()) or type(error).__name__
            told_so = f"Something went wrong that should not: {what} Please report it together with the photo."
        entry = replace(entry, sentence=told_so)
    if not keep:
        forget(unfinished)
    return replace(entry, seconds=round(time.monotonic() - began, 2))


def _enlarge(job: Job, told: Callable[[float], None] | None, unfinished: Path) -> dict[str, Any]:
    """Reads, enlarges and writes; the report of the run, with sentences for people as "warnings"."""
    from kf_core.enlarged import larger, times, visible
    from kf_core.files import outputs
    from kf_core.files.picture import read_picture, write_picture
    from kf_core.pipeline import super_resolve

    settings, scale = job.settings, job.settings.scale
    picture = read_picture(job.source, transparency=True)
    outputs.check_outputs([job.source], planned=[outputs.Planned.enlarged(picture, scale, job.output, job.quality)])
    colour, hidden = visible(picture)
    estimator = None
    if job.shared is not None:
        estimator, settings = job.shared.estimator(settings)
    paced: tuple[str, ...] = ()
    if job.seconds is not None:
        from kf_core.pace import within

        height, width = picture.pixels.shape[:2]
        pace = within(job.seconds, width, height, settings, job.kernel is not None or job.shared is not None)
        settings, paced = pace.settings, pace.sentences

    def progress(event: Progress) -> None:
        if told is not None:
            told(event.fraction)

    result = super_resolve(
        colour,
        settings,
        kernel=job.kernel,
        estimator=estimator,
        progress=progress,
        should_stop=StopWatch(job.token),
        unfinished=unfinished,
    )
    image = result.image
    assert image is not None
    finished = replace(picture, pixels=image, dpi=times(picture.dpi, scale), alpha=larger(hidden, image), warnings=())
    said = write_picture(job.output, finished, quality=job.quality)
    with contextlib.suppress(OSError, KernelFusionError):  # a missing picture on a sheet is no reason to fail
        show(job, picture, image, result)
    varies = [result.report["regions"]["sentence"]] if "regions" in result.report else []
    shared = job.shared is not None and np.array_equal(job.shared.kernel, result.kernel)  # a drawing may have its own
    return {
        **result.report,
        "shared": shared,
        "warnings": [*varies, *picture.warnings, *result.report.get("warnings", ()), *paced, *said],
    }


def show(job: Job, picture: Picture, image: np.ndarray, result: SuperResolution) -> None:
    """Writes the pictures of the contact sheet: the most telling part, enlarged plainly and as made; the kernel, or
    the map of kernels where the blur varies."""
    import torch
    from PIL import Image

    from kf_core.files.deep import eight_bit
    from kf_core.files.figure import kernel_picture, kernels_picture
    from kf_core.physics.grid import informative_crop

    scale = job.settings.scale
    sides = picture.pixels.shape[:2]
    top, left = (max(0, (side - SEARCHED) // 2) for side in sides)
    middle = eight_bit(picture.pixels[top : top + SEARCHED, left : left + SEARCHED])
    grey = middle.reshape(*middle.shape[:2], -1).mean(2, dtype=np.float32)
    down, right, height, width = informative_crop(torch.from_numpy(grey)[None, None], SHOWN // scale)
    box = (slice(top + down, top + down + height), slice(left + right, left + right + width))
    part = Image.fromarray(eight_bit(np.ascontiguousarray(picture.pixels[box])))
    plain = part.resize((width * scale, height * scale), Image.Resampling.BICUBIC)
    there = tuple(slice(each.start * scale, each.stop * scale) for each in box)
    made = Image.fromarray(eight_bit(np.ascontiguousarray(image[there])))
    profile = picture.profile if picture.pixels.ndim == 3 else None
    for kind, shown in (("plain", plain), ("result", made)):
        _save(shown, job.work / picture_name(job.photo, kind), "JPEG", quality=88, icc_profile=profile)
    one, several = result.kernel, result.kernels
    seen = kernel_picture(one, 96) if several is None else kernels_picture(several.kernels, 192)
    _save(Image.fromarray(seen), job.work / picture_name(job.photo, "kernel"), "PNG")


def picture_name(photo: str, kind: str) -> str:
    """Where in the batch's own folder the picture "plain", "result" or "kernel" of a photo is."""
    return f"{PICTURES}/{short(photo)}-{kind}.{'png' if kind == 'kernel' else 'jpg'}"


def short(photo: str) -> str:
    """A name for what belongs to a photo, of the same length for all."""
    return hashlib.sha256(photo.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _save(image: Any, path: Path, form: str, **options: Any) -> None:
    from kf_core.files.atomic import write_atomically

    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda file: image.save(file, form, **options))


class StopWatch:
    """Whether the batch has ended, by a file that then is gone; looked at once a second."""

    def __init__(self, token: Path):
        self.token, self._looked, self._gone = token, float("-inf"), False

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._gone and now - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked, self._gone = now, not os.path.exists(self.token)
        return self._gone
