"""Which kernel the photo supports: the recovered one, corrected a little, or a simple one. Not in the paper.

The power spectrum of the photo decides (spectrum.py): it sees a kernel's size and zeros, and not its phase. So it may
correct a recovered kernel in four numbers only, its size, two stretches and its sharpness, and then says whether that
explains the photo better than the best Gaussian. See docs/design.md.
"""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.kernels.base import Estimate, Evidence
from kf_core.kernels.simple import simple_kernels
from kf_core.photo import Photo
from kf_core.physics.kernel import centre_of_mass, normalise
from kf_core.progress import Monitor, preview
from kf_core.trust.fitted import FITTED
from kf_core.trust.noise import noise_level, without_clipped
from kf_core.trust.spectrum import Spectrum


def choose_kernel(photo: Photo, recovered: Tensor, scale: int, monitor: Monitor) -> Estimate:
    """The recovered kernel (K, K), corrected, or a Gaussian: whichever explains the photo's spectrum better."""
    lr = without_clipped(photo)
    spectrum, size = Spectrum(lr, scale), recovered.shape[-1]
    gaussians = simple_kernels(size, scale, FITTED.widths)
    misfits = []
    for kernel in gaussians:
        misfits.append(spectrum.fit_anisotropy(kernel, monitor))
    monitor.step("weigh_kernel", 1, 3, partial(preview, lr, recovered))
    simple, simple_misfit = correct(gaussians[misfits.index(min(misfits))], spectrum, monitor)
    monitor.step("weigh_kernel", 2, 3, partial(preview, lr, recovered))
    kernel, misfit = correct(recovered.cpu(), spectrum, monitor)
    source = "recovered" if misfit < simple_misfit - FITTED.least_advantage else "simple"
    least, best = (misfit, kernel) if source == "recovered" else (simple_misfit, simple)
    best = best.to(recovered)
    evidence = Evidence(
        margin=misfits[0] - least,
        clutter=clutter(recovered),
        excess=least - spectrum.least,
        pixels=lr.shape[-2] * lr.shape[-1],
        noise=noise_level(photo, best, scale, monitor),
    )
    monitor.step("weigh_kernel", 3, 3, partial(preview, lr, best))
    return Estimate(best, source, evidence=evidence)


def correct(kernel: Tensor, spectrum: Spectrum, monitor: Monitor) -> tuple[Tensor, float]:
    """The copy of a kernel (K, K) that explains the spectrum best, and its misfit plus the penalty of its correction.

    A coordinate search over its size, its stretch along the axes and along the diagonals, and its sharpness. Four
    numbers within narrow limits: the spectrum sees no phase, so kernels freely fitted to it get worse.
    """
    best: tuple[float, ...] = (0.0,) * 4
    penalised = spectrum.fit_anisotropy(corrected(kernel, best), monitor)
    for step in FITTED.steps:
        moved = True
        while moved:
            moved = False
            for axis in range(4):
                for sign in (1, -1):
                    monitor.check()
                    value = best[axis] + sign * step
                    if not FITTED.limits[axis][0] <= value <= FITTED.limits[axis][1]:
                        continue
                    tried = (*best[:axis], value, *best[axis + 1 :])
                    penalty = FITTED.penalty * sum(x * x for x in tried)
                    found = spectrum.misfit(corrected(kernel, tried)) + penalty
                    if found < penalised - 1e-4:
                        best, penalised, moved = tried, found, True
                        break
    return corrected(kernel, best), penalised


def corrected(kernel: Tensor, correction: tuple[float, ...]) -> Tensor:
    """The kernel (K, K) resized, stretched and sharpened by a correction, its centre of mass in the middle."""
    size, along, across, sharpness = correction
    kernel = normalise(without_floor(kernel))
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


def without_floor(kernel: Tensor) -> Tensor:
    """A kernel (K, K) less FITTED.floor of its largest tap, not below zero; its sum is less than before."""
    return (kernel - FITTED.floor * kernel.max()).clamp_min(0)


def clutter(kernel: Tensor) -> float:
    """0..1: the share of a kernel's mass that `without_floor` takes off.

    Where a search finds the kernel, it is a fifth to a third; where it fails, taps far from the middle stay grey.
    """
    return 1 - float(without_floor(kernel).sum() / kernel.sum())
