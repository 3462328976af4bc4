"""The last result of every visitor, kept for an hour: for the strength, other formats, and a page that is reloaded."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import kf_core
from kf_core.files.kernels import read_kernel, write_kernel
from kf_core.files.outputs import write_report
from web_demo import decode

_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Kept:
    """Attributes:
    name: of the visitor's file.
    picture: what was worked on.
    outcome: what the engine returned: image, kernel, report.
    scale: of the result.
    """

    name: str
    picture: kf_core.Picture
    outcome: Any
    scale: int


class Shelf:
    """Args:
    folder: of the results; nothing of it is served.
    seconds: how long one is kept.
    most: results that are kept at a time.
    """

    def __init__(self, folder: Path, seconds: float, most: int = 100):
        self.folder, self.seconds, self.most = folder, seconds, most
        self._one = threading.Lock()

    def put(self, key: str, kept: Kept) -> None:
        """In place of what was under this key. Any text that is no key is left aside."""
        if not _KEY.fullmatch(key or ""):
            return
        with self._one:
            self._tidy()
            place = self.folder / key
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        kf_core.write_picture(place / "photo.png", kept.picture)
        kf_core.write_picture(place / "image.png", kf_core.Picture(kept.outcome.image))
        write_kernel(place / "kernel.npy", kept.outcome.kernel)
        write_report(place / "report.json", kept.outcome.report)
        about = {"name": kept.name, "scale": kept.scale}
        (place / "about.json").write_text(json.dumps(about), encoding="utf-8")  # last: it says that all is there

    def has(self, key: str) -> bool:
        place = self.folder / (key or "")
        if not _KEY.fullmatch(key or "") or not (place / "about.json").exists():
            return False
        return time.time() - place.stat().st_mtime < self.seconds

    def get(self, key: str) -> Kept | None:
        if not self.has(key):
            return None
        place = self.folder / key
        about = json.loads((place / "about.json").read_text(encoding="utf-8"))
        image = kf_core.read_picture(place / "image.png").pixels
        kernel = read_kernel(place / "kernel.npy").astype(np.float32)
        report = json.loads((place / "report.json").read_text(encoding="utf-8"))
        outcome = SimpleNamespace(image=image, kernel=kernel, report=report)
        return Kept(about["name"], decode.read(place / "photo.png"), outcome, about["scale"])

    def _tidy(self) -> None:
        places = sorted(self.folder.glob("*"), key=lambda place: place.stat().st_mtime)
        now = time.time()
        for number, place in enumerate(places):
            if now - place.stat().st_mtime > self.seconds or len(places) - number >= self.most:
                shutil.rmtree(place, ignore_errors=True)
