"""Random kernels of many families, to train and to measure the kernel estimator with.

Every family draws a density on a grid of FINE points per HR pixel, (GRID, GRID) float64, not yet normalised, roughly in
the middle. random_kernels bends some of them by an affine map, brings the centre of mass to the middle, to a fraction
of a pixel, turns and mirrors them at random and sums them up to SIZE x SIZE taps.

ARCS_AND_SPIRALS is a family that nothing is ever trained on: it shows how the estimator does on shapes never seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F

SIZE = 24  # HR pixels, at scale 4
FINE = 4
GRID = SIZE * FINE
REACH = 11.0  # HR pixels: shapes stay within
LOSS = 0.03  # of its mass, at most, a kernel loses beyond the edge

_axis = (np.arange(GRID) - (GRID - 1) / 2) / FINE
Y, X = np.meshgrid(_axis, _axis, indexing="ij")  # HR pixels
Family = Callable[[np.random.Generator], np.ndarray]


def blurred(density: np.ndarray, sigma: float) -> np.ndarray:
    """By a Gaussian of `sigma` HR pixels; nothing comes in from beyond the edge."""
    offset = _axis[:, None] - _axis[None, :]
    band = np.exp(-0.5 * (offset / sigma) ** 2)
    return band @ density @ band


def curve(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted points (n, 2), (row, column) in HR pixels, on the grid, each shared by its four neighbours."""
    at = points * FINE + (GRID - 1) / 2
    whole = np.floor(at).astype(int)
    rest = at - whole
    density = np.zeros((GRID + 1) * (GRID + 1))
    inside = ((whole >= 0) & (whole < GRID)).all(1)
    for row in (0, 1):
        for column in (0, 1):
            share = (rest[:, 0] if row else 1 - rest[:, 0]) * (rest[:, 1] if column else 1 - rest[:, 1]) * weights
            index = (whole[inside, 0] + row) * (GRID + 1) + whole[inside, 1] + column
            density += np.bincount(index, share[inside], density.size)
    return density.reshape(GRID + 1, GRID + 1)[:GRID, :GRID]


def fitted(points: np.ndarray, weights: np.ndarray, reach: float) -> np.ndarray:
    """Points moved to their centre of mass, and shrunk where they would leave the square of `reach` HR pixels."""
    points = points - (points * weights[:, None]).sum(0) / weights.sum()
    return points * min(1.0, reach / max(np.abs(points).max(), 1e-6))


def turned_axes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    angle = rng.uniform(0, math.pi)
    return math.cos(angle) * Y + math.sin(angle) * X, math.cos(angle) * X - math.sin(angle) * Y


def shakes(rng: np.random.Generator) -> np.ndarray:
    """The path of an unsteady hand: a velocity that drifts, is pulled back, and now and then jerks; uneven in time."""
    steps = 300
    drift, keep = float(rng.choice([0.02, 0.05, 0.1, 0.2, 0.4])), float(rng.uniform(0.8, 0.998))
    pull, jerks = float(rng.choice([0.0, 0.0005, 0.002])), rng.random() < 0.4
    kicks = rng.normal(size=(steps, 2)) * drift
    if jerks:
        kicks += (rng.random((steps, 1)) < 0.012) * rng.normal(size=(steps, 2)) * rng.uniform(0.5, 2)
    angle = rng.uniform(0, 2 * math.pi)
    place, velocity, places = 0j, complex(math.cos(angle), math.sin(angle)), []
    for kick in (kicks[:, 0] + 1j * kicks[:, 1]).tolist():  # complex numbers: far faster than short arrays
        velocity = keep * velocity + kick - pull * place
        place += velocity
        places.append(place)
    path = np.array(places).view(float).reshape(steps, 2)
    speed_counts = rng.random() < 0.7  # a slow hand leaves more light; otherwise evenly along the path
    weights = np.ones(steps) if speed_counts else np.linalg.norm(np.diff(path, axis=0, prepend=path[:1]), axis=1)
    weights = weights * np.exp(np.cumsum(rng.normal(size=steps)) * rng.choice([0, 0.03, 0.08])) + 1e-9
    fine = np.linspace(0, steps - 1, 4 * steps)
    path = np.stack([np.interp(fine, np.arange(steps), path[:, axis]) for axis in (0, 1)], 1)
    weights = np.interp(fine, np.arange(steps), weights)
    path = path - (path * weights[:, None]).sum(0) / weights.sum()
    path *= (2 + (REACH - 2) * math.sqrt(rng.random())) / max(np.abs(path).max(), 1e-6)
    return blurred(curve(path, weights), rng.uniform(0.3, 1.1))


