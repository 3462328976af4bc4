"""Kernels that vary over the photo: one for each of a grid of regions, where these are not alike. Not in the paper.

CorrNet reads every region. What it says of regions with one kernel differs a little anyway; only where it differs by
more does the photo get a map of kernels. Each region's kernel is drawn towards the one of the whole photo, the more so
the less sure CorrNet is of it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from kf_core.cost import Cost
from kf_core.kernels.learned import LearnedKernel
from kf_core.physics.grid import Box
from kf_core.physics.kernel import cosine_similarity
from kf_core.physics.varying import KernelMap
from kf_core.progress import Monitor, preview
from kf_core.run import Run
from kf_core.settings import Settings
from kf_core.stages import RefineKernel, finite
from kf_core.state import Regions, State

USUAL = 0.006  # unlikeness of photographs with one kernel (docs/results.md): no region's kernel is surer than this


class MapKernels:
    """The kernel of every region, if they are not alike.

    Args:
        estimator: reads every region.
        refine: the stage that refined the kernel of the whole; None: none did.
    """

    name, label = "map_kernels", "comparing the kernels of regions"

    def __init__(self, estimator: LearnedKernel, refine: RefineKernel | None, settings: Settings):
        self.estimator, self.settings = estimator, settings
        self.refine = refine if settings.varying.refine else None

    def cost(self, height: int, width: int) -> Cost:
        boxes = self.boxes(height, width)
        if len(boxes) == 1:
            return Cost()
        costs = [self.estimator.cost(*box[2:]) for box in boxes]
        if self.refine is not None:
            costs += [self.refine.cost(*box[2:]) for box in boxes]
        return Cost(sum(cost.work for cost in costs), max(cost.memory for cost in costs))

    def boxes(self, height: int, width: int) -> list[Box]:
        """The regions of a photo of that size, row by row."""
        most, least = self.settings.varying.regions, self.settings.varying.least_side
        rows, columns = (sides(length, least, most) for length in (height, width))
        return [(top, left, tall, wide) for top, tall in rows for left, wide in columns]

    def __call__(self, state: State, run: Run) -> State:
        photo, boxes = state.photo, self.boxes(*state.photo.size)
        quiet = replace(run, monitor=Monitor(should_stop=run.monitor.should_stop))
        assert state.estimate is not None
        drawn = state.estimate.evidence is not None and state.estimate.evidence.drawn
        if len(boxes) == 1 or drawn:  # CorrNet knows little of text
            run.monitor.step(self.name, 1, 1)
            return state
        total = len(boxes) * (1 if self.refine is None else 2)
        kernels, unsure = [], []
        for number, box in enumerate(boxes):
            run.monitor.region = photo.in_the_array(box)
            estimate = finite(self.estimator(photo.cut(box), quiet))
            kernels.append(estimate.kernel)
            unsure.append(max(USUAL, 1 - (estimate.agreement or 0.0)))
            run.monitor.step(self.name, number + 1, total, partial(preview, photo.cut(box).pixels, estimate.kernel))
        rows, columns = (len({box[at] for box in boxes}) for at in (0, 1))
        seen = Regions(rows, columns, unlikeness(kernels))
        state = replace(state, regions=seen)
        if seen.unlike <= self.settings.varying.threshold:
            run.monitor.step(self.name, total, total)
            return state
        for number, box in enumerate(boxes):
            sure = max(0.0, 1 - unsure[number] / seen.unlike)
            kernels[number] = torch.lerp(state.kernel, kernels[number], sure)
            if self.refine is not None:
                run.monitor.region = photo.in_the_array(box)
                part = photo.cut(box).cropped(self.settings.kernel_crop).part
                kernels[number] = self.refine.refined(part, kernels[number], quiet)
                run.monitor.step(self.name, len(boxes) + number + 1, total)
        return replace(state, kernels=mapped(boxes, kernels), image=None)


def sides(length: int, least: int, most: int) -> list[tuple[int, int]]:
    """(start, length) of at most `most` overlapping parts of a side, each at least `least` long: half of each is shared
    with the next. One part where there is no room for two."""
    count = min(most, max(1, 2 * length // least - 1))
    ends = [round(n * length / (count + 1)) for n in range(count + 2)]
    return [(first, last - first) for first, last in zip(ends, ends[2:], strict=False)] if count > 1 else [(0, length)]


def mapped(boxes: list[Box], kernels: list[Tensor]) -> KernelMap:
    """The kernels at the middles of their regions, which are a grid, row by row."""
    rows = sorted({top + (height - 1) / 2 for top, _, height, _ in boxes})
    columns = sorted({left + (width - 1) / 2 for _, left, _, width in boxes})
    taps = torch.stack(kernels).unflatten(0, (len(rows), len(columns)))
    return KernelMap(torch.tensor(rows).to(taps), torch.tensor(columns).to(taps), taps)


def unlikeness(kernels: list[Tensor]) -> float:
    """How unlike kernels (K, K) are: the median of 1 less the cosine between each and the median of all, tap by tap.

    Not the mean: a sky or a wall says little of its kernel, and may be far off.
    """
    stacked = torch.stack(kernels)
    usual = stacked.quantile(0.5, dim=0)
    return float(torch.tensor([1 - cosine_similarity(kernel, usual) for kernel in stacked]).quantile(0.5))
