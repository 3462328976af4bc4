"""What finds a kernel, as the rest of the engine sees it. A new kernel estimator is one class with this interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from kf_core.cost import Cost
from kf_core.photo import Photo
from kf_core.run import Run


@dataclass(frozen=True)
class Evidence:
    """What speaks for a kernel and against it; trust/choose.py measures it.

    Attributes:
        margin: nats per LR pixel by which the kernel explains the photo's power spectrum better than hardly any blur
            does, less the penalty of its correction.
        clutter: 0..1, the share of the recovered kernel's mass in taps far below its largest.
        excess: nats per LR pixel by which the spectrum departs from what the kernel predicts, beyond chance.
        noise: standard deviation of the photo's noise, in grey levels.
        agreement: of the estimate; None where no network was asked.
        drawn: the photo looks like text or a drawing, and was judged as trust/drawing.py does.
        compressed: the photo was a JPEG, and the margin is that of the frequencies which it has not erased.
    """

    margin: float
    clutter: float
    excess: float
    noise: float
    agreement: float | None = None
    drawn: bool = False
    compressed: bool = False


@dataclass(frozen=True)
class Candidate:
    """A kernel that could be the photo's.

    Attributes:
        kernel: (K, K), sum 1, in the orientation of a cross-correlation.
        source: "recovered" or "simple".
        name: what it is, as a sentence goes on; "" for a shape without a name.
        weight: 0..1, how well the photo supports it beside the others; None where nobody has weighed it.
    """

    kernel: Tensor
    source: str = "recovered"
    name: str = ""
    weight: float | None = None


@dataclass(frozen=True)
class Estimate:
    """A kernel and where it comes from.

    Attributes:
        kernel: (K, K), sum 1, in the orientation of a cross-correlation.
        source: "given", "recovered" or "simple".
        image: (1, 3, H, W) in [-1, 1], where the estimator made one of the whole photo, at full scale.
        evidence: None where nobody has weighed it.
        name: what the kernel is, as a sentence goes on ("a defocus 6 pixels across"); "" for a shape without a name.
        weight: 0..1, of the kernel beside the candidates; None where nobody has weighed them.
        candidates: the other kernels that were thought of, the best supported first.
        agreement: 0..1, mean cosine of what a network says of the photo turned and mirrored with the mean of that; None
            where no network was asked.
        likeness: 0..1, the cosine that the kernel is expected to have with the true one; None where nobody knows.
        sharpening: share of the unsharp mask that was undone in the photo before.
        mean: at scale 1, pixels a side of the mean through which the photo is to be explained (same_size.py); 0: none.
        blurred: at scale 1, 0..1, how surely the photo is blurred at all.
    """

    kernel: Tensor
    source: str
    image: Tensor | None = None
    evidence: Evidence | None = None
    name: str = ""
    weight: float | None = None
    candidates: tuple[Candidate, ...] = ()
    agreement: float | None = None
    likeness: float | None = None
    sharpening: float = 0.0
    mean: int = 0
    blurred: float = 1.0


class KernelEstimator(Protocol):
    """Finds the kernel of a photo."""

    def __call__(self, photo: Photo, run: Run) -> Estimate:
        """The estimate from `photo.part`. Raises Cancelled, Diverged."""
        ...

    def cost(self, height: int, width: int) -> Cost:
        """What that takes for a photo of so many LR pixels."""
        ...