def gaussians(rng: np.random.Generator) -> np.ndarray:
    """Round and elongated, of ordinary, flatter and more pointed profile."""
    one, other = np.exp(rng.uniform(math.log(0.6), math.log(5), 2))
    other = one if rng.random() < 0.35 else other
    u, v = turned_axes(rng)
    power = rng.choice([1.0, 1.0, 1.0, 0.6, 1.5, 3.0])
    if power < 1:  # long tails
        one, other = one / 2, other / 2
    return np.exp(-0.5 * ((u / one) ** 2 + (v / other) ** 2) ** power)


def discs(rng: np.random.Generator) -> np.ndarray:
    """An iris out of focus: round or with five to eight blades, sometimes with a rim or a dark middle."""
    u, v = turned_axes(rng)
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    size = rng.uniform(1.2, 10)
    edge = np.full_like(radius, size)
    if rng.random() < 0.3:
        sector = 2 * math.pi / rng.integers(5, 9)
        edge = size * math.cos(sector / 2) / np.cos(angle % sector - sector / 2)
    density = (radius < edge) * (1 + rng.choice([0.0, 0.0, 0.5, -0.5, 1.5]) * (radius / size) ** 2)
    if rng.random() < 0.25:
        density = density * (radius > size * rng.uniform(0.2, 0.6))
    return blurred(np.maximum(density, 0), rng.uniform(0.2, 1.2))


def lines(rng: np.random.Generator) -> np.ndarray:
    """A straight movement, even, swelling or fading."""
    t, angle = np.linspace(-1, 1, 200), rng.uniform(0, math.pi)
    weights = np.maximum(1 + rng.choice([0, 0, 1]) * rng.uniform(-1, 1) * t, 0.02)
    points = t[:, None] * np.array([[math.sin(angle), math.cos(angle)]]) * rng.uniform(1.5, REACH)
    return blurred(curve(fitted(points, weights, REACH), weights), rng.uniform(0.3, 1.6))


def polygons(rng: np.random.Generator) -> np.ndarray:
    """Bent lines, letters of right angles (L, T, +, F, U and others), outlines of polygons, thin rings."""
    kind = rng.choice(["bent", "right angles", "outline", "ring"], p=[0.35, 0.35, 0.15, 0.15])
    if kind == "ring":
        t, squash = np.linspace(0, 2 * math.pi, 300), rng.uniform(0.5, 1)
        points = np.stack([np.sin(t), squash * np.cos(t)], 1) * rng.uniform(2, REACH - 1)
        angle = rng.uniform(0, math.pi)
        spin = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        points, weights = points @ spin, 1 + rng.choice([0, 0, 0.8]) * np.sin(t + rng.uniform(0, 6))
        return blurred(curve(points, weights), rng.uniform(0.3, 1.4))
    if kind == "outline":
        count = rng.integers(3, 7)
        t = np.sort(rng.uniform(0, 2 * math.pi, count)) if rng.random() < 0.5 else np.arange(count) / count * 6.2832
        ring = np.stack([np.sin(t), np.cos(t)], 1) * rng.uniform(2, REACH)
        strokes = list(zip(ring, np.roll(ring, -1, 0), strict=True))
    elif kind == "bent":
        corners = rng.uniform(-REACH, REACH, (rng.integers(3, 6), 2))
        strokes = list(zip(corners[:-1], corners[1:], strict=True))
    else:
        strokes = _right_angles(rng)
    pieces, shares = [], []
    uneven = rng.random() < 0.5
    for start, end in strokes:
        pieces.append(start + (end - start) * np.linspace(0, 1, 100)[:, None])
        shares.append(np.full(100, np.linalg.norm(end - start) * (rng.uniform(0.5, 1.5) if uneven else 1.0)))
    points, weights = np.concatenate(pieces), np.concatenate(shares)
    return blurred(curve(fitted(points, weights, REACH), weights), rng.uniform(0.3, 1.4))


