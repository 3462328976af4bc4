"""This engine: as it is, and always with the simple kernel that explains the photo best."""

from __future__ import annotations

import numpy as np

from benchmarks.rivals.base import SIZE, Outcome
from kf_core import Settings, super_resolve
from kf_core.cost import Cost
from kf_core.kernels.base import Estimate
from kf_core.kernels.simple import simple_kernels
from kf_core.photo import Photo
from kf_core.run import Run
from kf_core.trust.choose import best_simple, telling_spectrum


def kernel_fusion(lr: np.ndarray, scale: int) -> Outcome:
    found = super_resolve(lr, Settings.preset("fast", scale=scale, kernel_size=SIZE))
    return Outcome(found.image, found.kernel)


class BestSimple:
    """A KernelEstimator: the Gaussian, disc, line, box or resizer whose spectrum is likest the photo's."""

    def __init__(self, scale: int):
        self.scale = scale

    def __call__(self, photo: Photo, run: Run) -> Estimate:
        simple = simple_kernels(SIZE, self.scale)
        spectrum = telling_spectrum(photo, simple[0].kernel, self.scale, run.monitor)
        judged = best_simple(spectrum, simple, run.monitor)
        name = min(judged, key=lambda each: judged[each][0])
        return Estimate(judged[name][1], "simple", name=name)

    def cost(self, height: int, width: int) -> Cost:
        return Cost()


def always_simple(lr: np.ndarray, scale: int) -> Outcome:
    settings = Settings.preset("fast", scale=scale, kernel_size=SIZE, doubt=False)
    found = super_resolve(lr, settings.with_overrides(["refine.rounds=0"]), estimator=BestSimple(scale))
    return Outcome(found.image, found.kernel)
