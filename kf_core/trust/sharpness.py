"""How much a camera has sharpened a photo. Not in the paper.

Each of a few shares of an unsharp mask is undone, and the network that finds kernels reads what comes out. How well its
kernel then explains the power spectrum says which share it was. Neither the spectrum alone nor the seams at edges do.
"""

from __future__ import annotations

import math

import torch

from kf_core.kernels.base import KernelEstimator
from kf_core.photo import Photo
from kf_core.physics.grid import informative_crop
from kf_core.progress import Monitor
from kf_core.run import Run
from kf_core.sharpening import transfer
from kf_core.trust.fitted import FITTED
from kf_core.trust.looks import looks_drawn
from kf_core.trust.spectrum import Spectrum

SHARES = (0.0, 0.5, 1.0, 1.5)  # that are tried
ANY, MORE = 0.035, 0.03  # nats per LR pixel that any share must explain, and for each unit of it: most are small
CERTAINTY = 0.02  # nats per LR pixel that make one share e times as likely as another
LEAST = 0.3  # below, it may be chance


@torch.no_grad()
def sharpness(photo: Photo, estimator: KernelEstimator, scale: int, run: Run) -> float:
    """The share of the unsharp mask that a photo most likely has, by its most telling part; 0: none.

    A drawing has no photograph's spectrum, and counts as not sharpened. Raises Cancelled.

    Args:
        estimator: reads a kernel from one look, and in no time.
    """
    part = photo.cut(informative_crop(photo.pixels, FITTED.noise_crop))
    if looks_drawn(part):
        return 0.0
    silent = Run(run.device, run.generator, Monitor(should_stop=run.monitor.should_stop), run.precision)
    costs = []
    for number, share in enumerate(SHARES):
        tried = part.unsharpened(share)
        kernel = estimator(tried, silent).kernel
        spectrum = Spectrum(tried.pixels, scale)
        gain = transfer(*tried.size, share)[spectrum.counts].log().mean()  # of the spectrum that the photo itself has
        costs.append(
            spectrum.fit_anisotropy(kernel, run.monitor) + 2 * float(gain) + (ANY + MORE * share if share else 0.0)
        )
        run.monitor.step("undo_sharpening", number + 1, len(SHARES))
    odds = [math.exp((min(costs) - cost) / CERTAINTY) for cost in costs]
    mean = sum(share * odd for share, odd in zip(SHARES, odds, strict=True)) / sum(odds)
    return mean if mean >= LEAST else 0.0
