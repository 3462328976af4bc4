"""Sharper at the same size (scale 1): the kernel of a large photo, and the photo as seen through a small mean.

Not in the paper; see docs/design.md. The kernel network has learned from photos shrunk by 4, whose kernels are 24 taps
wide at four taps to a pixel. The mean of every s x s pixels (s = 4, or 2 for less blur) is such a photo, and its
kernel, on the grid of the large one, is the blur k of the large one convolved with that mean. So

    k = argmin_{k >= 0} |mean * k - what the network sees|^2 + RIDGE |k|^2.

What the mean hides of k is a guess. The image is therefore fitted to the photo through the same mean, without the
shrinking: |mean * (k * x - photo)|^2. Where the photo is as sharp as its pixels allow, there is nothing to gain: the
photo itself is the result.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.cost import Cost, crop_pixels
from kf_core.errors import BadSetting
from kf_core.kernels.base import Estimate
from kf_core.kernels.corrnet import SIZE, SPAN, CorrNet, estimates
from kf_core.kernels.learned import LARGEST, WORK, agreement, likeness
from kf_core.photo import Photo
from kf_core.physics.grid import cut, informative_crop, luma
from kf_core.physics.kernel import centre, centre_of_mass, rebin_kernel
from kf_core.physics.solve import fista
from kf_core.progress import Monitor, preview
from kf_core.run import Run
from kf_core.settings import SMALLEST, Settings
from kf_core.state import State
from kf_core.trust.noise import noise_level

MEANS = (4, 2)  # pixels a side, the widest first
WIDE = 7.0  # square pixels: with less variance, the kernel fits what the network sees through the narrower mean
SHARP, BLURRED = 0.5, 1.8  # square pixels of variance: the photo stays as it is below, and is surely blurred above
RIDGE = 0.01
ITERATIONS = 300


def check_same_size(settings: Settings, blind: bool) -> None:
    """Raises BadSetting for what cannot be done at scale 1."""
    walks = settings.estimator != "learned" if blind else settings.finish.method == "none"
    if walks:
        raise BadSetting(
            "Algorithm 1, which these settings ask for, finds a kernel by enlarging the photo.",
            "To sharpen at the same size, take the preset 'fast'.",
        )
    if settings.varying.regions > 1:
        raise BadSetting(
            "Kernels that vary over the photo are only sought where it is enlarged.",
            "Leave out the setting varying.regions, or enlarge by 2.",
        )


class FindSameSizeKernel:
    """The stage: the kernel, and the photo through the mean by which it is to be explained."""

    name, label = "recover_kernel", "finding the kernel"

    def __init__(self, network: CorrNet, settings: Settings):
        self.network, self.settings = network, settings

    def cost(self, height: int, width: int) -> Cost:
        pixels = crop_pixels(height // MEANS[-1], width // MEANS[-1], LARGEST)
        return Cost(WORK * pixels, 100 * height * width)

    def __call__(self, state: State, run: Run) -> State:
        photo, size = state.photo, self.settings.kernel_size
        assert size is not None
        grey = luma(photo.pixels[0])
        for side in usable_means(*photo.size):
            found = seen_through(self.network, grey, side)
            seen = rebin_kernel(found.mean(0), SIZE // SPAN, SPAN * side, side)
            spread = variance(seen) - (side**2 - 1) / 12
            run.monitor.check()
            if spread >= WIDE:
                break
        kernel = without_mean(seen, side, size)
        run.monitor.step("recover_kernel", 1, 1, partial(preview, photo.pixels, kernel))
        blurred = min(1.0, max(0.0, (spread - SHARP) / (BLURRED - SHARP)))
        alike, likely = agreement(found), likeness(found)
        estimate = Estimate(kernel, "recovered", agreement=alike, likeness=likely, mean=side, blurred=blurred)
        return replace(state, photo=as_seen(photo, estimate, run.monitor), estimate=estimate)


def as_seen(photo: Photo, estimate: Estimate, monitor: Monitor) -> Photo:
    """The photo through the mean of the estimate, with the noise that is left of its own. Raises Cancelled."""
    noise = noise_level(photo, estimate.kernel, 1, monitor) if photo.noise is None else photo.noise
    mean = window(estimate.mean)
    return replace(photo.through_mean(mean), noise=noise * float(mean.norm()))


def usable_means(height: int, width: int) -> list[int]:
    """Those whose photo is, mirrored at its edges where need be, large enough for the network."""
    return [side for side in MEANS if side * SMALLEST < 2 * min(height, width)] or [MEANS[-1]]


def seen_through(network: CorrNet, grey: Tensor, side: int) -> Tensor:
    """What the network says of the means of side x side pixels of (h, w): (4, SIZE, SIZE), on its own grid."""
    missing = [max(0, side * SMALLEST - length) for length in grey.shape]
    edges = (missing[1] // 2, missing[1] - missing[1] // 2, missing[0] // 2, missing[0] - missing[0] // 2)
    small = F.avg_pool2d(F.pad(grey[None, None], edges, mode="reflect"), side)
    small = cut(small, informative_crop(small, LARGEST))[0, 0]
    return estimates(network, small)


def variance(kernel: Tensor) -> float:
    """Of the light along an axis, the mean of both, in square taps; of a kernel (K, K) with sum 1."""
    place = torch.arange(kernel.shape[-1], device=kernel.device, dtype=kernel.dtype)
    down, across = centre_of_mass(kernel)
    along = (kernel.sum(1) * (place - down) ** 2).sum() + (kernel.sum(0) * (place - across) ** 2).sum()
    return float(along) / 2


def window(side: int) -> Tensor:
    """The mean of side x side, and of 2 x 2 so that its middle is a pixel's: (side + 1, side + 1), sum 1."""
    row = torch.ones(side + 1)
    row[0] = row[-1] = 0.5
    return torch.outer(row, row) / side**2


def convolved(kernel: Tensor, other: Tensor) -> Tensor:
    """(K, K) and (N, N) of the same kind -> (K + N - 1, K + N - 1)."""
    reach = other.shape[-1] - 1
    return F.conv2d(F.pad(kernel[None, None], (reach,) * 4), other.to(kernel).flip(0, 1)[None, None])[0, 0]


def without_mean(seen: Tensor, side: int, size: int) -> Tensor:
    """The kernel (size, size), not negative and of sum 1, that the mean of side x side turns into `seen` (n, n)."""
    mean = window(side).to(seen)
    target = convolved(seen, torch.full((2, 2), 0.25))  # as `window` has that, too
    room = (size + side - target.shape[-1]) // 2
    target = F.pad(target, (room,) * 4)  # a negative room cuts

    def descend(kernel: Tensor) -> Tensor:
        error = convolved(kernel, mean) - target
        slope = F.conv2d(error[None, None], mean[None, None])[0, 0] + RIDGE * kernel
        return (kernel - slope / (1 + RIDGE)).clamp_min(0)

    edge = side // 2
    kernel = fista(descend, target[edge : edge + size, edge : edge + size], ITERATIONS)
    return centre(kernel / kernel.sum().clamp_min(1e-8))[0]
