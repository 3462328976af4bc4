"""How far a recovered kernel is to be believed. Not in the paper, which believes every kernel; see docs/design.md.

Two things are asked of every run:
    Which kernel? The recovered one, its size, shape and sharpness corrected a little, against the best Gaussian. The
        power spectrum of the photo decides (spectrum.py).
    How much of its picture? A search that failed leaves clutter all over the grid, a photo whose spectrum no kernel
        explains misleads the choice, and a kernel that is plainly wrong makes a picture that does not explain the
        photo. Such a picture is drawn back towards the bicubic enlargement: a seventh of one that is 2 dB worse than
        bicubic is still better than it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.physics.blur import Degradation, bicubic, inner
from kf_core.physics.kernel import centre_of_mass, gaussian_kernel, normalise
from kf_core.progress import Monitor, preview
from kf_core.trust.noise import noise_level
from kf_core.trust.spectrum import Spectrum

WIDTHS = (0.3, 0.4, 0.5, 0.65, 0.8, 1.0)  # standard deviations of the simple kernels, in LR pixels
FLOOR = 0.1  # of the largest tap, taken off every tap: what a search leaves in the corners pulls the centre of mass
LIMITS = ((-0.25, 0.25),) * 3 + ((-0.3, 1.0),)  # of a correction: log size, two stretches, log of the taps' exponent
STEPS = (0.15, 0.075, 0.0375)  # of the search for one
PENALTY = 0.1  # nats per LR pixel and unit of a correction, squared
MOST = 0.8  # of a picture that is believed; this and the next lines: fitted on benchmarks/split.py's part to tune on
SURE = 1.6  # the share without any doubt, if it could be more than MOST
CLEAN, CLUTTERED = 0.25, 2.1  # a kernel's clutter that costs nothing, and what the share loses for each unit above
STRANGE = 3.2  # what the share loses for each nat per LR pixel that the photo's spectrum departs from all models
FEW, MANY = 64 * 64, 112 * 112  # LR pixels at which it does so; of more pixels both say less, up to as many as these
FAINT = 0.03  # nats per LR pixel: below, there is no sign of any blur
EXPLAINED = 1.6  # grey levels of RMS beside noise: a picture that leaves more is worth less, at e times as much nothing
SMALL = 0.05  # nats per LR pixel that a recovered kernel has to be better by than a simple one


@dataclass(frozen=True)
class Choice:
    """Which kernel the photo supports.

    Attributes:
        kernel: (K, K).
        simple: the recovered kernel was not better than a Gaussian by SMALL, and `kernel` is the Gaussian.
        margin: nats per LR pixel by which `kernel` explains the photo's spectrum better than almost no blur does.
        clutter: 0..1, `clutter` of the recovered kernel.
        excess: nats per LR pixel by which the spectrum departs from what `kernel` predicts, beyond chance.
        pixels: LR pixels that all this was seen on.
        noise: `noise_level`, in grey levels.
    """

    kernel: Tensor
    simple: bool
    margin: float
    clutter: float
    excess: float
    pixels: int
    noise: float

    @property
    def source(self) -> str:
        """What `finish` and the report call it."""
        return "simple" if self.simple else "recovered"


def choose_kernel(lr: Tensor, recovered: Tensor, scale: int, monitor: Monitor) -> Choice:
    """The recovered kernel (K, K), corrected, or a Gaussian: whichever explains the spectrum of (1, 3, h, w) better."""
    spectrum, size = Spectrum(lr, scale), recovered.shape[-1]
    gaussians = [gaussian_kernel(size, width * scale) for width in WIDTHS]
    misfits = []
    for kernel in gaussians:
        monitor.check()
        misfits.append(spectrum.settle(kernel))
    monitor.step("weigh_kernel", 1, 3, partial(preview, lr, recovered))
    simple, simple_misfit = correct(gaussians[misfits.index(min(misfits))], spectrum, monitor)
    monitor.step("weigh_kernel", 2, 3, partial(preview, lr, recovered))
    kernel, misfit = correct(recovered.cpu(), spectrum, monitor)
    better = misfit < simple_misfit - SMALL
    least, best = (misfit, kernel) if better else (simple_misfit, simple)
    margin, excess = misfits[0] - least, least - spectrum.least
    best = best.to(recovered)
    noise, pixels = noise_level(lr, best, scale), lr.shape[-2] * lr.shape[-1]
    chosen = Choice(best, not better, margin, clutter(recovered), excess, pixels, noise)
    monitor.step("weigh_kernel", 3, 3, partial(preview, lr, chosen.kernel))
    return chosen


def correct(kernel: Tensor, spectrum: Spectrum, monitor: Monitor) -> tuple[Tensor, float]:
    """The copy of a kernel (K, K) that explains the spectrum best, and its misfit.

    A coordinate search over its size, its stretch along the axes and along the diagonals, and its sharpness. Four
    numbers within narrow limits: the spectrum sees no phase, so kernels freely fitted to it get worse.
    """
    best = (0.0,) * 4
    misfit = spectrum.settle(changed(kernel, best))
    for step in STEPS:
        moved = True
        while moved:
            moved = False
            for axis in range(4):
                for sign in (1, -1):
                    monitor.check()
                    value = best[axis] + sign * step
                    if not LIMITS[axis][0] <= value <= LIMITS[axis][1]:
                        continue
                    tried = (*best[:axis], value, *best[axis + 1 :])
                    found = spectrum.misfit(changed(kernel, tried)) + PENALTY * sum(x * x for x in tried)
                    if found < misfit - 1e-4:
                        best, misfit, moved = tried, found, True
                        break
    return changed(kernel, best), misfit


def changed(kernel: Tensor, correction: tuple[float, ...]) -> Tensor:
    """The kernel (K, K) resized, stretched and sharpened by a correction, its centre of mass in the middle."""
    size, along, across, sharpness = correction
    kernel = normalise(lowered(kernel))
    middle = (kernel.shape[-1] - 1) / 2
    stretch = torch.tensor([[math.exp(size + along), across], [across, math.exp(size - along)]])
    for _ in range(2):  # sharpening moves the centre of mass a little
        shift = (centre_of_mass(kernel) - middle).flip(0)  # x, y
        offset = torch.arange(kernel.shape[-1]) - middle
        grid = torch.stack(torch.meshgrid(offset, offset, indexing="xy"), dim=-1)
        places = (grid @ torch.linalg.inv(stretch).T + shift) * 2 / kernel.shape[-1]
        kernel = F.grid_sample(
            kernel[None, None], places[None], mode="bicubic", align_corners=False, padding_mode="zeros"
        )[0, 0].clamp_min(0)
        kernel = normalise((kernel / kernel.max()) ** math.exp(sharpness))
        stretch, sharpness = torch.eye(2), 0.0
    return kernel


def residual(lr: Tensor, image: Tensor, kernel: Tensor, scale: int) -> float:
    """RMS in grey levels of what image and kernel leave unexplained of the photo, its edge left out."""
    degradation = Degradation(kernel.shape[-1], scale, "reflect")
    edge = -(-degradation.margin // scale)  # LR pixels whose window leaves the picture
    return float(inner(degradation(image, kernel) - lr, edge).square().mean().sqrt() * 127.5)


def lowered(kernel: Tensor) -> Tensor:
    """A kernel (K, K) without what lies below FLOOR of its largest tap; its sum is less than before."""
    return (kernel - FLOOR * kernel.max()).clamp_min(0)


def clutter(kernel: Tensor) -> float:
    """0..1: the share of a kernel's mass that `lowered` takes off.

    Where a search finds the kernel, it is a fifth to a third; where it fails, taps far from the middle stay grey.
    """
    return 1 - float(lowered(kernel).sum() / kernel.sum())


def share(unexplained: float, chosen: Choice) -> float:
    """0..1: how much of the finished picture to take, if `unexplained` is its `residual`; the rest is bicubic."""
    doubts = CLUTTERED * max(0.0, chosen.clutter - CLEAN) + STRANGE * max(0.0, chosen.excess)
    clear = SURE - doubts * FEW / min(chosen.pixels, MANY)
    blurred = 1 - math.exp(-max(chosen.margin, 0) / FAINT)
    usual = 2 * EXPLAINED if chosen.simple else EXPLAINED  # finish gives the prior more weight there
    limit = math.sqrt(usual**2 + chosen.noise**2)
    explained = 1 - math.log(max(unexplained, limit) / limit)
    return min(MOST, max(0.0, clear)) * blurred * max(0.0, explained)


def believed(lr: Tensor, image: Tensor, chosen: Choice, scale: int) -> tuple[Tensor, float]:
    """What to show of the finished image (1, 3, H, W), mixed with the bicubic enlargement, and the share of it."""
    confidence = share(residual(lr, image, chosen.kernel, scale), chosen)
    return torch.lerp(bicubic(lr, *image.shape[-2:]), image, confidence), confidence


def sentence(confidence: float, simple: bool) -> str:
    """What to tell people."""
    if confidence < 0.15:
        return "The photo does not tell what shrank it: the result is close to the plain enlargement."
    kept = "" if confidence >= 0.5 else " The result is kept near the plain enlargement."
    if simple:
        return "No recovered kernel is better supported by the photo than a simple one, which was used." + kept
    if confidence >= 0.5:
        return "The kernel is well supported by the photo."
    return "The kernel is supported by the photo in part." + kept
