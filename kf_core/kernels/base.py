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
        pixels: LR pixels that all this was seen on.
        noise: standard deviation of the photo's noise, in grey levels.
    """

    margin: float
    clutter: float
    excess: float
    pixels: int
    noise: float


@dataclass(frozen=True)
class Estimate:
    """A kernel and where it comes from.

    Attributes:
        kernel: (K, K), sum 1, in the orientation of a cross-correlation.
        source: "given", "recovered" or "simple".
        image: (1, 3, H, W) in [-1, 1], where the estimator made one of the whole photo, at full scale.
        evidence: None where nobody has weighed it.
    """

    kernel: Tensor
    source: str
    image: Tensor | None = None
    evidence: Evidence | None = None


class KernelEstimator(Protocol):
    """Finds the kernel of a photo."""

    def __call__(self, photo: Photo, run: Run) -> Estimate:
        """The estimate from `photo.part`. Raises Cancelled, Diverged."""
        ...

    def cost(self, height: int, width: int) -> Cost:
        """What that takes for a photo of so many LR pixels."""
        ...
