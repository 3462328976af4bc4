"""What is known of one photo in the course of a run, and what a stage of the run is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from kf_core.cost import Cost
from kf_core.kernels.base import Estimate
from kf_core.photo import Photo
from kf_core.physics.varying import KernelMap
from kf_core.run import Run


@dataclass(frozen=True)
class Regions:
    """What comparing the kernels of regions has shown.

    Attributes:
        rows, columns: how many there are.
        unlike: how unlike their kernels are: the median of 1 less the cosine between a region's kernel and the median
            of all.
    """

    rows: int
    columns: int
    unlike: float

    def sentence(self, varies: bool) -> str:
        """What to tell people."""
        if varies:
            return f"The blur varies over the photo: it has {self.rows} x {self.columns} kernels in place of one."
        return f"One kernel suits the whole photo: those of its {self.rows} x {self.columns} regions are alike."


@dataclass(frozen=True)
class State:
    """What is known of one photo after some of the stages.

    Attributes:
        photo: what the run is about.
        estimate: the kernel; None before it was sought.
        image: (1, 3, H, W) in [-1, 1]; None before it was made, and where it was made in tiles.
        result: the image in the caller's values, mixed by `share`, where it was made in tiles; else None.
        share: 0..1, of the result that is the image made with the kernel, the rest is the bicubic enlargement; None
            where nobody has weighed it.
        residual: RMS in grey levels of what kernel and its own image leave unexplained of the photo.
        kernels: what there is in place of the one kernel where it varies over the photo; None: it does not.
        regions: how many regions were compared for that, and how unlike their kernels are; None where nobody looked.
        about: what the report says of the networks, PD's as "patch_prior", and "kernel_network".
    """

    photo: Photo
    estimate: Estimate | None = None
    image: Tensor | None = None
    result: np.ndarray | None = None
    share: float | None = None
    residual: float | None = None
    kernels: KernelMap | None = None
    regions: Regions | None = None
    about: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def kernel(self) -> Tensor:
        assert self.estimate is not None, "no stage before has sought the kernel"
        return self.estimate.kernel


class Stage(Protocol):
    """One step from state to state.

    Attributes:
        name: as in the progress and the report: letters and underscores.
        label: what it does, for people.
    """

    name: str
    label: str

    def cost(self, height: int, width: int) -> Cost:
        """For a photo of so many LR pixels."""
        ...

    def __call__(self, state: State, run: Run) -> State:
        """Raises Cancelled, Diverged."""
        ...
