"""The kernel of text, drawings and screenshots, which is judged in another way than a photograph's.

Their power spectrum is that of letters and lines, so a photograph's power law says nothing of their kernel. What is
known instead: most of the sharp picture is as dark as its ink or as bright as its paper, and nothing lies beyond. Under
this bound a kernel that is too wide cannot explain the photo, and with one that is too narrow the picture stays grey
between the two. Both are measured, on a part of the photo and on a coarse grid. Not in the paper.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import Tensor

from kf_core.kernels.base import Candidate, Estimate, Evidence
from kf_core.kernels.simple import simple_kernels
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import cut, informative_crop, initial_guess, inner, luma
from kf_core.physics.kernel import matching_size, rebin_kernel
from kf_core.physics.solve import fista
from kf_core.progress import Monitor, preview
from kf_core.trust.choose import clutter, look_alike, with_weights
from kf_core.trust.compression import find_compression
from kf_core.trust.noise import noise_level

SIDE = 32  # LR pixels of the part that kernels are judged on
COARSE = 2  # scale of the grid that they are judged on
ITERATIONS = 60
ENDS = (0.01, 0.99)  # quantiles that are taken for ink and paper
GREY_COST = 0.3  # of a picture that is grey all over, as a share of the contrast left unexplained
CERTAINTY = 0.01  # of the same, that makes one kernel e times as likely as another


def choose_for_drawing(photo: Photo, estimate: Estimate, scale: int, monitor: Monitor) -> Estimate:
    """The recovered kernel of an estimate or a simple one: whichever explains a drawing better. Raises Cancelled.

    Its evidence says that it is a drawing; the margin is in shares of the contrast. Every other kernel that was thought
    of becomes a candidate; the weights of all of them sum to 1.
    """
    recovered = estimate.kernel
    size, on = recovered.shape[-1], min(COARSE, scale)
    lr, told = grey_part(photo), partial(preview, photo.pixels, recovered)
    simple = simple_kernels(size, scale)
    found = [Candidate(each.kernel, "simple", each.name) for each in simple if not each.name.startswith("a movement")]
    found += [
        replace(each, name=look_alike(each.kernel.cpu(), simple))
        for each in (Candidate(recovered, estimate.source), *estimate.candidates)
    ]
    judged = []
    for number, each in enumerate(found):
        kernel = each.kernel.to(lr)
        coarse = rebin_kernel(kernel, scale, matching_size(size, scale, on), on)
        judged.append((misfit(lr, coarse, on), replace(each, kernel=kernel)))
        monitor.step("weigh_kernel", number + 1, len(found), told)
    sharp = judged[0][0]  # of the kernel that is hardly any blur
    judged.sort(key=lambda each: each[0])
    best, *others = with_weights(judged, CERTAINTY)
    compression = find_compression(photo, monitor)
    evidence = Evidence(
        margin=sharp - judged[0][0],
        excess=0.0,
        clutter=clutter(best.kernel),
        noise=noise_level(photo, best.kernel, scale, monitor, compression),
        compressed=compression.kept is not None,
        drawn=True,
    )
    return replace(
        estimate,
        kernel=best.kernel,
        source=best.source,
        image=None,
        evidence=evidence,
        name=best.name,
        weight=best.weight,
        candidates=tuple(others),
    )


def grey_part(photo: Photo) -> Tensor:
    """The most telling part (1, 1, h, w) of a photo in grey, its ink and its paper at 0 and 1."""
    grey = luma(cut(photo.pixels, informative_crop(photo.pixels, SIDE)))[:, None]
    low, high = grey.quantile(ENDS[0]), grey.quantile(ENDS[1])
    return (grey - low) / (high - low).clamp_min(1e-3)


def misfit(lr: Tensor, kernel: Tensor, scale: int) -> float:
    """What a kernel leaves unexplained of (1, 1, h, w) between 0 and 1, as RMS, and how grey its picture is."""
    image, blur = between_ink_and_paper(lr, kernel, scale)
    unexplained = float((blur.A(image) - lr).square().mean().sqrt())
    shown = inner(image, blur.margin)
    return unexplained + GREY_COST * float((4 * shown * (1 - shown)).mean())


def between_ink_and_paper(lr: Tensor, kernel: Tensor, scale: int) -> tuple[Tensor, UniformBlur]:
    """argmin |A x - lr|^2 over 0 <= x <= 1 on the canvas, nearly, by FISTA."""
    blur = UniformBlur(kernel, scale, "canvas")
    steepest = float(blur.normal_kernel().abs().sum())  # no eigenvalue of A A^T is larger
    start = initial_guess(lr, scale, blur.margin).clamp(0, 1)
    return fista(lambda x: (x - blur.A_adjoint(blur.A(x) - lr) / steepest).clamp(0, 1), start, ITERATIONS), blur
