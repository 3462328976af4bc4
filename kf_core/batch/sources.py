"""Which photos a folder holds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kf_core.errors import reason

SUFFIXES = frozenset(  # of all formats that read_picture knows
    (".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif", ".hif", ".gif", ".bmp")
    + (".jp2", ".j2k", ".jpx")
)
WORK = "kf-batch"  # the folder between the results that holds what a batch needs for itself
MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class Found:
    """What a walk through a folder found.

    Attributes:
        photos: their paths from that folder on, with "/" between folders.
        notes: sentences about folders that were left out.
        deeper: whether there are folders inside that were not asked for.
    """

    photos: tuple[str, ...]
    notes: tuple[str, ...] = ()
    deeper: bool = False


def find_photos(folder: Path, output: Path, recursive: bool) -> Found:
    """The photos of a folder by their suffix, in the order of their names. Hidden files and folders are left out.

    Links to folders are followed, each folder once. The folder of the results is not read, even where it lies inside,
    and neither are the results of another batch.
    """
    photos: list[str] = []
    notes: list[str] = []
    deeper = False
    seen = {identity(folder), identity(output)}
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(folder / inside) as listing:
                entries = sorted((each for each in listing if not each.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            notes.append(f"The folder '{inside or folder.name}' could not be read and was left out: {reason(error)}.")
            continue
        folders = []
        for entry in entries:
            name = f"{inside}/{entry.name}" if inside else entry.name
            if not os.path.isdir(entry.path):  # false for a link that leads nowhere, which then is told as a bad photo
                if os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                    photos.append(name)
                continue
            if (who := identity(Path(entry.path))) in seen:
                continue
            if not recursive:
                deeper = True
                continue
            seen.add(who)
            if os.path.exists(os.path.join(entry.path, WORK, MANIFEST)):
                notes.append(f"The folder '{name}' holds the results of another batch and was left out.")
            elif not (entry.name == WORK and os.path.exists(os.path.join(entry.path, MANIFEST))):
                folders.append(name)
        waiting += reversed(folders)
    return Found(tuple(photos), tuple(notes), deeper)


def identity(folder: Path) -> tuple[int, int] | str:
    """The same for all names of a folder, as far as the system can tell."""
    try:
        about = os.stat(folder)
    except OSError:
        return os.path.realpath(folder)
    return (about.st_dev, about.st_ino) if about.st_ino else os.path.realpath(folder)
