"""White noise over a plane without end: a part of it is the same whichever other part is asked for with it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

BLOCK = 64  # pixels per side that are drawn at a time
BEYOND = 1 << 32  # added to places, which may be negative


class NoiseField:
    """Standard Gaussian noise, three colours, for every step of a walk and every pixel of a plane.

    Tiles of a picture, each made on its own, so see the noise that the whole picture would. Each block of pixels has a
    counter of its own (Philox, Salmon et al. 2011), so nothing has to be drawn in order.

    Args:
        seed: 0 to 2^63 - 1.

    >>> field = NoiseField(3)
    >>> bool((field(0, 0, 0, 8, 8)[..., 2:, 4:] == field(0, 2, 4, 6, 4)).all())
    True
    """

    def __init__(self, seed: int):
        self.seed = seed

    @classmethod
    def drawn(cls, generator: Generator) -> NoiseField:
        """A field by the next number of a generator on the CPU."""
        return cls(int(torch.randint(2**62, (1,), generator=generator)))

    def __call__(self, step: int, top: int, left: int, height: int, width: int) -> Tensor:
        """(1, 3, height, width) float32 on the CPU, whose first pixel lies at (top, left), which may be negative."""
        result = np.empty((3, height, width), np.float32)
        for row in range(top // BLOCK, (top + height - 1) // BLOCK + 1):
            for column in range(left // BLOCK, (left + width - 1) // BLOCK + 1):
                block = self._block(step, row, column)
                rows = slice(max(top, row * BLOCK), min(top + height, (row + 1) * BLOCK))
                columns = slice(max(left, column * BLOCK), min(left + width, (column + 1) * BLOCK))
                result[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = block[
                    :,
                    rows.start - row * BLOCK : rows.stop - row * BLOCK,
                    columns.start - column * BLOCK : columns.stop - column * BLOCK,
                ]
        return torch.from_numpy(result)[None]

    def _block(self, step: int, row: int, column: int) -> np.ndarray:
        counter = [0, step, row + BEYOND, column + BEYOND]  # the first of the four counts within the block
        random = np.random.Generator(np.random.Philox(key=self.seed, counter=counter))
        return random.standard_normal((3, BLOCK, BLOCK), np.float32)
