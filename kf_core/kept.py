"""Unfinished large pictures between one run and the next: where they lie, and for how long."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kf_core.engine.places import cache_dir
from kf_core.errors import Cancelled
from kf_core.settings import Settings
from kf_core.tiled import fits_at_once
from kf_core.unfinished import DONE, forget

DAYS = 14  # after which what nobody came back for is deleted


@contextlib.contextmanager
def kept(pixels: np.ndarray, settings: Settings, kernel: np.ndarray | None = None) -> Iterator[Path | None]:
    """A folder for super_resolve(unfinished=...), which the same photo, settings and kernel find again.

    It lies among what the system lets programs keep for later, readable by this user only. It is deleted when the block
    ends well; when it does not, what is done stays there, and Cancelled says so. None for a photo that is made at
    once, where another process is at work on the same, and where nothing can be kept.
    """
    from filelock import FileLock, Timeout

    height, width = pixels.shape[:2]
    if fits_at_once(height, width, settings.scale, settings.memory):
        yield None
        return
    told = [settings.as_dict(), pixels.shape, pixels.dtype.str]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for values in (pixels, kernel):
        digest.update(b"none" if values is None else np.ascontiguousarray(values).data)
    parent, name = cache_dir() / "unfinished", digest.hexdigest()[:32]
    folder, lock = parent / name, FileLock(parent / f"{name}.lock", timeout=0)
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget_old(parent)
        lock.acquire()
    except (OSError, Timeout):
        yield None
        return
    try:
        yield folder
    except Cancelled:
        if not (folder / DONE).exists():
            raise
        told_kept = "Stopped as you asked; what is done is kept, and the same job goes on from there."
        raise Cancelled(told_kept) from None
    else:
        forget(folder)
    finally:
        if not (folder / DONE).exists():
            forget(folder)
        lock.release()


def _forget_old(parent: Path) -> None:
    """Deletes what lies in the folder of all unfinished pictures and was not touched for DAYS."""
    for path in parent.iterdir():
        with contextlib.suppress(OSError):
            newest = max(each.stat().st_mtime for each in (path, *path.glob("*")))
            if time.time() - newest > DAYS * 86_400:
                forget(path) if path.is_dir() else path.unlink()