def _right_angles(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Strokes along the axes: a stem, then one to three bars, each beginning or crossing somewhere on a stroke."""
    size = rng.uniform(4, 20)
    strokes = [(np.array([-size / 2, 0.0]), np.array([size / 2, 0.0]))]
    for _ in range(rng.integers(1, 4)):
        start, end = strokes[rng.integers(len(strokes))]
        at = start + (end - start) * rng.choice([0.0, 0.5, 1.0, rng.uniform(0, 1)])
        along = (end - start)[::-1] / max(np.linalg.norm(end - start), 1e-6)
        length = size * rng.uniform(0.3, 1)
        back = rng.choice([0.0, 0.0, 0.5, 1.0])
        strokes.append((at - back * length * along, at + (1 - back) * length * along))
    return strokes


def boxes(rng: np.random.Generator) -> np.ndarray:
    """Rectangles, upright or turned, some hollow."""
    height, width = rng.uniform(0.7, 9, 2)
    width = height if rng.random() < 0.3 else width
    u, v = turned_axes(rng) if rng.random() < 0.6 else (Y, X)
    density = ((np.abs(u) < height) & (np.abs(v) < width)).astype(float)
    if rng.random() < 0.3:
        hollow = rng.uniform(0.5, 0.8)
        density -= ((np.abs(u) < hollow * height) & (np.abs(v) < hollow * width)) * rng.uniform(0.5, 1)
    return blurred(density, rng.uniform(0.2, 1.2))


def blobs(rng: np.random.Generator) -> np.ndarray:
    """Two to five spots of unequal weight and width."""
    count = rng.integers(2, 6)
    weights = rng.uniform(0.2, 1, count)
    points = fitted(rng.uniform(-9, 9, (count, 2)), weights, 9.5)
    density = np.zeros((GRID, GRID))
    for point, weight in zip(points, weights, strict=True):
        sigma = rng.uniform(0.5, 2.2)
        spread = -0.5 * ((Y - point[0]) ** 2 + (X - point[1]) ** 2) / sigma**2
        density += weight / sigma**2 * np.exp(spread)
    return density


def level_sets(rng: np.random.Generator) -> np.ndarray:
    """Where a smooth random field is high, near the middle."""
    field = blurred(rng.normal(size=(GRID, GRID)), rng.uniform(1, 2.5))
    field = field / field.std() + rng.uniform(-0.5, 1.5)
    window = np.exp(-0.5 * ((Y**2 + X**2) / rng.uniform(2, 6) ** 2) ** rng.choice([1, 2]))
    return np.maximum(field, 0) ** rng.choice([0.5, 1, 2]) * window + 1e-12 * window


def convolutions(rng: np.random.Generator) -> np.ndarray:
    """Two kernels of the other families one after the other, both half as large."""
    names = [name for name in FAMILIES if name != "convolutions"]
    one, other = (FAMILIES[names[rng.integers(len(names))]][0](rng) for _ in range(2))
    shape = (2 * GRID, 2 * GRID)
    both = np.fft.irfft2(np.fft.rfft2(one, shape) * np.fft.rfft2(other, shape), shape)
    return np.maximum(both.reshape(GRID, 2, GRID, 2).sum((1, 3)), 0)


def arcs_and_spirals(rng: np.random.Generator) -> np.ndarray:
    """Open arcs of a circle and spirals. Never trained on."""
    turns = rng.uniform(0.3, 0.85) if rng.random() < 0.5 else rng.uniform(1, 2.2)
    t = np.linspace(0, 1, 400)
    growth = 0.0 if turns < 1 else rng.uniform(0.5, 1)  # an arc keeps its radius
    radius = 1 - growth * (1 - t)
    angle = 2 * math.pi * turns * t + rng.uniform(0, 2 * math.pi)
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], 1) * rng.uniform(3, REACH)
    weights = np.maximum(radius, 0.05) * np.maximum(1 + rng.choice([0, 0.7]) * np.sin(3 * t + rng.uniform(0, 6)), 0.05)
    return blurred(curve(fitted(points, weights, REACH), weights), rng.uniform(0.3, 1.2))


FAMILIES: dict[str, tuple[Family, float]] = {
    "shakes": (shakes, 0.40),
    "gaussians": (gaussians, 0.14),
    "discs": (discs, 0.10),
    "lines": (lines, 0.10),
    "polygons": (polygons, 0.10),
    "boxes": (boxes, 0.04),
    "blobs": (blobs, 0.04),
    "level_sets": (level_sets, 0.04),
    "convolutions": (convolutions, 0.04),
}
ARCS_AND_SPIRALS: dict[str, tuple[Family, float]] = {"arcs_and_spirals": (arcs_and_spirals, 1.0)}


def random_kernels(
    rng: np.random.Generator, count: int, families: Mapping[str, tuple[Family, float]] = FAMILIES
) -> torch.Tensor:
    """(count, SIZE, SIZE) float32: not negative, each of sum 1, centre of mass in the middle."""
    functions = [function for function, _ in families.values()]
    shares = np.array([share for _, share in families.values()])
    drawn = np.empty((count, GRID, GRID), dtype=np.float32)
    for row in drawn:
        density = functions[rng.choice(len(functions), p=shares / shares.sum())](rng)
        row[:] = density / density.sum()
    return settled(torch.from_numpy(drawn), torch.from_numpy(random_maps(rng, count)))


def random_maps(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 2, 2) float32, from the place in the kernel to that in the drawing: one of the eight turns and mirrors,
    and in half of the cases a rotation, stretching and scaling besides."""
    maps = np.empty((count, 2, 2), dtype=np.float32)
    for row in maps:
        turn = np.diag(rng.choice([-1.0, 1.0], 2))
        turn = turn[::-1] if rng.random() < 0.5 else turn
        if rng.random() < 0.5:
            spin, lean = _rotation(rng.uniform(0, 2 * math.pi)), _rotation(rng.uniform(0, math.pi))
            size, stretch = math.exp(0.15 * rng.normal()), math.exp(0.15 * rng.normal())
            turn = turn @ spin @ lean @ np.diag([1 / size, 1 / (size * stretch)]) @ lean.T
        row[:] = turn
    return maps


def _rotation(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def settled(drawn: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """Drawings (n, GRID, GRID) through their maps (n, 2, 2), centred, to kernels (n, SIZE, SIZE).

    What would lose more than LOSS of its mass beyond the edge is shrunk until it does not.
    """
    axis = torch.linspace(-1, 1, GRID + 1)[:-1] + 1 / GRID  # grid_sample's coordinates

    def centre(density: torch.Tensor) -> torch.Tensor:
        columns, rows = density.sum(1), density.sum(2)
        return torch.stack([columns @ axis, rows @ axis], 1) / rows.sum(1, keepdim=True).clamp_min(1e-12)

    maps, middle, result = maps.clone(), centre(drawn), torch.empty_like(drawn)
    left = torch.arange(len(drawn))
    for _ in range(8):
        affine = torch.cat([maps[left], middle[left, :, None]], 2)
        grid = F.affine_grid(affine, [len(left), 1, GRID, GRID], align_corners=False)
        result[left] = moved = F.grid_sample(drawn[left][:, None], grid, align_corners=False)[:, 0]
        too_large = moved.sum((1, 2)) * torch.linalg.det(maps[left]).abs() < 1 - LOSS  # the drawing's mass is 1
        error = centre(moved)
        middle[left] += torch.einsum("nij,nj->ni", maps[left], error)
        maps[left] = torch.where(too_large[:, None, None], maps[left] * 1.15, maps[left])
        left = left[too_large | (error.abs().amax(1) > 1e-3)]
        if not len(left):
            break
    kernels = F.avg_pool2d(result[:, None], FINE)[:, 0].clamp_min(0)
    return kernels / kernels.sum((1, 2), keepdim=True)
