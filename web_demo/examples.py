"""Photos with their results, computed beforehand by make_cached so that they show at once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

import kf_core
from kf_core.examples import example
from kf_core.files.kernels import read_kernel
from web_demo import decode, fool
from web_demo.limits import Limits
from web_demo.shelf import Kept

CACHED = Path(__file__).with_name("cached")
SCALE = 4
PROVENANCE = ("date", "commit", "split")  # of the fitted numbers: say where they come from, change no result
# Of our own sharp photos, with a kernel that is known: what the page shows can be compared with the truth.
HIDDEN = {
    "hats_ring": ("hats", "ring"),
    "wall_shake": ("brick wall", "camera shake 2"),
    "light_blob": ("lighthouse", "slanted blob"),
}
TITLES = {"hats_ring": "hats, ring", "wall_shake": "wall, shake", "light_blob": "tower, blob"}
# The seed is one with which the fast preset finds a clean kernel.
EXAMPLES = {
    "windmill": 1,
    "hats_ring": 0,
    "chambord": 0,
    "wall_shake": 0,
    "shop_sign": 0,
    "light_blob": 0,
}
PUZZLE = ("hats", "ring")


def names() -> list[str]:
    """The examples whose result is there."""
    return [name for name in EXAMPLES if has(name)]


def has(name: str) -> bool:
    """Whether the result of an example, or of "puzzle", is there."""
    return (CACHED / name / "report.json").exists()


def title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " "))


def picture_of(name: str) -> Path:
    """The small photo."""
    return CACHED / name / "photo.png" if name in HIDDEN else example(name)


def settings_of(name: str, overrides: tuple[str, ...] = ()) -> kf_core.Settings:
    """With which its result was made, or has to be made."""
    size = fool.SIZE if name == "puzzle" or name in HIDDEN else None
    settings = kf_core.Settings.preset("fast", scale=SCALE, seed=EXAMPLES.get(name, 0), kernel_size=size)
    return settings.with_overrides(overrides)


def source_of(name: str) -> np.ndarray:
    """The small photo of an example, or of "puzzle", as the engine gets it."""
    if name == "puzzle":
        return puzzle().small
    if name in HIDDEN:
        return hidden(name).small
    return kf_core.read_picture(picture_of(name)).pixels


def hidden(name: str) -> fool.Puzzle:
    photo, kernel = HIDDEN.get(name, PUZZLE)
    return fool.make_puzzle(fool.sharp_photo(photo, None, Limits()), fool.bundled_kernel(kernel), Limits())


def puzzle() -> fool.Puzzle:
    """The one of "Try to fool it" that is shown first."""
    return hidden("puzzle")


def fingerprint(name: str, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a result depends on: the engine's version, its settings for this example, the fitted numbers, the kernel
    estimator's weights, the photo.

    A cached result whose own is another one is stale.
    """
    from kf_core.checkpoints.file import BUNDLED_KERNEL_NETWORK
    from kf_core.trust import fitted

    numbers = {name: value for name, value in dataclasses.asdict(fitted.FITTED).items() if name not in PROVENANCE}
    settings = settings_of(name, overrides).as_dict()
    return {
        "version": kf_core.__version__,
        "settings": {key: value for key, value in json.loads(json.dumps(settings)).items() if key != "device"},
        "weights": hashlib.sha256(BUNDLED_KERNEL_NETWORK.read_bytes()).hexdigest()[:16],
        "fitted": hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16],
        "photo": hashlib.sha256(np.ascontiguousarray(source_of(name)).tobytes()).hexdigest()[:16],
    }


def stale(name: str) -> list[str]:
    """What of a cached result no longer is the engine's: names of `fingerprint`, or "missing"."""
    path = CACHED / name / "made.json"
    if not has(name) or not path.exists():
        return ["missing"]
    made = json.loads(path.read_text(encoding="utf-8"))
    now = fingerprint(name, tuple(made.get("overrides", ())))
    return [key for key, value in now.items() if made.get(key) != value] + (
        ["overrides"] if made.get("overrides") else []
    )


def cached(name: str) -> SimpleNamespace:
    """What the engine returned when it was run: image, kernel and report."""
    folder = CACHED / name
    with Image.open(folder / "result.png") as image:
        pixels = np.array(image)
    kernel = read_kernel(folder / "kernel.npy")
    return SimpleNamespace(image=pixels, kernel=kernel, report=json.loads((folder / "report.json").read_text()))


@functools.lru_cache(maxsize=len(EXAMPLES))
def kept(name: str) -> Kept:
    """An example as a finished run."""
    return Kept(f"{name}.png", decode.read(picture_of(name)), cached(name), SCALE)
