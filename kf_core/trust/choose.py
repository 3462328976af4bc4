"""Which kernel the photo supports: a recovered one or a simple one. Not in the paper.

The power spectrum of the photo decides (spectrum.py): it sees a kernel's size and zeros, and not its phase. It chooses
among simple kernels, corrects the best of them in four numbers, its size, two stretches and its sharpness, and then
says whether a recovered kernel explains the photo better. See docs/design.md.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.kernels.base import Candidate, Estimate, Evidence
from kf_core.kernels.simple import GAUSSIANS, SimpleKernel, simple_kernels
from kf_core.photo import Photo
from kf_core.physics.kernel import centre_of_mass, cosine_similarity, normalise
from kf_core.progress import Monitor, preview
from kf_core.trust.compression import Compression, find_compression
from kf_core.trust.fitted import FITTED
from kf_core.trust.noise import noise_level
from kf_core.trust.spectrum import Judge, Spectrum

SHORT_LIST = 3  # simple kernels that are judged in full
LIKELY = 0.8  # likeness from which on a network is believed that there is a blur: white noise has at most .76
ALIKE = 0.97  # cosine from which on a kernel gets the name of a simple one


def choose_kernel(photo: Photo, estimate: Estimate, scale: int, monitor: Monitor) -> Estimate:
    """The recovered kernel of an estimate or a simple one: whichever explains the photo's spectrum better.

    Every other kernel that was thought of becomes a candidate; the weights of all of them sum to 1.
    """
    compression = find_compression(photo, monitor)
    spectrum = telling_spectrum(photo, estimate.kernel, scale, monitor, compression)
    return choose_by(spectrum, photo, estimate, scale, monitor, compression)


def choose_by(
    spectrum: Judge, photo: Photo, estimate: Estimate, scale: int, monitor: Monitor, compression: Compression
) -> Estimate:
    """The same by a spectrum that need not be this photo's alone; the noise in the evidence is."""
    lr, recovered = photo.pixels, estimate.kernel
    told = partial(preview, lr, recovered)
    simple = simple_kernels(recovered.shape[-1], scale)
    judged = best_simple(spectrum, simple, monitor)
    unblurred = judged[simple[0].name][0]
    monitor.step("weigh_kernel", 1, 3, told)
    name = min(judged, key=lambda name: judged[name][0])
    misfit, kernel = judged.pop(name)
    if float(kernel.min()) >= 0:  # a resizer's lobes are not to be corrected away
        kernel, misfit = correct(kernel, spectrum, monitor)
    found = [(misfit, Candidate(kernel, "simple", look_alike(kernel, simple) or name))]
    found += [(misfit, Candidate(kernel, "simple", name)) for name, (misfit, kernel) in judged.items()]
    monitor.step("weigh_kernel", 2, 3, told)
    for each in (Candidate(recovered), *estimate.candidates):
        kernel = each.kernel.cpu()
        misfit = spectrum.fit_anisotropy(kernel, monitor)
        found.append((misfit, replace(each, kernel=kernel, name=look_alike(kernel, simple))))
    # Where the spectrum shows hardly any blur, a search finds anything. A network sees more, if it is not noise alone.
    seen = estimate.likeness is not None and estimate.likeness >= LIKELY
    blurred = seen or unblurred - min(each for each, _ in found) > FITTED.least_margin
    cost = FITTED.departure_cost if estimate.agreement is None else FITTED.departure_cost_learned
    (least, best), *others = weighed(found, recovered.cpu() if blurred else None, cost)
    best = replace(best, kernel=best.kernel.to(recovered))
    evidence = Evidence(
        margin=unblurred - least,
        clutter=clutter(best.kernel),
        excess=least - spectrum.least,
        noise=noise_level(photo, best.kernel, scale, monitor, compression),
        compressed=compression.kept is not None,
        agreement=estimate.agreement,
    )
    monitor.step("weigh_kernel", 3, 3, partial(preview, lr, best.kernel))
    return replace(
        estimate,
        kernel=best.kernel,
        source=best.source,
        image=None,
        evidence=evidence,
        name=best.name,
        weight=best.weight,
        candidates=tuple(replace(each, kernel=each.kernel.to(recovered)) for _, each in others),
    )


