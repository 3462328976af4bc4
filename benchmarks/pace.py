"""What fewer passes of the denoiser cost. `python -m benchmarks.pace`

Twelve of the cases to tune on, the kernel given: with the weight of the prior that a known kernel has, and with that
of a recovered one. Printed: gain over bicubic, mean and worst, of the luma and of all three colours, which a denoiser
that has learned from grey photographs spoils; and seconds.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import replace

import numpy as np
import torch

from benchmarks import split
from benchmarks.kf144 import SCALE
from kf_core import Settings, load_prior
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.pixels import bicubic_enlargement, to_array, to_tensor
from kf_core.progress import Monitor
from kf_core.restore.plug_and_play import prior_weight_for, restore
from kf_core.run import Run
from kf_core.scores import psnr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--priors", nargs="+", default=["bundled", "ffdnet"])
    parser.add_argument("--passes", type=int, nargs="+", default=[20, 10, 6, 4, 3, 2])
    parser.add_argument("--cases", type=int, nargs="+", default=list(range(0, 24, 2)))
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another setting of `fast`")
    chosen = parser.parse_args()
    finish, cpu = Settings.preset("fast").with_overrides(chosen.set).finish, torch.device("cpu")
    about = [platform.machine(), f"{torch.get_num_threads()} threads", time.strftime("%Y-%m-%d"), *chosen.set]
    print(", ".join(about) + "\n")
    heads = ["prior", "passes"]
    for weight in ("known", "recovered"):
        heads += [f"{weight}: gain, dB", "worst", "of all colours", "worst"]
    print("| " + " | ".join([*heads, "seconds a photo"]) + " |\n" + "|---" * (len(heads) + 1) + "|")
    for prior in chosen.priors:
        schedule = NoiseSchedule()
        denoiser = DiffusionDenoiser(load_prior(prior, "cpu").network, schedule)
        for passes in chosen.passes:
            gains, began = [], time.monotonic()
            for index in chosen.cases:
                case = split.case(index, chosen.side)
                lr, kernel = to_tensor(case.lr), torch.from_numpy(case.kernel)
                usual, row = bicubic_enlargement(case.lr, *case.hr.shape[:2]), []
                for weight in (finish.prior_weight_known, prior_weight_for("recovered", 0.0, finish)):
                    run = Run(cpu, torch.Generator().manual_seed(0), Monitor())
                    blur, settings = UniformBlur(kernel, SCALE, "canvas"), replace(finish, steps=passes)
                    image = restore(Photo(lr), blur, denoiser, schedule, settings, run, weight)
                    made = to_array(image, case.hr)
                    row += [score(made, case.hr) - score(usual, case.hr) for score in (psnr, psnr_of_colours)]
                gains.append(row)
            mean, worst = np.mean(gains, axis=0), np.min(gains, axis=0)
            seconds = (time.monotonic() - began) / len(gains) / 2
            cells = " | ".join(f"{gain:+.2f} | {least:+.2f}" for gain, least in zip(mean, worst, strict=True))
            print(f"| {prior} | {passes} | {cells} | {seconds:.1f} |", flush=True)


def psnr_of_colours(image: np.ndarray, truth: np.ndarray) -> float:
    """The mean of red, green and blue in place of the luma."""
    return float(np.mean([psnr(image[..., colour], truth[..., colour]) for colour in range(3)]))


if __name__ == "__main__":
    main()
