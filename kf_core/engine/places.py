"""Where the engine keeps its log, its locks and the pixels in transit. Standard library only."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

DIRECTORY_PREFIX = "kernelfusion-job-"
LARGEST_LOG = 1 << 20  # bytes


def cache_dir() -> Path:
    """The folder for what may be deleted at any time, as each system has it."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "kernelfusion"


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


class FileLock:
    """A lock on a file that the system releases when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[Any] | None = None

    def acquire(self) -> bool:
        """False if another process has it."""
        file = open(self.path, "a+b")  # noqa: SIM115 - held until release
        try:
            if sys.platform == "win32":
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def device_lock(kind: str) -> FileLock:
    """The lock of a device, "cuda", "mps" or "cpu": two jobs at a time on one would be slower, or run out of memory."""
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"engine-{kind}.lock")


@contextlib.contextmanager
def job_directory() -> Iterator[Path]:
    """A directory only this user can read, for the pixels in transit; removed at the end.

    One left behind by an engine that was killed is removed here too: its lock is free again.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{DIRECTORY_PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = FileLock(left / "lock")
            if (left / "lock").exists() and lock.acquire():
                lock.release()
                shutil.rmtree(left)
    directory = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX))
    lock = FileLock(directory / "lock")
    lock.acquire()
    try:
        yield directory
    finally:
        lock.release()
        shutil.rmtree(directory, ignore_errors=True)
