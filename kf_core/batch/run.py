"""A whole folder: finds the photos, does what is not done yet, and writes the tables."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kf_core.batch.manifest import FAILED, STARTED, STOPPED, Entry, Manifest, make_key
from kf_core.batch.plan import Batch, check_batch, check_room, ending, name_results
from kf_core.batch.sheet import write_page, write_table
from kf_core.batch.sources import MANIFEST, WORK, Found, find_photos
from kf_core.errors import AlreadyThere, BadInput, Cancelled, CannotWrite, reason
from kf_core.progress import Progress

if TYPE_CHECKING:
    from kf_core.batch.job import Job
    from kf_core.batch.shared_kernel import SharedKernel

SECONDS_BETWEEN_TABLES = 30
TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")  # files.atomic's


@dataclass(frozen=True)
class Summary:
    """How a batch ended.

    Attributes:
        done: photos that were made now.
        before: those that were there already, made of the same photo with the same settings.
        failed: the entries of those that could not be made.
        notes: sentences about folders that were left out.
        table, page: the CSV and the HTML.
    """

    done: int
    before: int
    failed: tuple[Entry, ...]
    notes: tuple[str, ...]
    table: Path
    page: Path


def run_batch(
    batch: Batch,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Summary:
    """Enlarges every photo of a folder that is not done yet.

    What is done is kept whatever happens; the same call goes on with the rest. A photo that cannot be made never ends
    the batch: its sentence is in the summary and in the tables.

    Args:
        progress: called now and then, from this thread; step and total are photos.
        should_stop: asked several times a second; True ends the photos under way and then the batch, with Cancelled.

    Raises BadInput where nothing can be done at all, CannotWrite, Cancelled, Unavailable (a cluster).
    """
    check_batch(batch)
    batch = replace(
        batch, source=Path(os.path.abspath(batch.source)), output=Path(os.path.abspath(batch.output))
    )  # workers may have another current folder
    found = find_photos(batch.source, batch.output, batch.recursive)
    check_found(batch, found)
    work = make_folders(batch)
    with locked(work), contextlib.closing(Manifest(work / MANIFEST)) as manifest:
        results = name_results(found.photos, batch, manifest.entries)
        shared = find_shared(batch, results, work, progress, should_stop) if batch.shared else None
        with token(work) as alive:
            jobs = [make_job(batch, photo, result, work, alive, shared) for photo, result in results.items()]
            todo = [job for job in jobs if not manifest.is_done(job.photo, job.source, job.key, job.output)]
            check_room({job.source: job.output for job in todo}, batch.settings.scale, batch.quality)
            prepare(batch, todo, manifest)
            course = Course(batch, found, results, manifest, len(todo), progress, should_stop, alive)
            try:
                for entry in entries_of(batch, todo, course):
                    course.ended(entry)
            finally:
                course.write_tables()
        done = len(todo) - course.left
        if course.stopped:
            whole = len(jobs) - len(todo) + done - len(course.failed)
            raise Cancelled(f"Stopped as you asked; {whole} of {len(jobs)} photos are done.")
        return Summary(
            done - len(course.failed), len(jobs) - len(todo), tuple(course.failed), found.notes, *course.write_tables()
        )


def check_found(batch: Batch, found: Found) -> None:
    """Raises BadInput where there is nothing to do."""
    if not found.photos:
        hint = "Give a folder with PNG, JPEG, TIFF, WebP, AVIF, HEIC, GIF, BMP or JP2 files."
        if found.deeper:
            hint = "There are folders inside: ask for these too."
        raise BadInput(" ".join([f"There are no photos in '{batch.source}'.", *found.notes]), hint)


def make_folders(batch: Batch) -> Path:
    """The folder of the results and the batch's own in it, which is returned. Raises CannotWrite."""
    work = batch.output / WORK
    make_folder(work, batch.output, "Choose another folder for the results.")
    from kf_core.files.atomic import check_writable_folder

    check_writable_folder(work / "token")
    return work


