"""Examples for the kernel estimator: a crop of a photograph, shrunk with a random kernel as a camera might have.

A batch is a pure function of the seed and its number, so that a training can go on anywhere.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.errors import BadInput
from kf_core.files.picture import read_picture
from kf_core.physics.grid import luma
from kf_core.training.kernel_families import FAMILIES, SIZE, Family, random_kernels

SCALE = 4
SCALES = tuple(0.84**step for step in range(9))  # 1 to .25 of the photograph's size
SIDES = (64, 64, 48, 64, 96, 64, 64, 112)  # LR pixels, batch by batch
SHARP = 0.60  # least ratio of the RMS differences one and two pixels apart: .5 blurred, .71 for edges sharp to a pixel
TEXTURE = 14.0  # least standard deviation of a crop, grey levels
TRIES = 12
MakeBatch = Callable[[], tuple[Tensor, Tensor]]  # photos and kernels, as make_batch gives them


@dataclass
class Photographs:
    """Grey photographs, each at all of SCALES.

    Attributes:
        levels: per photograph its sizes, (H, W) uint8, the largest first.
    """

    levels: list[list[np.ndarray]] = field(default_factory=list)

    @classmethod
    def read(cls, paths: list[Path]) -> Photographs:
        return cls([pyramid(grey(read_picture(path).pixels)) for path in paths])

    def crop(self, rng: np.random.Generator, side: int) -> np.ndarray:
        """(side, side) uint8 from anywhere; sharp and not empty, where TRIES were enough to find such a place."""
        fitting = [sizes for sizes in self.levels if min(sizes[0].shape) >= side]
        for _ in range(TRIES):
            sizes = fitting[rng.integers(len(fitting))]
            enough = sum(min(size.shape) >= side for size in sizes)
            level = sizes[rng.integers(enough)]
            top, left = (int(rng.integers(length - side + 1)) for length in level.shape)
            crop = level[top : top + side, left : left + side]
            if usable(crop):
                break
        return crop


def grey(pixels: np.ndarray) -> np.ndarray:
    """BT.601 luma of (H, W) or (H, W, 3), 8 or 16 bits: (H, W) uint8."""
    full = np.iinfo(pixels.dtype).max
    values = pixels.astype(np.float32) * (255 / full)
    if values.ndim == 3:
        values = luma(torch.from_numpy(values).permute(2, 0, 1)).numpy()
    return values.round().astype(np.uint8)


def pyramid(photo: np.ndarray) -> list[np.ndarray]:
    from PIL import Image

    image, height, width = Image.fromarray(photo), *photo.shape
    sizes = [(round(width * scale), round(height * scale)) for scale in SCALES]
    return [photo, *(np.asarray(image.resize(size, Image.Resampling.LANCZOS)) for size in sizes[1:])]


def usable(crop: np.ndarray) -> bool:
    """Whether a crop (H, W) uint8 has something to see, sharp to the pixel; every third row and column is looked at."""
    if crop[::3, ::3].std() < TEXTURE:
        return False
    near, far = 0.0, 0.0
    for lines in (crop[::3].astype(np.float32), crop[:, ::3].T.astype(np.float32)):
        near += float(np.square(lines[:, 1:] - lines[:, :-1]).mean())
        far += float(np.square(lines[:, 2:] - lines[:, :-2]).mean())
    return near > SHARP**2 * far


def canvas(side: int) -> int:
    """HR pixels a side that `side` LR pixels are made from."""
    return SCALE * side + SIZE - SCALE


def sides_for(photographs: Photographs) -> tuple[int, ...]:
    """Those of SIDES that some photograph is large enough for. Raises BadInput where there are none."""
    largest = max(min(sizes[0].shape) for sizes in photographs.levels)
    sides = tuple(side for side in SIDES if canvas(side) <= largest)
    if not sides:
        least = canvas(min(SIDES))
        raise BadInput("The photographs are too small.", f"Give some of at least {least} x {least} pixels.")
    return sides


def batch_shape(number: int, batch: int, sides: tuple[int, ...] = SIDES) -> tuple[int, int]:
    """(samples, LR pixels a side) of a batch: as many as cost about what `batch` of side 64 cost."""
    side = sides[number % len(sides)]
    return max(1, round(batch * (64 / side) ** 2)), side


def make_batch(
    photographs: Photographs,
    seed: int,
    number: int,
    count: int,
    side: int,
    families: Mapping[str, tuple[Family, float]] = FAMILIES,
) -> tuple[Tensor, Tensor]:
    """LR photos (count, 1, side, side) in [0, 1] and their kernels (count, SIZE, SIZE)."""
    rng = np.random.default_rng([seed, number])
    kernels = random_kernels(rng, count, families)
    photos = np.stack([developed(rng, turned(rng, photographs.crop(rng, canvas(side)))) for _ in range(count)])
    lr = shrunk(torch.from_numpy(photos), kernels).numpy()
    return torch.from_numpy(np.stack([recorded(rng, photo) for photo in lr]))[:, None], kernels


def turned(rng: np.random.Generator, crop: np.ndarray) -> np.ndarray:
    crop = crop[:: rng.choice([1, -1]), :: rng.choice([1, -1])]
    return crop.T if rng.random() < 0.5 else crop


def developed(rng: np.random.Generator, crop: np.ndarray) -> np.ndarray:
    """uint8 -> float32 in [0, 1] with another gamma, contrast and brightness; a sixth is of low contrast."""
    contrast = rng.uniform(0.15, 0.6) if rng.random() < 1 / 6 else rng.uniform(0.6, 1)
    tones = (np.arange(256) / 255) ** math.exp(0.25 * rng.normal()) * contrast + rng.uniform(0, 1 - contrast)
    return tones.astype(np.float32)[crop]


def shrunk(photos: Tensor, kernels: Tensor) -> Tensor:
    """(n, H, W) on the canvas, each with its own kernel: (n, h, w), as kf_core's Degradation of padding "canvas"."""
    height, width = ((size - SIZE) // SCALE + 1 for size in photos.shape[1:])
    phases = F.pixel_unshuffle(photos[:, None], SCALE)
    taps = F.pixel_unshuffle(kernels[:, None], SCALE).flatten(2).transpose(1, 2)
    blocks = torch.bmm(taps, phases.flatten(2)).unflatten(2, phases.shape[2:])  # one plane per 4 x 4 block of taps
    side = SIZE // SCALE
    places = [(row, column) for row in range(side) for column in range(side)]
    return sum(blocks[:, n, y : y + height, x : x + width] for n, (y, x) in enumerate(places))


def recorded(rng: np.random.Generator, photo: np.ndarray) -> np.ndarray:
    """Noise (none in 30 %, up to 3 grey levels in 60 %, up to 10 in 10 %), JPEG in a fifth, 8 bits: (h, w) float32."""
    from PIL import Image

    kind = rng.random()
    sigma = 0.0 if kind < 0.3 else rng.uniform(0, 3) if kind < 0.9 else rng.uniform(3, 10)
    noise = rng.standard_normal(photo.shape, dtype=np.float32) * np.float32(sigma)
    pixels = (photo * 255 + noise).round().clip(0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=int(rng.integers(60, 96)))
        pixels = np.asarray(Image.open(file))
    return pixels.astype(np.float32) / 255
