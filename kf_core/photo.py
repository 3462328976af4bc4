"""The photo as the stages see it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from kf_core.physics.grid import Box, cut, informative_crop


@dataclass(frozen=True)
class Photo:
    """An LR photo on the run's device.

    Attributes:
        pixels: (1, 3, h, w) in [-1, 1]; of a grey photo the three are the same.
        crop: the part that the kernel is sought on; None: the whole.
        noise: standard deviation of its noise in grey levels of 0..255; None: not measured.
        range: the values in the caller's array that became -1 and 1.
    """

    pixels: Tensor
    crop: Box | None = None
    noise: float | None = None
    range: tuple[float, float] = (0.0, 1.0)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[-2], self.pixels.shape[-1]

    @property
    def whole(self) -> Box:
        return 0, 0, *self.size

    @property
    def part(self) -> Photo:
        """The crop as a photo of its own."""
        return self if self.crop is None else replace(self, pixels=cut(self.pixels, self.crop), crop=None)

    def cropped(self, side: int) -> Photo:
        """With the most telling crop of at most `side` pixels a side; 0: the whole."""
        return replace(self, crop=informative_crop(self.pixels, side))
