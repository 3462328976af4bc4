"""Photographs and kernels nobody tuned to; benchmarks/kernels.py runs the newest of them.

The ten photographs that the bundled prior held out, and 48 kernels drawn from seven families. The first 36 are there
to tune on: 24 on the middles of the photographs, twelve on corners. The last twelve, on other corners, are looked at
for the final table only. (Kernels 1, 3, ... 23, then 24 to 35 were final parts once; what has been seen is tuned on,
and so is `seen`, what `fresh` was with the seed before.)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.kf144 import Pair, shrunk
from kf_core.files.picture import read_picture
from kf_core.training.kernel_families import ARCS_AND_SPIRALS, random_kernels

FOLDER = Path(__file__).parent / "data" / "held_out"
PHOTOS = sorted(FOLDER.glob("*.png"))
KERNEL_SIZE, FINE = 24, 8  # taps per side; samples per tap and axis when a kernel is drawn
SEED, SEEN_SEED, FRESH_SEED, KEPT_OUT_SEED = 20261125, 20261213, 20261215, 20261207
TUNING, CORNERS, FINAL = range(36), range(24, 48), range(36, 48)


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Row and column, in taps from the middle, of the fine samples."""
    axis = (np.arange(KERNEL_SIZE * FINE) + 0.5) / FINE - KERNEL_SIZE / 2
    return np.meshgrid(axis, axis, indexing="ij")


def stroke(points: np.ndarray, width: float) -> np.ndarray:
    """What a point of light leaves that moves along `points` (N, 2), as a spot with a soft edge."""
    y, x = grid()
    spot = [np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / (width / 2) ** 2) for row, column in points]
    return np.sum(spot, axis=0)


def shake(random: np.random.Generator) -> np.ndarray:
    velocity, points = random.normal(size=2), []
    place = np.zeros(2)
    for _ in range(60):
        velocity = 0.93 * velocity + 0.5 * random.normal(size=2)
        place = place + velocity
        points.append(place)
    points = np.array(points) - np.mean(points, axis=0)
    return stroke(points * random.uniform(4, 8) / np.abs(points).max(), random.uniform(1.2, 2))


def disc(random: np.random.Generator) -> np.ndarray:
    y, x = grid()
    return np.hypot(y, x) < random.uniform(2.5, 7)


def line(random: np.random.Generator) -> np.ndarray:
    angle, length = random.uniform(0, np.pi), random.uniform(7, 18)
    along = np.linspace(-length / 2, length / 2, 80)
    return stroke(np.stack([along * np.sin(angle), along * np.cos(angle)], 1), random.uniform(1.2, 2.5))


def polygon(random: np.random.Generator) -> np.ndarray:
    corners, radius, turn = random.integers(3, 7), random.uniform(4, 8), random.uniform(0, 2 * np.pi)
    y, x = grid()
    sides = turn + 2 * np.pi * np.arange(corners) / corners
    reach = np.max([y * np.sin(side) + x * np.cos(side) for side in sides], axis=0) / np.cos(np.pi / corners)
    return (reach < radius) & ((reach > radius - 2.5) | (random.random() < 0.5))


def blobs(random: np.random.Generator) -> np.ndarray:
    y, x = grid()
    image = 0.0
    for _ in range(random.integers(2, 4)):
        (row, column), sigma = random.uniform(-6, 6, 2), random.uniform(0.8, 1.8)
        image = image + random.uniform(0.5, 1) * np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / sigma**2)
    return image


def gaussian(random: np.random.Generator) -> np.ndarray:
    y, x = grid()
    angle, long, short = random.uniform(0, np.pi), random.uniform(1.5, 4.5), random.uniform(1, 3)
    along, across = y * np.sin(angle) + x * np.cos(angle), y * np.cos(angle) - x * np.sin(angle)
    return np.exp(-0.5 * ((along / long) ** 2 + (across / short) ** 2))


def box(random: np.random.Generator) -> np.ndarray:
    y, x = grid()
    height, width = random.uniform(3, 12, 2)
    return (np.abs(y) < height / 2) & (np.abs(x) < width / 2)


FAMILIES = (shake, disc, line, polygon, blobs, gaussian, box)


def family(index: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Every family in turn, twice the same one on the middles."""
    return FAMILIES[(index if index in CORNERS else index // 2) % len(FAMILIES)]


def kernel(index: int) -> np.ndarray:
    """(24, 24) float32, sum 1, its centre of mass within a tenth of a tap of the middle."""
    return binned(family(index)(np.random.default_rng([SEED, index])))


def binned(drawn: np.ndarray) -> np.ndarray:
    """What is drawn on the fine grid, brought to the middle, as (24, 24) taps."""
    drawn = drawn.astype(np.float64)
    y, x = grid()
    for axis, along in ((0, y), (1, x)):
        drawn = np.roll(drawn, -round(FINE * float((drawn * along).sum() / drawn.sum())), axis)
    taps = drawn.reshape(KERNEL_SIZE, FINE, KERNEL_SIZE, FINE).sum((1, 3))
    return (taps / taps.sum()).astype(np.float32)


def case(index: int, crop: int = 64) -> Pair:
    """Kernel `index` on `crop` LR pixels per side of a photograph: its middle or, from the 24th, a corner."""
    photo = PHOTOS[index // 2 % 5 * 2 + index % 2]
    corner = (index + index // 36) % 4 if index in CORNERS else None  # of one photograph, never the same again
    name = f"{photo.stem} x {index:02d}_{family(index).__name__}"
    return shrunk(name, read_picture(photo).pixels, kernel(index), crop, corner)


def fresh(index: int, crop: int = 112, seed: int = FRESH_SEED) -> Pair:
    """Of 24 cases drawn anew: each family in turn, any part of any of the photographs."""
    random = np.random.default_rng([seed, index])
    drawn = FAMILIES[index % len(FAMILIES)]
    return anywhere(f"{index:02d}_{drawn.__name__}", random, binned(drawn(random)), crop)


def seen(index: int, crop: int = 112) -> Pair:
    """The 24 cases before those."""
    return fresh(index, crop, SEEN_SEED)


def kept_out(index: int, crop: int = 112) -> Pair:
    """Kernels of the family that the kernel estimator never learns from, on any part of any of the photographs."""
    random = np.random.default_rng([KEPT_OUT_SEED, 1000 + index])
    taps = random_kernels(random, 1, ARCS_AND_SPIRALS)[0].numpy()
    return anywhere(f"{index:02d}_arc_or_spiral", random, taps, crop)


def anywhere(name: str, random: np.random.Generator, taps: np.ndarray, crop: int) -> Pair:
    photo, place = PHOTOS[random.integers(len(PHOTOS))], random.uniform(size=2)
    return shrunk(f"{photo.stem} x {name}", read_picture(photo).pixels, taps, crop, place=tuple(place))
