"""The photo as the stages see it, and the way there and back from an array of pixels.

The engine works on values from -1 to 1. Its networks, its measures of noise and its limits were made for photographs
that fill that range; a fog, a dark scene, or 12-bit data in a 16-bit file do not. So one affine map, the same for all
colours, takes the photo there and the result back: super_resolve(a x + b) is a super_resolve(x) + b.

A frame around the photo is left out on the way there. On the way back it is enlarged bicubically.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from kf_core.clipped import clipped_values, painted_over
from kf_core.frame import NO_FRAME, Frame, find_frame, without_frame
from kf_core.physics.grid import Box, bicubic, cut, informative_crop
from kf_core.pixels import array_like, bicubic_enlargement, checked_pixels, quantiles, value_range
from kf_core.sharpening import unsharpened

TAIL = 0.005  # share of the values at each end that do not decide the range: lamps, specks, dead pixels
HEADROOM = 0.05  # of the range of the others, left free at each end
FARTHEST = 2.0  # what lies farther out than this is carried past the engine, and no image goes beyond
FLAT = 1e-6  # of the range of the file: a photo that varies less has no contrast to speak of
BICUBIC_REACH = 3  # pixels on each side that an enlarged one depends on, and one to spare


@dataclass(frozen=True)
class Photo:
    """An LR photo on the run's device, without its frame.

    Attributes:
        pixels: (1, 3, h, w), most of it in [-1, 1]; of a grey photo the three are the same.
        crop: the part that the kernel is sought on; None: the whole.
        noise: standard deviation of its noise, in grey levels of 127.5 to a unit of `pixels`; None: not measured.
        range: the values in the caller's array that became -1 and 1.
        ends: black and white of its file, in the caller's values: no result goes beyond.
        clipped: (1, 3, h, w), 1 where a value is at the upper end of what the camera or file could hold, and may have
            been larger, -1 at the lower end, else 0; None: nowhere.
        excess: what was cut off `pixels` because it lies far out (a lamp in a high dynamic range photo); None: nothing.
        frame: what was left out of the caller's array around `pixels`.
        place: row and column, in the photo that this is a part of, of the first pixel.
        source: the caller's array; None: there was none.
        sharpening: the share of an unsharp mask that was undone in `pixels`.
        sharp: the pixels before that, or before the mean; None: nothing was done to them.
    """

    pixels: Tensor
    crop: Box | None = None
    noise: float | None = None
    range: tuple[float, float] = (0.0, 1.0)
    ends: tuple[float, float] = (0.0, 1.0)
    clipped: Tensor | None = None
    excess: Tensor | None = None
    frame: Frame = NO_FRAME
    place: tuple[int, int] = (0, 0)
    source: np.ndarray | None = None
    sharpening: float = 0.0
    sharp: Tensor | None = None

    @classmethod
    def from_array(cls, image: np.ndarray, device: torch.device, stretch: bool) -> Photo:
        """The photo of an array that super_resolve takes. Raises BadPicture.

        Args:
            stretch: map the photo's own range of values to [-1, 1], rather than that of its dtype; leave out its frame,
                and mark clipped values.
        """
        values = checked_pixels(image)
        frame = find_frame(values[0]) if stretch else NO_FRAME
        values = without_frame(values, frame)
        low, high = usual_range(values) if stretch else value_range(image)
        black, white = value_range(image)
        if image.dtype.kind == "f":
            black, white = min(black, float(values.min())), max(white, float(values.max()))
        scale = 2 / (high - low)
        everything = torch.from_numpy((values * scale - (1 + low * scale)).astype(np.float32)).to(device)
        pixels = everything.clamp(-FARTHEST, FARTHEST)
        excess = everything - pixels if bool((everything != pixels).any()) else None
        clipped = clipped_values(pixels) if stretch else None
        if stretch and excess is not None:  # cut off here and now
            clipped = excess.sign() + torch.where(excess == 0, 0.0 if clipped is None else clipped, 0.0)
        ends = (black, white)
        return cls(pixels, range=(low, high), ends=ends, clipped=clipped, excess=excess, frame=frame, source=image)

    def to_array(self, image: Tensor) -> np.ndarray:
        """The image (1, 3, H, W) in the caller's values, dtype and number of channels, with its frame around it."""
        inside = self.to_values(image)
        if self.frame == NO_FRAME:
            return inside
        scale = image.shape[-1] // self.size[1]
        result = self.framed(scale)
        self.without_frame(result, scale)[:] = inside
        return result

    def to_values(self, image: Tensor) -> np.ndarray:
        """The image (1, 3, H, W) in the caller's values, dtype and number of channels, without the frame."""
        assert self.source is not None, "only a photo of an array can go back to one"
        if self.excess is not None:
            height, width = image.shape[-2:]
            image = image + bicubic(self.excess, height, width, limits=(-np.inf, np.inf))
        low, high = self.range
        values = low + (image[0].double().cpu().numpy() + 1) * ((high - low) / 2)
        return array_like(values.clip(*self.ends), self.source)

    def framed(self, scale: int, result: np.ndarray | None = None) -> np.ndarray:
        """An array for the result, `result` or a new one, that has the enlarged frame, and anything inside of it."""
        assert self.source is not None
        height, width = (side * scale for side in self.outer_size)
        if result is None:
            result = np.empty((height, width, *self.source.shape[2:]), self.source.dtype)
        top, bottom, left, right = self.frame
        outer = self.source.shape
        for rows in (slice(0, top), slice(outer[0] - bottom, outer[0])):
            result[_times_slice(rows, scale)] = enlarged_part(self.source, rows, slice(0, outer[1]), scale, self.ends)
        for columns in (slice(0, left), slice(outer[1] - right, outer[1])):
            rows = slice(top, outer[0] - bottom)
            result[_times_slice(rows, scale), _times_slice(columns, scale)] = enlarged_part(
                self.source, rows, columns, scale, self.ends
            )
        return result

    def without_frame(self, result: np.ndarray, scale: int) -> np.ndarray:
        """What of the result (H, W) or (H, W, 3), with its frame, is the photo."""
        top, bottom, left, right = (side * scale for side in self.frame)
        return result[top : result.shape[0] - bottom, left : result.shape[1] - right]

    @property
    def limits(self) -> tuple[float, float]:
        """Black and white of its file, in the units of `pixels`."""
        low, high = self.range
        black, white = ((end - low) * 2 / (high - low) - 1 for end in self.ends)
        return black, white

    @property
    def unit(self) -> float:
        """What a grey level of `pixels` is in the file, in grey levels of 255 from its black to its white."""
        (low, high), (black, white) = self.range, self.ends
        return (high - low) / (white - black)

    @cached_property
    def unclipped(self) -> Tensor:
        """`pixels` with clipped values and what is near them painted over by their surroundings.

        A lamp is no texture and no noise, yet has as much of every frequency as white noise.
        """
        return self.pixels if self.clipped is None else painted_over(self.pixels, self.clipped)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[-2], self.pixels.shape[-1]

    @property
    def outer_size(self) -> tuple[int, int]:
        """Height and width of the caller's array, the frame included."""
        top, bottom, left, right = self.frame
        return self.size[0] + top + bottom, self.size[1] + left + right

    @property
    def whole(self) -> Box:
        return 0, 0, *self.size

    def in_the_array(self, box: Box | None = None) -> Box:
        """Where a box of `pixels`, or None for the whole of them, lies in the caller's array."""
        top, left, height, width = box or self.whole
        return top + self.frame[0], left + self.frame[2], height, width

    @property
    def part(self) -> Photo:
        """The crop as a photo of its own, that has no frame."""
        return self if self.crop is None else self.cut(self.crop)

    def cut(self, box: Box) -> Photo:
        """The pixels of a box as a photo of its own, that has no frame."""
        clipped, excess, sharp = (
            None if each is None else cut(each, box) for each in (self.clipped, self.excess, self.sharp)
        )
        place = self.place[0] + box[0], self.place[1] + box[1]
        return replace(
            self,
            pixels=cut(self.pixels, box),
            crop=None,
            clipped=clipped,
            excess=excess,
            frame=NO_FRAME,
            place=place,
            sharp=sharp,
        )

    @property
    def as_shot(self) -> Tensor:
        """`pixels`, sharpened as they were."""
        return self.pixels if self.sharp is None else self.sharp

    def unsharpened(self, share: float) -> Photo:
        """With an unsharp mask of that share undone."""
        if share == 0:
            return self
        return replace(self, pixels=unsharpened(self.pixels, share), sharpening=share, sharp=self.pixels)

    def through_mean(self, window: Tensor) -> Photo:
        """Convolved with a window (N, N), N odd, of sum 1; a mean with a clipped value in it counts as clipped."""
        reach = window.shape[-1] // 2
        mode = "reflect" if min(self.size) > reach else "replicate"
        wider = functional.pad(self.pixels, (reach,) * 4, mode=mode)
        taps = window.to(wider).expand(wider.shape[1], 1, *window.shape)
        pixels, clipped = functional.conv2d(wider, taps, groups=wider.shape[1]), self.clipped
        if clipped is not None:
            clipped = functional.max_pool2d(clipped.abs(), 2 * reach + 1, 1, reach)
        return replace(self, pixels=pixels, clipped=clipped, sharp=self.as_shot)

    def cropped(self, side: int) -> Photo:
        """With the most telling crop of at most `side` pixels a side; 0: the whole."""
        return replace(self, crop=informative_crop(self.pixels, side))


