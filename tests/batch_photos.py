"""Small photos in folders, and settings with which one takes a fraction of a second: for the tests of batches."""

from pathlib import Path

import numpy as np
from PIL import Image

from kf_core.batch.plan import Batch
from kf_core.settings import Settings

QUICK = ("finish.steps=1", "doubt=False")  # with a given kernel nothing has to be found
KERNEL = np.full((4, 4), 1 / 16, np.float32)


def make_photo(path: Path, seed: int = 0, width: int = 48, height: int = 40) -> Path:
    y, x = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(x / 3 + seed), 128 + 90 * np.cos(y / 4), 128 + 90 * np.sin((x + y) / 5)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8)).save(path)
    return path


def make_photos(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        make_photo(folder / name, number)
    return folder


def quick(source: Path, output: Path, **changes) -> Batch:
    settings = Settings.preset("fast", scale=2, device="cpu").with_overrides(QUICK)
    return Batch(source, output, settings, **{"kernel": KERNEL, **changes})
