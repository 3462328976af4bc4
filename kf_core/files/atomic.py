"""Writing a file whole or not at all: to a temporary name beside it, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from kf_core.errors import DISK_FULL, NOT_ALLOWED, CannotWrite, reason


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Calls `write` with a binary file that becomes `path` once all is on the disk: it is there whole or not at all.

    Whatever `write` raises is passed on, `path` stays as it was and nothing is left behind; a folder that is missing,
    a full disk or a lack of permission is a BadInput.
    """
    path = Path(os.path.realpath(path))  # through a symbolic link, rather than in its place
    _check_target(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:  # unlike tempfile this obeys the umask
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise


def check_writable_folder(path: str | os.PathLike[str]) -> None:
    """The same for write_atomically, which takes any suffix: raises BadInput if no file `path` could be written."""
    path = Path(os.path.realpath(path))
    _check_target(path)
    try:
        # Trying is the only test that holds for administrators, read-only disks and Windows alike.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        try:
            # The very name too: how long it may be, and of which letters, only the disk knows.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return
        os.unlink(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


def free_space(path: str | os.PathLike[str]) -> int | None:
    """Bytes that are free where `path` would be written; None where the system does not say."""
    try:
        return shutil.disk_usage(Path(os.path.realpath(path)).parent).free
    except OSError:
        return None


def _check_target(path: Path) -> None:
    if os.path.isdir(path):  # os.path, because pathlib raises for some paths that cannot be
        raise CannotWrite(f"'{path}' is a folder.", "Add the name of the file to write.")
    if not os.path.isdir(path.parent):
        raise CannotWrite(f"There is no folder '{path.parent}'.", "Create it first, or write somewhere else.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise CannotWrite(f"'{path}' is not an ordinary file.", "Write to another name.")


def _cannot_write(path: Path, error: OSError) -> CannotWrite:
    if error.errno in DISK_FULL:
        return CannotWrite(f"'{path.name}' could not be written: the disk is full.", "Make room, or write elsewhere.")
    if error.errno in NOT_ALLOWED:
        return CannotWrite(f"'{path.name}' may not be written to '{path.parent}'.", "Choose a folder of your own.")
    if error.errno == errno.ENAMETOOLONG:
        shown = path.name if len(path.name) < 60 else f"{path.name[:40]}…{path.suffix}"
        return CannotWrite(f"The name '{shown}' is too long for the disk.", "Give a shorter one.")
    message = f"'{path.name}' could not be written to '{path.parent}': {reason(error)}."
    return CannotWrite(message, "Write it somewhere else.")
