"""A folder of photographs to train on: which are held out, and whose they are."""

from __future__ import annotations

import json
from pathlib import Path

from kf_core.errors import BadInput

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}


def split(folder: str | Path) -> tuple[list[Path], list[Path]]:
    """(training, held-out) photographs: every tenth by name is held out. Raises BadInput when there are none."""
    folder = Path(folder)
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not found:
        raise BadInput(f"There are no photographs in {folder}.", "Give a folder of PNG, JPEG, TIFF or WebP files.")
    held_out = found[::10] if len(found) >= 10 else []
    return [path for path in found if path not in held_out], held_out


def credits_of(folder: str | Path, paths: list[Path]) -> list[dict]:
    """Author, licence and source of each photograph as the folder's index.json states them; [] without one."""
    try:
        entries = json.loads((Path(folder) / "index.json").read_text("utf-8"))
        known = {entry["file"]: entry for entry in entries}
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput("The folder's index.json is not a list of photographs.", "Mend or remove it.") from error
    keys = ("author", "license", "source")
    return [
        {"file": path.name} | {key: str(known[path.name].get(key, "unknown")) for key in keys}
        for path in paths
        if path.name in known
    ]
