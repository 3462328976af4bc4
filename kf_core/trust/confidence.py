"""How much of the result is the image made with the kernel, and how much the bicubic enlargement. Not in the paper,
which trusts every kernel.

A search that failed leaves clutter all over the grid; a photo whose spectrum no kernel explains misleads the choice,
unless it shows its blur clearly; and a kernel that is plainly wrong makes an image that does not explain the photo.
Such an image is mixed with the bicubic enlargement. Even an image that is 2 dB worse than bicubic improves on it when
a seventh of it is mixed in.
See docs/design.md.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kf_core.kernels.base import Estimate, Evidence
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import bicubic, inner
from kf_core.physics.varying import VaryingBlur
from kf_core.trust.fitted import FITTED, rise

SAME_SIZE_SHARES = (0.35, 0.9)  # of the image in the result at scale 1, for ...
SAME_SIZE_LIKENESS = (0.8, 0.87)  # ... kernels of such a likeness; in between, it rises. See benchmarks/same_size.py
UNSURE = 0.8  # likeness of a kernel that is told to be one of several
DRAWN_HINT = "With a kernel that you give, or a prior trained on text, it may become sharper."


def residual(lr: Tensor, image: Tensor, kernel: Tensor, scale: int, varying: VaryingBlur | None = None) -> float:
    """RMS in grey levels of what image and kernel leave unexplained of the photo, its edge left out.

    Args:
        varying: in place of the blur by `kernel` alone.
    """
    uniform = UniformBlur(kernel, scale, "reflect")
    explained = uniform.A(image) if varying is None else varying.A(uniform.pad(image))
    edge = -(-uniform.margin // scale)  # LR pixels whose window leaves the picture
    return float(inner(explained - lr, edge).square().mean().sqrt() * 127.5)


def is_doubted(estimate: Estimate, doubt: bool) -> bool:
    """Whether the image is to be mixed by `share_in`: where settings.doubt asks for it, and always at scale 1."""
    return bool(estimate.mean) or (doubt and estimate.evidence is not None)


def confidence(estimate: Estimate, share: float) -> float:
    """0..1: the cosine that the kernel is expected to have with the true one, less where its image is doubted.

    Args:
        share: as `share_in` has it. Of a kernel whose likeness nobody knows, it is the confidence.
    """
    if estimate.likeness is None:
        return share
    return estimate.likeness * (estimate.blurred if estimate.mean else share / largest_share(estimate))


def share_in(estimate: Estimate, unexplained: float) -> float:
    """0..1: how much of the image to take, if `unexplained` is its `residual`."""
    if estimate.mean:
        assert estimate.likeness is not None
        return min(estimate.blurred, _by_likeness(estimate.likeness, SAME_SIZE_LIKENESS, SAME_SIZE_SHARES))
    assert estimate.evidence is not None
    return share(unexplained, estimate.evidence, estimate.source, largest_share(estimate), usual_residual(estimate))


def largest_share(estimate: Estimate) -> float:
    """0..1: how much of the image to take where nothing speaks against it."""
    likeness = known_likeness(estimate)
    if likeness is None:
        return FITTED.largest_share
    return _by_likeness(likeness, FITTED.likenesses, FITTED.largest_shares)


def usual_residual(estimate: Estimate) -> float:
    """Grey levels of RMS that an image may leave unexplained beside noise: the more, the more weight its prior has."""
    doubted = doubt(estimate)
    if doubted is None:
        return FITTED.usual_residual * (2 if estimate.source == "simple" else 1)
    least, most = FITTED.likely_residuals
    return least + (most - least) * doubted**2


def doubt(estimate: Estimate) -> float | None:
    """0..1, how far a kernel is doubted by its likeness alone; None where nobody knows that."""
    likeness = known_likeness(estimate)
    return None if likeness is None else 1 - rise(likeness, FITTED.doubted_likenesses)


def known_likeness(estimate: Estimate) -> float | None:
    """0..1, the cosine that the kernel is expected to have with the true one; None where nobody knows: without a
    network, and for text and drawings, whose kernel is chosen without asking it."""
    drawn = estimate.evidence is not None and estimate.evidence.drawn
    return None if drawn else estimate.likeness


def _by_likeness(likeness: float, ends: tuple[float, float], values: tuple[float, float]) -> float:
    """The first value up to the first of two likenesses, the second from the second on; in between, it rises."""
    return values[0] + (values[1] - values[0]) * rise(likeness, ends)


def share(
    unexplained: float,
    evidence: Evidence,
    source: str,
    largest: float = FITTED.largest_share,
    usual: float = FITTED.usual_residual,
) -> float:
    """0..1: how much of the image to take, if `unexplained` is its `residual`; the rest is bicubic.

    Args:
        largest: how much at most.
        usual: the `usual_residual`.
    """
    if evidence.agreement is None or source == "simple":
        doubts = FITTED.clutter_cost * max(0.0, evidence.clutter - FITTED.usual_clutter)
        doubts += FITTED.excess_cost * max(0.0, evidence.excess - FITTED.excess_per_margin * evidence.margin)
        least = 0.0
    else:  # the network's: it leaves no clutter where it fails, and sees more than the spectrum
        doubts = 0.0
        least = FITTED.least_margin_compressed if evidence.compressed else FITTED.least_margin_learned
    clear = FITTED.undoubted_share - doubts
    blurred = 1 - math.exp(-max(evidence.margin - least, 0) / FITTED.faint_margin)
    limit = math.sqrt(usual**2 + evidence.noise**2)
    explained = 1 - math.log(max(unexplained, limit) / limit)
    return min(largest, max(0.0, clear)) * blurred * max(0.0, explained)


def mix_with_bicubic(photo: Photo, image: Tensor, share: float) -> Tensor:
    """`share` of the image (1, 3, H, W), and for the rest the bicubic enlargement of the photo."""
    height, width = image.shape[-2:]
    return torch.lerp(bicubic(photo.as_shot, height, width, photo.limits), image, share)


def sentence(share: float, estimate: Estimate) -> str:
    """What to tell people of a kernel with so much of its image in the result."""
    if estimate.evidence is not None and estimate.evidence.drawn:
        return f"The photo looks like text or a drawing. {_supported(share, estimate)} {DRAWN_HINT}"
    return _supported(share, estimate)


def _supported(share: float, estimate: Estimate) -> str:
    if share < 0.15:
        return "The photo does not tell what shrank it: the result is close to the plain enlargement."
    kept = "" if share >= 0.5 or estimate.mean else " The result is kept near the plain enlargement."
    looks = f" It looks like {estimate.name}." if estimate.name else ""
    if estimate.source == "simple":
        return f"No recovered kernel is better supported by the photo than a simple one, which was used.{looks}{kept}"
    if share < 0.5:
        return f"The kernel is supported by the photo in part.{looks}{kept}"
    if estimate.likeness is not None and estimate.likeness < UNSURE:
        return f"The photo supports this kernel, but others of its size would explain it nearly as well.{looks}"
    return f"The kernel is well supported by the photo.{looks}"
