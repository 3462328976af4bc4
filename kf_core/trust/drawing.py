"""Text, drawings and screenshots: they are told from photographs, and their kernel is judged in another way.

Their power spectrum is that of letters and lines, so a photograph's power law says nothing of their kernel. What is
known instead: most of the sharp picture is as dark as its ink or as bright as its paper, and nothing lies beyond. Under
this bound a kernel that is too wide cannot explain the photo, and with one that is too narrow the picture stays grey
between the two. Both are measured, on a part of the photo and on a coarse grid. Not in the paper.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.kernels.base import Candidate, Estimate
from kf_core.kernels.simple import simple_kernels
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import LUMA, cut, informative_crop, initial_guess, inner
from kf_core.physics.kernel import matching_size, rebin_kernel
from kf_core.physics.solve import fista
from kf_core.progress import Monitor
from kf_core.trust.choose import clutter, with_weights

# What is text: chosen on pages drawn with a font and on 500 crops of photographs, see docs/results.md.
BIN, ALIKE = 0.06, 0.08  # in units of the range from -1 to 1, of all colours
EDGE, NEAR = 0.6, 3  # a difference within three pixels, and how near to one the paper must be, in LR pixels
PAPER = 0.24  # least share of pixels that have the paper's colour and an edge nearby: between letters, not a sky

SIDE = 32  # LR pixels of the part that kernels are judged on
COARSE = 2  # scale of the grid that they are judged on
ITERATIONS = 60
ENDS = (0.01, 0.99)  # quantiles that are taken for ink and paper
GREY_COST = 0.3  # of a picture that is grey all over, as a share of the contrast left unexplained
CERTAINTY = 0.01  # of the same, that makes one kernel e times as likely as another


def looks_drawn(photo: Photo) -> bool:
    """Whether a photo is a page, a drawing or a screenshot: one even colour between edges."""
    pixels = photo.pixels[0]
    bins = ((pixels + 2) / BIN).long().clamp(0, round(4 / BIN))
    codes = (bins[0] * 1000 + bins[1]) * 1000 + bins[2]
    values, counts = codes.unique(return_counts=True)
    commonest = codes == values[counts.argmax()]
    paper = pixels[:, commonest].mean(1)[:, None, None]
    even = (pixels - paper).abs().amax(0) < ALIKE
    grey = F.pad(photo.pixels.mean(1, keepdim=True), (1,) * 4, mode="replicate")
    steep = F.max_pool2d(grey, 3, 1) + F.max_pool2d(-grey, 3, 1) > EDGE
    near = F.max_pool2d(steep.float(), 2 * NEAR + 1, 1, NEAR)[0, 0] > 0
    return float((even & near).float().mean()) > PAPER


def choose_for_drawing(photo: Photo, estimate: Estimate, scale: int, monitor: Monitor) -> Estimate:
    """The kernel of an estimate or another one, as a drawing shows it; `estimate` is what `choose_kernel` made.

    Its evidence says that it is a drawing; the margin is in shares of the contrast. Raises Cancelled.
    """
    size, on = estimate.kernel.shape[-1], min(COARSE, scale)
    lr = grey_part(photo)
    simple = [
        Candidate(each.kernel, "simple", each.name)
        for each in simple_kernels(size, scale)
        if not each.name.startswith("a movement")
    ]
    own = Candidate(estimate.kernel, estimate.source, estimate.name)
    judged = []
    for each in [*simple, own, *estimate.candidates]:
        kernel = each.kernel.to(lr)
        monitor.check()
        coarse = rebin_kernel(kernel, scale, matching_size(size, scale, on), on)
        judged.append((misfit(lr, coarse, on), replace(each, kernel=kernel)))
    sharp = judged[0][0]  # of the kernel that is hardly any blur
    judged.sort(key=lambda each: each[0])
    least = judged[0][0]
    best, *others = with_weights(judged, CERTAINTY)
    assert estimate.evidence is not None
    evidence = replace(
        estimate.evidence,
        margin=sharp - least,
        excess=0.0,
        clutter=clutter(best.kernel),
        agreement=None,  # of a network that has learned from photographs
        drawn=True,
    )
    return replace(
        estimate,
        kernel=best.kernel,
        source=best.source,
        name=best.name,
        weight=best.weight,
        evidence=evidence,
        candidates=tuple(others),
    )


def grey_part(photo: Photo) -> Tensor:
    """The most telling part (1, 1, h, w) of a photo in grey, its ink and its paper at 0 and 1."""
    part = cut(photo.pixels, informative_crop(photo.pixels, SIDE))
    grey = (part * torch.tensor(LUMA, device=part.device)[:, None, None]).sum(1, keepdim=True)
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
