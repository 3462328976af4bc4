"""What errors of a kernel cost in dB: the true kernel, spoilt on purpose. `python -m benchmarks.kernel_errors`

Six cases of benchmarks/split.py's part to tune on, restored with the true kernel, blurred, shifted, scaled, turned or
cluttered. Printed per error: the gain over bicubic, mean and worst, with the prior's weight of an unlikely kernel and
of a likely one; the cosine with the truth and the Wiener mismatch, which a training's loss could ask for instead.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import split
from benchmarks.kf12 import RESULTS
from benchmarks.kf144 import SCALE
from kf_core import Settings, load_prior
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.files.atomic import write_atomically
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.kernel import cosine_similarity, gaussian_kernel, normalise, wiener_mismatch
from kf_core.pixels import bicubic_enlargement, to_array, to_tensor
from kf_core.progress import Monitor
from kf_core.restore.plug_and_play import restore
from kf_core.run import Run
from kf_core.scores import psnr

CASES = (0, 4, 7, 13, 18, 22)
SIDE = 64  # LR pixels
FINISH = Settings.preset("fast").finish
WEIGHTS = (FINISH.prior_weight_unsure, FINISH.prior_weight_recovered)


def moved(kernel: Tensor, turn: float = 0.0, zoom: float = 1.0, rows: float = 0.0, columns: float = 0.0) -> Tensor:
    """The kernel turned by degrees, made larger and shifted by pixels, by bicubic sampling."""
    cos, sin = math.cos(math.radians(turn)) / zoom, math.sin(math.radians(turn)) / zoom
    half = kernel.shape[-1] / 2
    matrix = torch.tensor([[cos, sin, -columns / half], [-sin, cos, -rows / half]])[None]
    grid = F.affine_grid(matrix, [1, 1, *kernel.shape], align_corners=False)
    found = F.grid_sample(kernel[None, None], grid, mode="bicubic", align_corners=False)[0, 0]
    return normalise(found.clamp_min(0))


def blurred(kernel: Tensor, sigma: float) -> Tensor:
    taps = gaussian_kernel(2 * math.ceil(3 * sigma) + 1, sigma)
    return normalise(F.conv2d(kernel[None, None], taps[None, None], padding=len(taps) // 2)[0, 0])


def cluttered(kernel: Tensor, share: float) -> Tensor:
    noise = torch.rand(kernel.shape, generator=torch.Generator().manual_seed(1))
    return (1 - share) * kernel + share * normalise(noise)


ERRORS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda k: k,
    **{f"blurred, sigma {s} px": lambda k, s=s: blurred(k, s) for s in (0.5, 1.0, 1.5, 2.0)},
    **{f"shifted by {d} px": lambda k, d=d: moved(k, rows=0.6 * d, columns=0.8 * d) for d in (0.5, 1.0, 2.0)},
    **{f"size x {z}": lambda k, z=z: moved(k, zoom=z) for z in (0.8, 0.9, 1.1, 1.2)},
    **{f"turned by {t} degrees": lambda k, t=t: moved(k, turn=t) for t in (10, 20)},
    "turned by 180 degrees": lambda k: k.flip(0, 1),
    "mean of itself and its turn": lambda k: (k + k.flip(0, 1)) / 2,
    **{f"{round(100 * c)} % clutter": lambda k, c=c: cluttered(k, c) for c in (0.05, 0.15)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="*", default=CASES)
    chosen = parser.parse_args()
    schedule, rows = NoiseSchedule(), {name: [] for name in ERRORS}
    denoiser = DiffusionDenoiser(load_prior("ffdnet", "cpu").network, schedule)
    for index in chosen.cases:
        case = split.case(index, SIDE)
        lr, truth = to_tensor(case.lr), torch.from_numpy(case.kernel)
        baseline = psnr(bicubic_enlargement(case.lr, *case.hr.shape[:2]), case.hr)
        for name, spoil in ERRORS.items():
            kernel, row = spoil(truth), {}
            for weight in WEIGHTS:
                run = Run(lr.device, torch.Generator().manual_seed(0), Monitor())
                image = restore(
                    Photo(lr), UniformBlur(kernel, SCALE, "canvas"), denoiser, schedule, FINISH, run, weight
                )
                row[f"gain at {weight}"] = psnr(to_array(image, case.hr), case.hr) - baseline
            row |= {"cosine": cosine_similarity(kernel, truth), "mismatch": wiener_mismatch(kernel, truth, SCALE)}
            rows[name].append(row)
        print(f"{case.name} done", flush=True)
    write_atomically(RESULTS / "kernel_errors.json", lambda file: file.write(json.dumps(rows, indent=1).encode()))
    print(f"\n{platform.machine()}, {torch.get_num_threads()} threads, {time.strftime('%Y-%m-%d')}\n")
    heads = [f"gain, weight {weight}: mean / worst" for weight in WEIGHTS]
    print("| error of the kernel | " + " | ".join(heads) + " | cosine | Wiener mismatch |\n|---" + "|---" * 4 + "|")
    for name, found in rows.items():
        gains = [[row[f"gain at {weight}"] for row in found] for weight in WEIGHTS]
        cells = [f"{np.mean(g):+.2f} / {np.min(g):+.2f}" for g in gains]
        cells += [f"{np.mean([row[key] for row in found]):.3f}" for key in ("cosine", "mismatch")]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