def telling_spectrum(
    photo: Photo, kernel: Tensor, scale: int, monitor: Monitor, compression: Compression | None = None
) -> Spectrum:
    """Without what JPEG erased; of a photo with clipped values, with them or painted over, whichever suits the kernel
    (K, K) better.

    A lamp hides the blur of everything else. What is merely black or white does not, and painting over it would.
    """
    kept = (compression or find_compression(photo, monitor)).kept
    spectra = [Spectrum(photo.pixels, scale, kept=kept)]
    if photo.clipped is not None:
        spectra.append(Spectrum(photo.unclipped, scale, kept=kept))
        spectra.sort(key=lambda each: each.fit_anisotropy(kernel, monitor) - each.least)
    return spectra[0]


def best_simple(spectrum: Judge, simple: list[SimpleKernel], monitor: Monitor) -> dict[str, tuple[float, Tensor]]:
    """Misfit and kernel, by their names, of the few simple kernels that explain the spectrum best, and of the first.

    All are tried at the scene's anisotropy that suits the best Gaussian, and the few at their own.
    """
    gaussians = simple[: len(GAUSSIANS)]
    spectrum.fit_anisotropy(min(gaussians, key=lambda each: spectrum.misfit(each.kernel)).kernel, monitor)
    rough = {}
    for each in simple:
        monitor.check()
        rough[each.name] = spectrum.misfit(each.kernel)
    few = sorted(simple, key=lambda each: rough[each.name])[:SHORT_LIST]
    judged = {each.name: each.kernel for each in [simple[0], *few]}  # the first may be one of the few
    return {name: (spectrum.fit_anisotropy(kernel, monitor), kernel) for name, kernel in judged.items()}


def weighed(
    found: list[tuple[float, Candidate]], recovered: Tensor | None, departure_cost: float
) -> list[tuple[float, Candidate]]:
    """Misfits and candidates, the best supported first, with weights that sum to 1.

    The estimator has seen more than the spectrum, so a simple kernel pays for being unlike the recovered one:
    `departure_cost` times 1 less their cosine. Without any sign of blur (`recovered` None) it does not, and only simple
    ones are left. Pixels of a spectrum are far from independent evidence, as its model is only roughly true:
    FITTED.certainty nats per LR pixel make one kernel e times as likely as another.
    """
    judged = []
    for misfit, candidate in found:
        cost = misfit
        if recovered is None and candidate.source != "simple":
            cost = math.inf
        elif recovered is not None and candidate.source == "simple":
            cost += departure_cost * (1 - cosine_similarity(candidate.kernel, recovered))
        judged.append((cost, misfit, candidate))
    judged.sort(key=lambda each: each[0])
    candidates = with_weights([(cost, candidate) for cost, _, candidate in judged], FITTED.certainty)
    return [(misfit, candidate) for (_, misfit, _), candidate in zip(judged, candidates, strict=True)]


def with_weights(judged: list[tuple[float, Candidate]], certainty: float) -> list[Candidate]:
    """Candidates with weights that sum to 1, from their costs, of which the first is the least.

    Args:
        certainty: what in cost makes one kernel e times as likely as another.
    """
    odds = [math.exp((judged[0][0] - cost) / certainty) for cost, _ in judged]
    return [replace(candidate, weight=odd / sum(odds)) for odd, (_, candidate) in zip(odds, judged, strict=True)]


def look_alike(kernel: Tensor, simple: list[SimpleKernel]) -> str:
    """The name of the simple kernel that a kernel (K, K) is nearly the same as; "" if there is none."""
    alike, name = max((cosine_similarity(kernel, each.kernel), each.name) for each in simple)
    return name if alike >= ALIKE else ""


def correct(kernel: Tensor, spectrum: Judge, monitor: Monitor) -> tuple[Tensor, float]:
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
