"""What a batch has done: a file of JSON lines between the results, so that the same command goes on where it ended."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from kf_core.errors import CannotWrite, reason
from kf_core.settings import Settings

STARTED, DONE, FAILED, STOPPED = "started", "done", "failed", "stopped"
WITHOUT_EFFECT = ("device", "memory")  # settings that change where and how the work is done, and not what is made


@dataclass(frozen=True)
class Entry:
    """What is known of one photo.

    Attributes:
        photo: its path in the folder of the photos, with "/" between folders.
        result: the path of what was made of it, in the folder of the results.
        key: of settings, kernel and format, as make_key made it.
        state: "started", "done", "failed", or "stopped" where the user wanted to end before.
        size, mtime, sha256: of the photo's file; mtime in nanoseconds.
        seconds: that it took.
        confidence: 0..1, as in the report of a run; None where nobody has weighed the kernel.
        kernel: where it came from: "recovered", "simple", "given", "shared".
        sentence: what there is to say: of the confidence, or what went wrong.
    """

    photo: str
    result: str
    key: str = ""
    state: str = STARTED
    size: int = -1
    mtime: int = -1
    sha256: str = ""
    seconds: float | None = None
    confidence: float | None = None
    kernel: str = ""
    sentence: str = ""


class Manifest:
    """The entries of a batch, the last of each photo, kept in a file that only grows.

    A line that is not whole, because the process ended within it, is ignored. Raises CannotWrite.
    """

    def __init__(self, path: Path):
        self.entries: dict[str, Entry] = {}
        self._path = path
        try:
            self._file: BinaryIO = open(path, "a+b")  # noqa: SIM115  # until close()
            self._file.seek(0)
            content = self._file.read()
        except OSError as error:
            raise self._trouble(error) from error
        names = {each.name for each in fields(Entry)}
        for line in content.splitlines():
            try:
                told: dict[str, Any] = json.loads(line)
                entry = Entry(**{name: value for name, value in told.items() if name in names})
            except (ValueError, TypeError, AttributeError):
                continue
            self.entries[entry.photo] = entry
        if content and not content.endswith(b"\n"):
            self._write(b"\n")

    def add(self, entry: Entry) -> None:
        """Remembers it, on the disk too when this returns."""
        self.entries[entry.photo] = entry
        self._write(json.dumps(asdict(entry)).encode() + b"\n")

    def close(self) -> None:
        self._file.close()

    def is_done(self, photo: str, source: Path, key: str, result: Path) -> bool:
        """Whether the result is there, made of the very photo with the same settings."""
        entry = self.entries.get(photo)
        if entry is None or entry.state != DONE or entry.key != key or not result.is_file():
            return False
        try:
            about = source.stat()
            if about.st_size != entry.size:
                return False
            return about.st_mtime_ns == entry.mtime or (bool(entry.sha256) and sha256_of(source) == entry.sha256)
        except OSError:
            return False

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: OSError) -> CannotWrite:
        return CannotWrite(
            f"What is done cannot be remembered in '{self._path}': {reason(error)}.",
            "Make room there, or choose another folder for the results.",
        )


def make_key(settings: Settings, kernel: bytes, ending: str, quality: int | None, seconds: float | None = None) -> str:
    """Differs where the results would: by settings, bytes of a given or shared kernel, format and its quality, and the
    seconds that a photo may take."""
    told = {name: value for name, value in settings.as_dict().items() if name not in WITHOUT_EFFECT}
    about = [told, hashlib.sha256(kernel).hexdigest() if kernel else None, ending, quality]
    text = json.dumps(about + ([seconds] if seconds is not None else []), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Of a file's content. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
