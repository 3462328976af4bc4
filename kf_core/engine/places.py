"""Where the engine keeps its log, its locks and the pixels in transit. Never loads torch: the supervisor uses it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

DIRECTORY_PREFIX = "kernelfusion-job-"
LARGEST_LOG = 1 << 20  # bytes


def cache_dir() -> Path:
    """The folder for what may be deleted at any time, as each system has it."""
    from platformdirs import user_cache_path

    return user_cache_path("kernelfusion", appauthor=False, opinion=False)


def log_dir() -> Path:
    return cache_dir() / "logs"


def default_log() -> Path:
    """The log of engines that are not told another; it starts anew when it has grown large."""
    path = log_dir() / "engine.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        if path.stat().st_size > LARGEST_LOG:
            path.replace(path.with_suffix(".log.1"))
    return path


def device_lock(kind: str) -> BaseFileLock:
    """The lock of a device, "cuda", "mps" or "cpu": two jobs at a time on one would be slower, or run out of memory.

    The system releases it when its process ends, however it ends.
    """
    from filelock import FileLock

    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"engine-{kind}.lock", timeout=0)


@contextlib.contextmanager
def job_directory() -> Iterator[Path]:
    """A directory only this user can read, for the pixels in transit; removed at the end.

    One left behind by an engine that was killed is removed here too: its lock is free again.
    """
    from filelock import FileLock

    for left in Path(tempfile.gettempdir()).glob(f"{DIRECTORY_PREFIX}*"):
        with contextlib.suppress(OSError):  # also where the lock is taken
            if (left / "lock").exists():
                with FileLock(left / "lock", timeout=0):
                    pass
                shutil.rmtree(left)
    directory = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX))
    try:
        with FileLock(directory / "lock", timeout=0):
            yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
