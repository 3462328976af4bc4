"""Noisy photos and JPEGs. `python -m benchmarks.robustness`

Cases of KF12 at 112 x 112, the LR photo spoilt before anything sees it: Gaussian noise of 2, 5 and 10 grey levels,
JPEG of quality 85 and 70. Gain is over the bicubic enlargement of the same spoilt photo. The kernels were sought on the
spoilt photos and are kept in benchmarks/results/robustness_recovered.npz; --search seeks them anew.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.doubt import measure
from benchmarks.kf12 import RESULTS
from benchmarks.kf144 import Pair, pair
from kf_core import Settings, recover_kernel

RECOVERED = RESULTS / "robustness_recovered.npz"
CASES = (0, 4, 8)  # of KF12: its first, its fifth and its ninth; a search for all twelve, five times over, takes hours


def noisy(photo: np.ndarray, sigma: float) -> np.ndarray:
    """With Gaussian noise of `sigma` grey levels, the same for every photo of one size."""
    noise = np.random.default_rng(0).normal(0, sigma, photo.shape)
    return (photo + noise).round().clip(0, 255).astype(np.uint8)


def jpeg(photo: np.ndarray, quality: int) -> np.ndarray:
    """As it comes out of a JPEG of `quality`, colours at half resolution as cameras write them."""
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


SPOILT = {
    "noise 2": lambda photo: noisy(photo, 2),
    "noise 5": lambda photo: noisy(photo, 5),
    "noise 10": lambda photo: noisy(photo, 10),
    "JPEG 85": lambda photo: jpeg(photo, 85),
    "JPEG 70": lambda photo: jpeg(photo, 70),
}


def spoilt(index: int, how: str) -> Pair:
    """Case `index` of KF12, its LR photo spoilt."""
    case = pair(index, index, 112)
    return replace(case, name=f"{case.name}, {how}", lr=SPOILT[how](case.lr))


def search() -> None:
    """Recovers the kernels without doubt."""
    settings, kernels = Settings.preset("fast", doubt=False), {}
    for how in SPOILT:
        for index in CASES:
            kernels[f"{index:02d} {how}"] = recover_kernel(spoilt(index, how).lr, settings).kernel
    np.savez_compressed(RECOVERED, **kernels)


def cases() -> Iterable[tuple[Pair, np.ndarray]]:
    """(case, the kernel recovered for it)."""
    kernels = np.load(RECOVERED)
    return ((spoilt(index, how), kernels[f"{index:02d} {how}"]) for how in SPOILT for index in CASES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", action="store_true", help="recover the kernels first")
    parser.add_argument("--no-believed", action="store_true", help="leave out the column of the undoubted kernels")
    chosen = parser.parse_args()
    if chosen.search:
        search()
    measure("robustness", cases(), not chosen.no_believed)


if __name__ == "__main__":
    main()
