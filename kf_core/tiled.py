"""A large photo's image, made in overlapping tiles: memory does not grow with the photo, and what is done is kept.

Every tile is a small photo of its own, with the kernel and the noise of the whole; of its image only what lies far from
the tile's edge is used. So the tiles fit together without a seam: the noise is drawn by place, and what lies farther
away than OVERLAP has no say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from kf_core.errors import is_out_of_memory
from kf_core.physics.grid import Box
from kf_core.run import Run
from kf_core.state import State
from kf_core.trust.confidence import mix_with_bicubic, share_in
from kf_core.unfinished import Unfinished

RESTORE_BYTES = 180  # at the peak, per HR pixel that is made at a time
OVERLAP = 24  # LR pixels around a tile that are made with it
LEAST_SIDE = 32  # LR pixels: a tile that memory does not suffice for is halved down to this

Make = Callable[[State, Run], State]


def fits_at_once(height: int, width: int, scale: int, memory: float) -> bool:
    """Whether the image of so many LR pixels can be made in `memory` GiB."""
    return height * width * scale**2 * RESTORE_BYTES <= memory * 2**30


def tile_side(scale: int, memory: float) -> int:
    """LR pixels per side of the tiles whose images, with what overlaps, can be made in `memory` GiB."""
    outer = math.isqrt(int(memory * 2**30 / RESTORE_BYTES)) // scale
    return max(LEAST_SIDE, outer - 2 * OVERLAP)


def in_tiles(
    make: Make,
    state: State,
    run: Run,
    scale: int,
    side: int,
    with_doubt: bool,
    folder: Path | None = None,
    job: str = "",
) -> State:
    """The state with the image as `result`, in the caller's values.

    Args:
        make: the image, and the residual, of a state whose photo is a tile.
        side: of a tile, in LR pixels, without what overlaps.
        with_doubt: mix the image with the bicubic enlargement, as far as the residual of the tile in which the kernel
            was sought says, which is made first.
        folder: where finished tiles are kept; the same job goes on with them. None: in memory.
        job: differs where the result would.

    Raises Cancelled, Diverged, CannotWrite.
    """
    photo, estimate, monitor = state.photo, state.estimate, run.monitor
    assert photo.source is not None and estimate is not None
    height, width = (length * scale for length in photo.outer_size)
    shape, dtype = (height, width, *photo.source.shape[2:]), photo.source.dtype
    kept = Unfinished.begin(folder, job, shape, dtype)
    photo.framed(scale, kept.pixels)
    inside = photo.without_frame(kept.pixels, scale)
    share = kept.share

    def one(box: Box) -> float:
        """Makes a tile, or its quarters where memory does not suffice; the mean square that they leave unexplained."""
        nonlocal share
        outer = widened(box, *photo.size)
        tile = photo.cut(outer)
        monitor.region = photo.in_the_array(outer)
        try:
            made = make(replace(state, photo=tile), run)
            assert made.image is not None and made.residual is not None
            if with_doubt and share is None:
                share = share_in(estimate, made.residual)
            image = made.image if share is None else mix_with_bicubic(tile, made.image, share)
            values = tile.to_values(image)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or max(box[2:]) <= LEAST_SIDE:
                raise
            if run.device.type == "cuda":
                torch.cuda.empty_cache()
        else:
            top, left = (box[0] - outer[0]) * scale, (box[1] - outer[1]) * scale
            rows, columns = box[2] * scale, box[3] * scale
            placed = inside[box[0] * scale : box[0] * scale + rows, box[1] * scale : box[1] * scale + columns]
            placed[:] = values[top : top + rows, left : left + columns]
            return made.residual**2
        return mean_of([(quarter, one(quarter)) for quarter in tiles(box, -(-max(box[2:]) // 2))])

    boxes = list(tiles(photo.whole, side))
    boxes.sort(key=lambda box: -shared(box, photo.crop or photo.whole))
    try:
        for number, box in enumerate(boxes):
            monitor.part = number, len(boxes)
            if box not in kept.done:
                squares = one(box)
                kept.add(box, squares, share)
    finally:
        monitor.part = 0, 1
    unexplained = math.sqrt(mean_of(kept.done.items()))
    return replace(state, result=kept.pixels, image=None, share=share, residual=unexplained)


def mean_of(parts: Iterable[tuple[Box, float]]) -> float:
    """Of one number per box, each counting by its pixels."""
    parts = list(parts)
    return sum(value * box[2] * box[3] for box, value in parts) / sum(box[2] * box[3] for box, _ in parts)


def tiles(box: Box, side: int) -> Iterator[Box]:
    """The box in parts, as equal as can be with even sides, each at most `side` (2 or more) high and wide."""
    top, left, height, width = box
    for first, rows in _cuts(height, side):
        for start, columns in _cuts(width, side):
            yield top + first, left + start, rows, columns


def _cuts(length: int, side: int) -> list[tuple[int, int]]:
    pairs = -(-length // 2)  # a denoiser may work on blocks of 2 x 2 pixels, which must be the same ones in any tile
    count = -(-pairs // max(1, side // 2))
    ends = [min(length, 2 * (pairs * n // count)) for n in range(count + 1)]
    return [(first, last - first) for first, last in zip(ends, ends[1:], strict=False)]


def widened(box: Box, height: int, width: int) -> Box:
    """The box and OVERLAP pixels around it, as far as there are any."""
    top, left = max(0, box[0] - OVERLAP), max(0, box[1] - OVERLAP)
    bottom, right = min(height, box[0] + box[2] + OVERLAP), min(width, box[1] + box[3] + OVERLAP)
    return top, left, bottom - top, right - left


def shared(one: Box, other: Box) -> int:
    """Pixels that two boxes share."""
    rows, columns = (min(one[at] + one[at + 2], other[at] + other[at + 2]) - max(one[at], other[at]) for at in (0, 1))
    return max(0, rows) * max(0, columns)
