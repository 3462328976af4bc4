"""Photographs blurred by a kernel that varies over the frame, every LR pixel by its own, for benchmarks/varying.py.

The fields are those of a camera that turns about a point while the shutter is open, and of a lens that is sharp in the
middle only. Beside each is its control: the same photograph, blurred everywhere by the kernel of one place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.split import PHOTOS
from kf_core.files.picture import read_picture
from kf_core.physics.kernel import default_kernel_size
from kf_core.pixels import to_array, to_tensor

SEED, SCALE, SIDE = 20261130, 2, 224  # LR pixels per side; the photographs have 512 pixels, so that scale 4 leaves 128
SAMPLES, SPOT = 32, 0.8  # points of a stroke; standard deviation of each, in HR pixels
ROWS = 16  # of LR pixels that are blurred at a time

Field = Callable[[Tensor], Tensor]  # places (N, 2), rows and columns from the middle, -1..1 at the edges -> (N, K, K)


@dataclass(frozen=True)
class Varied:
    """HR (H, W, 3) and LR (h, w, 3) uint8, and the kernels (N, K, K) at places (N, 2) as `Field` has them."""

    name: str
    hr: np.ndarray
    lr: np.ndarray
    field: Field


def axis() -> Tensor:
    size = default_kernel_size(SCALE)
    return torch.arange(size, dtype=torch.float32) - (size - 1) / 2


def strokes(ends: Tensor) -> Tensor:
    """(N, 2), from the middle to one end of each stroke, in HR pixels -> their kernels."""
    along = torch.linspace(-1, 1, SAMPLES)
    points = ends[:, None] * along[:, None]  # (N, SAMPLES, 2)
    rows, columns = (torch.exp(-0.5 * ((axis() - points[..., at, None]) / SPOT) ** 2) for at in (0, 1))
    return normalised(torch.einsum("nsi,nsj->nij", rows, columns))


def rotation(random: np.random.Generator) -> Field:
    """A camera that turns about a point near the frame's edge, and moves a little: strokes turn and lengthen."""
    about = torch.from_numpy(random.uniform(-1, 1, 2).astype(np.float32))
    about[int(random.integers(2))] = float(random.choice([-1.0, 1.0]))
    drift = torch.from_numpy(random.uniform(-0.8, 0.8, 2).astype(np.float32))
    angle = float(random.uniform(1.6, 2.2))

    def field(places: Tensor) -> Tensor:
        arm = places - about
        return strokes(angle * torch.stack([-arm[:, 1], arm[:, 0]], 1) + drift)

    return field


def lens(random: np.random.Generator) -> Field:
    """A Gaussian that grows towards the corners, more across the radius than along it."""
    middle, corner, stretch = random.uniform(0.9, 1.2), random.uniform(2.4, 3.0), random.uniform(1.0, 1.5)

    def field(places: Tensor) -> Tensor:
        places = places + 1e-4  # the very middle has no direction
        radius = places.square().sum(1).sqrt()
        across = middle + (corner - middle) * radius.square() / 2
        along = middle + (across - middle) / stretch
        direction = places / radius[:, None]
        rows, columns = torch.meshgrid(axis(), axis(), indexing="ij")
        out = direction[:, 0, None, None] * rows + direction[:, 1, None, None] * columns
        side = direction[:, 0, None, None] * columns - direction[:, 1, None, None] * rows
        return normalised(torch.exp(-0.5 * ((out / along[:, None, None]) ** 2 + (side / across[:, None, None]) ** 2)))

    return field


def control(field: Field, place: tuple[float, float]) -> Field:
    """The kernel of one place everywhere."""
    kernel = field(torch.tensor([place]))
    return lambda places: kernel.expand(len(places), -1, -1)


FIELDS = {"rotation": rotation, "lens": lens}


def case(index: int, varies: bool = True) -> Varied:
    """Photographs and fields in turn, or the control of each."""
    kind = list(FIELDS)[index % 2]
    photo = [path for path in PHOTOS if path.stem != "victoria"][index % 9]  # which is too low
    random = np.random.default_rng([SEED, index])
    field = FIELDS[kind](random)
    if not varies:
        low, high = random.uniform(-0.8, 0.8, 2)
        field = control(field, (float(low), float(high)))
    name = f"{photo.stem} x {index:02d}_{kind if varies else f'one of {kind}'}"
    return blurred(name, read_picture(photo).pixels, field)


def blurred(name: str, hr: np.ndarray, field: Field, side: int = SIDE) -> Varied:
    """The middle of a photograph (H, W, 3) uint8, shrunk with a kernel of its own for every LR pixel."""
    size = default_kernel_size(SCALE)
    margin = (size - SCALE) // 2
    top, left = ((length - side * SCALE) // 2 for length in hr.shape[:2])
    if min(top, left) < margin:
        raise ValueError("the photograph is too small")
    canvas = to_tensor(hr)[..., top - margin : top + side * SCALE + margin, left - margin :][
        ..., : side * SCALE + 2 * margin
    ]
    kept, lr = hr[top : top + side * SCALE, left : left + side * SCALE], []
    across = (torch.arange(side) + 0.5) / side * 2 - 1
    for first in range(0, side, ROWS):
        rows = canvas[0, :, first * SCALE : (first + ROWS - 1) * SCALE + size]
        seen = rows.unfold(1, size, SCALE).unfold(2, size, SCALE)  # (3, ROWS, side, K, K)
        places = torch.stack(torch.meshgrid(across[first : first + ROWS], across, indexing="ij"), 2).reshape(-1, 2)
        kernels = field(places).reshape(-1, side, size, size)
        lr.append(torch.einsum("crwij,rwij->crw", seen, kernels))
    return Varied(name, kept, to_array(torch.cat(lr, 1)[None], kept), field)


def normalised(kernels: Tensor) -> Tensor:
    return kernels / kernels.sum((1, 2), keepdim=True)
