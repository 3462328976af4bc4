"""What a page that runs for weeks must see to: the files of its visitors, and its memory."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import gc
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from filelock import FileLock

PREFIX, LOCK = "kernelfusion-web-", "lock"
_ARENAS = -8  # mallopt's M_ARENA_MAX


@functools.cache
def own_folder() -> Path:
    """A folder of our own, in GRADIO_TEMP_DIR or the system's temporary one. What is in its `served` is served and
    deleted in time, nothing else is. It goes when the process ends; one that a killed process left is removed here.
    """
    above = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    above.mkdir(parents=True, exist_ok=True)
    sweep(above)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=above))
    lock = FileLock(folder / LOCK, timeout=0)
    lock.acquire()
    for name in ("served", "results"):
        (folder / name).mkdir()
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "served")  # where Gradio keeps uploads and what it shows
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def sweep(above: Path) -> None:
    """Removes the folders of processes that are gone: their lock is free."""
    for left in above.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # also where the lock is taken
            if left.is_dir():
                with FileLock(left / LOCK, timeout=0):
                    pass
                shutil.rmtree(left, ignore_errors=True)


def keep_no_longer(folder: Path, seconds: float, every: float = 300.0) -> threading.Thread:
    """Deletes what is older than so many seconds, again and again: Gradio forgets some of what it was sent, such as the
    photos inside MCP calls."""

    def look() -> None:
        while True:
            delete_old(folder, seconds)
            time.sleep(every)

    thread = threading.Thread(target=look, name="housekeeping", daemon=True)
    thread.start()
    return thread


def delete_old(folder: Path, seconds: float) -> None:
    for part in ("served", "results"):
        for path in (folder / part).rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file() and time.time() - path.stat().st_mtime > seconds:
                    path.unlink()


def all_of_gradio_s_files_here() -> None:
    """Its MCP server noted another folder when it was loaded."""
    with contextlib.suppress(ImportError):
        import gradio.mcp

        gradio.mcp.DEFAULT_TEMP_DIR = os.environ["GRADIO_TEMP_DIR"]


def end_on_sigterm() -> None:
    """A server that is told to end (SIGTERM: a container, systemd) removes its visitors' photos first."""
    if threading.current_thread() is not threading.main_thread():
        return

    def end(*_: object) -> None:
        atexit._run_exitfuncs()
        os._exit(0)  # the engine may be within a long step

    signal.signal(signal.SIGTERM, end)


def few_arenas() -> None:
    """glibc keeps freed memory apart for every thread; two such places are enough for a page that computes in one."""
    with contextlib.suppress(OSError, AttributeError):
        if sys.platform == "linux":
            ctypes.CDLL(None).mallopt(_ARENAS, 2)


def give_memory_back() -> None:
    """To the system, after a run: what was freed would otherwise stay with the process."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
