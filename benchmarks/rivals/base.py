"""What a rival gives, and how a kernel of another method comes to this engine's finish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from kf_core import Settings, super_resolve
from kf_core.physics.kernel import centre
from kf_core.restore.plug_and_play import prior_weight_for

SIZE = 24  # taps per side of the benchmark's kernels


@dataclass(frozen=True)
class Outcome:
    """An image (H, W, 3) uint8 by the method's own finish, and the kernel (24, 24) it found; None where it has none."""

    image: np.ndarray | None = None
    kernel: np.ndarray | None = None


Rival = Callable[[np.ndarray, int], Outcome]  # the small photo (h, w, 3) uint8 and the scale


def on_our_grid(kernel: np.ndarray) -> np.ndarray:
    """(K, K) of any parity -> (24, 24), not negative, of sum 1, its centre of mass within half a pixel of the middle.

    An odd kernel's middle lies on a tap, an even one's between taps: the half pixel is made by a mean of neighbours.
    """
    taps = np.clip(kernel, 0, None).astype(np.float32)
    if taps.shape[0] % 2:
        padded = np.pad(taps, 1)
        taps = (padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]) / 4
    wide = np.pad(taps, SIZE)  # so that centring loses nothing
    centred = centre(torch.from_numpy(wide / wide.sum()))[0].numpy()
    edge = (len(centred) - SIZE) // 2
    cut = centred[edge : edge + SIZE, edge : edge + SIZE]
    return cut / cut.sum()


def our_finish(lr: np.ndarray, kernel: np.ndarray, scale: int) -> np.ndarray:
    """The image of the preset `fast` with a kernel (24, 24) that may be wrong: with the weight of a recovered one
    whose likeness nobody knows."""
    settings = Settings.preset("fast", scale=scale, kernel_size=SIZE)
    weight = prior_weight_for("recovered", 0.0, settings.finish)
    settings = settings.with_overrides([f"finish.prior_weight_known={weight}"])
    return super_resolve(lr, settings, kernel=torch.from_numpy(kernel)).image
