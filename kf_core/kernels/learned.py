"""The kernel by one look at the photo: CorrNet, which has learned from many photographs and kernels."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from kf_core.cost import Cost, crop_pixels
from kf_core.kernels.base import Estimate
from kf_core.kernels.corrnet import SIZE, SPAN, TILE, CorrNet, estimates
from kf_core.photo import Photo
from kf_core.physics.grid import cut, informative_crop, luma
from kf_core.physics.kernel import centre, cosine_similarity, rebin_kernel
from kf_core.progress import preview
from kf_core.run import Run
from kf_core.settings import Settings

WORK = 0.4  # millions of multiply-adds per LR pixel, of four turns
LARGEST = 1024  # LR pixels a side: more tells no more
# Of the bundled network, by benchmarks/calibration.py --fit: a constant, then the weight of each of `signs`.
LIKENESS = (4.2171, -0.3644, -0.7538, 3.7192, -1.7823, 0.6827)
BYTES, TILE_BYTES = 100, 4000  # per LR pixel of the photo, and of the part that goes through the network at a time


class LearnedKernel:
    """CorrNet as a KernelEstimator. It needs no training at run time.

    Of a photo of more than LARGEST pixels a side it reads the most telling part of that size.

    Args:
        network: frozen.
        settings: of the whole run; scale and kernel_size matter here.
    """

    def __init__(self, network: CorrNet, settings: Settings):
        self.network, self.settings = network, settings

    def __call__(self, photo: Photo, run: Run) -> Estimate:
        found = estimates(self.network, luma(cut(photo.pixels, informative_crop(photo.pixels, LARGEST))[0]))
        mean = found.mean(0)
        run.monitor.check()
        size = self.settings.kernel_size
        assert size is not None
        kernel, _ = centre(rebin_kernel(mean, SIZE // SPAN, size, self.settings.scale))
        run.monitor.step("recover_kernel", 1, 1, partial(preview, photo.part.pixels, kernel))
        return Estimate(kernel, "recovered", agreement=agreement(found), likeness=likeness(found))

    def cost(self, height: int, width: int) -> Cost:
        pixels = crop_pixels(height, width, LARGEST)
        return Cost(WORK * pixels, BYTES * pixels + TILE_BYTES * min(pixels, TILE**2))


def agreement(found: Tensor) -> float:
    """Mean cosine of what the network says of the photo turned and mirrored (n, K, K) with the mean of that."""
    mean = found.mean(0)
    return sum(cosine_similarity(each, mean) for each in found) / len(found)


def likeness(found: Tensor) -> float:
    """0..1: the cosine that the mean of `found` (n, SIZE, SIZE) is expected to have with the true kernel.

    A logistic function of `signs`, fitted to photographs with known kernels. It is right on average, not for each.
    """
    constant, *weights = LIKENESS
    values = zip(weights, signs(found), strict=True)
    return 1 / (1 + math.exp(-constant - sum(weight * value for weight, value in values)))


def signs(found: Tensor) -> tuple[float, ...]:
    """What tells how right a network's kernels (n, SIZE, SIZE) are: how far they differ between turns of the photo; of
    their mean the entropy, and the logarithms of its norm, of its largest tap and of the spread of its light."""
    mean = found.mean(0)
    mean = mean / mean.sum()
    entropy = -float((mean * mean.clamp_min(1e-9).log()).sum())
    place = torch.arange(SIZE, device=mean.device) - (SIZE - 1) / 2
    spread = (mean * (place[:, None] ** 2 + place**2)).sum().sqrt()
    shape = (float(value.log()) for value in (mean.norm(), mean.max(), spread))
    return (math.log(1 - agreement(found) + 1e-4), entropy, *shape)
