"""The refinement of the kernel alone, started from smeared true kernels. `python -m benchmarks.refine`

Each KF12 kernel is blurred by a Gaussian of 1.5 pixels and shifted two pixels down and one to the right, about how the
search leaves them; then refine_kernel runs at full resolution. Printed: the cosine with the truth before and after, the
image shifted along with the kernel after each round or not. The best cosine over whole shifts is in brackets.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import replace
from unittest import mock

import numpy as np
import torch

from benchmarks.kf144 import SCALE, pair
from kf_core import load_prior
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.kernels import refine
from kf_core.photo import Photo
from kf_core.physics.kernel import cosine_similarity, gaussian_kernel, normalise
from kf_core.pixels import to_tensor
from kf_core.progress import Monitor
from kf_core.run import Run
from kf_core.settings import Settings


def smeared(kernel: torch.Tensor) -> torch.Tensor:
    blur = gaussian_kernel(9, 1.5)
    blurred = torch.nn.functional.conv2d(kernel[None, None], blur[None, None], padding=4)[0, 0]
    return normalise(blurred.roll((2, 1), (0, 1)))


def scores(kernel: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    """Cosine as it is, and the best over whole shifts of up to three pixels."""
    shifts = [(i, j) for i in range(-3, 4) for j in range(-3, 4)]
    return cosine_similarity(kernel, truth), max(cosine_similarity(kernel.roll(s, (0, 1)), truth) for s in shifts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--cases", type=int, nargs="*", default=range(12))
    chosen = parser.parse_args()
    settings = replace(Settings.preset("fast").refine, rounds=chosen.rounds)
    denoiser, rows = DiffusionDenoiser(load_prior("bundled", "cpu").network, NoiseSchedule()), []
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {time.strftime('%Y-%m-%d')}\n")
    print("| case | before | image shifted too | image left |\n|---|---|---|---|")
    for index in chosen.cases:
        case = pair(index, index, chosen.crop)
        truth, lr = torch.from_numpy(case.kernel), to_tensor(case.lr)
        start, found = smeared(truth), []
        for along in (True, False):
            with mock.patch.object(refine, "shifted", refine.shifted if along else lambda image, *_: image):
                run = Run(torch.device("cpu"), torch.Generator().manual_seed(0), Monitor())
                found.append(refine.refine_kernel(Photo(lr), start, SCALE, denoiser, denoiser.schedule, settings, run))
        rows.append([scores(kernel, truth) for kernel in (start, *found)])
        cells = " | ".join(f"{plain:.3f} ({best:.3f})" for plain, best in rows[-1])
        print(f"| {case.name} | {cells} |", flush=True)
    mean = np.mean(rows, axis=0)
    print("| **mean** | " + " | ".join(f"{plain:.3f} ({best:.3f})" for plain, best in mean) + " |")


if __name__ == "__main__":
    main()
