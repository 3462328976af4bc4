"""The bundled photos and their results, computed beforehand by make_cached so that they show at once."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from kf_core.examples import example
from kf_core.files.kernels import read_kernel
from web_demo import fool
from web_demo.limits import Limits

CACHED = Path(__file__).with_name("cached")
SCALE = 4
# The seed is one with which the fast preset finds a clean kernel.
EXAMPLES = {"windmill": 1, "chambord": 0, "shop_sign": 0}
PUZZLE = ("hats", "ring")


def has(name: str) -> bool:
    """Whether the result of an example, or of "puzzle", is there."""
    return (CACHED / name / "report.json").exists()


def names() -> list[str]:
    return [name for name in EXAMPLES if has(name)]


def picture_of(name: str) -> Path:
    return example(name)


def cached(name: str) -> SimpleNamespace:
    """What the engine returned when it was run: image, kernel and report."""
    folder = CACHED / name
    with Image.open(folder / "result.png") as image:
        pixels = np.array(image)
    kernel = read_kernel(folder / "kernel.npy")
    return SimpleNamespace(image=pixels, kernel=kernel, report=json.loads((folder / "report.json").read_text()))


def puzzle() -> fool.Puzzle:
    """The one of "Try to fool it" that is shown first."""
    return fool.make_puzzle(fool.sharp_photo(PUZZLE[0], None, Limits()), fool.bundled_kernel(PUZZLE[1]), Limits())