def _times_slice(part: slice, scale: int) -> slice:
    return slice(part.start * scale, part.stop * scale)


def enlarged_part(
    pixels: np.ndarray, rows: slice, columns: slice, scale: int, limits: tuple[float, float]
) -> np.ndarray:
    """Those rows and columns of (H, W) or (H, W, 3), enlarged bicubically as a part of the whole, of its dtype."""
    height, width = ((part.stop - part.start) * scale for part in (rows, columns))
    if 0 in (height, width):
        return np.empty((height, width, *pixels.shape[2:]), pixels.dtype)
    wider = [
        slice(max(0, part.start - BICUBIC_REACH), min(side, part.stop + BICUBIC_REACH))
        for part, side in zip((rows, columns), pixels.shape, strict=False)
    ]
    around = pixels[wider[0], wider[1]]
    larger = bicubic_enlargement(around, around.shape[0] * scale, around.shape[1] * scale, limits)
    top, left = ((part.start - wide.start) * scale for part, wide in zip((rows, columns), wider, strict=True))
    return larger[top : top + height, left : left + width]


def usual_range(values: np.ndarray) -> tuple[float, float]:
    """The values that become -1 and 1: those that most of the photo lies between, and a little more at each end."""
    low, high = quantiles(values, TAIL, 1 - TAIL)
    if high - low <= FLAT * max(abs(low), abs(high), 1.0):
        middle = (low + high) / 2
        return middle - 1, middle + 1
    more = HEADROOM * (high - low)
    return low - more, high + more