def make_folder(folder: Path, told: Path, hint: str) -> None:
    """Raises CannotWrite, which speaks of the folder `told`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"The folder '{told}' cannot be made: {reason(error)}.", hint) from error


@contextlib.contextmanager
def locked(work: Path) -> Iterator[None]:
    """While no other batch writes to the same folder. Raises AlreadyThere."""
    from filelock import FileLock, Timeout

    lock = FileLock(work / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise AlreadyThere(
            f"Another batch is writing to '{work.parent}' right now.", "Wait for its end, or choose another folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def token(work: Path) -> Iterator[Path]:
    """A file that is there as long as the batch goes on: where it is gone, whoever works for it stops.

    One that an earlier batch left because it was killed goes now, so that workers that it may still have stop too.
    """
    for left in work.glob("running-*"):
        left.unlink(missing_ok=True)
    path = work / f"running-{secrets.token_hex(8)}"
    path.write_text(path.name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def find_shared(
    batch: Batch,
    results: dict[str, str],
    work: Path,
    progress: Callable[[Progress], None] | None,
    should_stop: Callable[[], bool] | None,
) -> SharedKernel:
    """The kernel of all photos: the one that an earlier run with these settings found, or a new one."""
    from kf_core.batch.shared_kernel import find_shared_kernel, load_shared_kernel, save_shared_kernel

    path, key = work / "shared-kernel.npz", make_key(batch.settings, b"", "", None)
    shared = load_shared_kernel(path, key)
    if shared is None:
        shared = find_shared_kernel([batch.source / photo for photo in results], batch.settings, progress, should_stop)
        save_shared_kernel(path, shared, key)
    return shared


def make_job(batch: Batch, photo: str, result: str, work: Path, alive: Path, shared: SharedKernel | None) -> Job:
    from kf_core.batch.job import Job
    from kf_core.files.encode import FORMATS

    quality = batch.quality if FORMATS[ending(photo, batch.form)].lossy else None
    kernel = b"" if batch.kernel is None else batch.kernel.tobytes()
    kernel = shared.digest() if shared is not None else kernel
    return Job(
        photo,
        result,
        make_key(batch.settings, kernel, ending(photo, batch.form), quality, batch.seconds),
        batch.source / photo,
        batch.output / result,
        work,
        alive,
        batch.settings,
        batch.kernel,
        shared,
        quality,
        batch.seconds,
    )


def prepare(batch: Batch, todo: list[Job], manifest: Manifest) -> None:
    """Makes the folders of the results, and removes what a killed run was writing in them. Raises CannotWrite."""
    for folder in {job.output.parent for job in todo}:
        make_folder(folder, folder, "Move what is in its way, or choose another folder.")
    for job in todo:
        entry = manifest.entries.get(job.photo)
        if entry is not None and entry.state == STARTED:
            for left in job.output.parent.iterdir():
                if TEMPORARY.fullmatch(left.name):
                    left.unlink(missing_ok=True)


def entries_of(batch: Batch, todo: list[Job], course: Course) -> Iterator[Entry]:
    """What comes of the jobs, from the processes of this computer or from a cluster."""
    if not todo:
        return iter(())
    if batch.cluster is not None:
        from kf_core.batch.cluster import on_cluster

        return on_cluster(batch.cluster, todo, course.begun, course.stopping)
    from kf_core.batch.pool import in_processes

    count = batch.workers or usual_workers(batch.settings.device)
    return in_processes(todo, count, batch.settings.device, course.begun, course.stopping)


def usual_workers(device: str) -> int:
    """One for each graphics card that will be used, or one."""
    if device not in ("auto", "cuda"):
        return 1
    import torch

    return max(1, torch.cuda.device_count())


@dataclass
class Course:
    """How far a batch is: keeps the manifest and the tables, tells the caller, and asks whether to stop."""

    batch: Batch
    found: Found
    results: dict[str, str]
    manifest: Manifest
    left: int
    progress: Callable[[Progress], None] | None
    should_stop: Callable[[], bool] | None
    alive: Path
    stopped: bool = False
    failed: list[Entry] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _written: float = field(default_factory=time.monotonic)
    _total: int = 0

    def __post_init__(self) -> None:
        self._total = self.left

    def begun(self, job: Job) -> None:
        self.manifest.add(Entry(job.photo, job.result, job.key, STARTED))

    def ended(self, entry: Entry) -> None:
        if entry.state == STOPPED:
            if self.stopped:
                return
            entry = replace(entry, state=FAILED, sentence="The folder of the results was out of sight for a moment.")
        self.manifest.add(entry)
        self.left -= 1
        if entry.state == FAILED:
            self.failed.append(entry)

    def stopping(self, under_way: float) -> bool:
        """Tells the caller, keeps the tables fresh, and says whether the batch is to stop."""
        now = time.monotonic()
        if now - self._written >= SECONDS_BETWEEN_TABLES:
            self._written = now
            self.write_tables()
        if self.progress is not None and not self.stopped:
            done = self._total - self.left
            fraction = min(1.0, (done + under_way) / self._total)
            pace = (now - self._began) / fraction if fraction > 0 else None
            seconds_left = None if pace is None else pace * (1 - fraction)
            label = f"photo {min(done + 1, self._total)} of {self._total}"
            label += f", {len(self.failed)} failed" if self.failed else ""
            self.progress(Progress("batch", done, self._total, label, fraction, seconds_left))
        if not self.stopped and self.should_stop is not None and self.should_stop():
            self.stopped = True
            self.alive.unlink(missing_ok=True)
        return self.stopped

    def write_tables(self) -> tuple[Path, Path]:
        known = self.manifest.entries
        entries = [known.get(photo, Entry(photo, result)) for photo, result in self.results.items()]
        scale = self.batch.settings.scale
        what = "sharpened" if scale == 1 else f"{scale} times enlarged"
        title = f"{self.batch.source.name or self.batch.source}, {what}"
        table = write_table(self.batch.output, entries)
        return table, write_page(self.batch.output, title, entries, self.found.notes)
