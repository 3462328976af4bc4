"""The paper's Tables 4, 5 and 6 at a size that a CPU can do. `python -m benchmarks.paper_tables --resume`

The first three photographs and kernels of KF12, 32 x 32 (128 x 128 when enlarged), scale 4, the preset `paper` but for
3,000 steps of phase 1 in place of 600,000 (Table 6 asks what steps are worth). PD learns each photo once; every row of
Tables 4 and 5 goes on from it. Printed per row: means of the three, beside the paper's PSNR (Table 4: on three kernels
of Blind144, Tables 5 and 6: on all of it, so only the order can be compared). Rows are kept as they end.
"""

from __future__ import annotations

import argparse
import json
import platform
import time

import numpy as np
import torch

from benchmarks.kf12 import RESULTS
from benchmarks.kf144 import Pair, pair
from kf_core import Settings, super_resolve
from kf_core.denoisers.adapt import Prior, fresh_prior, learn_photo
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.files.atomic import write_atomically
from kf_core.physics.kernel import cosine_similarity
from kf_core.pixels import bicubic_enlargement, to_tensor
from kf_core.progress import Monitor
from kf_core.run import Run
from kf_core.scores import psnr

CASES, SIDE, STEPS = (0, 1, 2), 32, 3000
UNUSED = 1  # step of phase 1, for rows without PD
NETWORKS = {"Direct Sigmoid": "direct_sigmoid", "Direct ReLU": "direct_relu", "Linear CNN": "linear_cnn", "INR": "inr"}
ROWS: dict[str, tuple[int, list[str], float | None]] = {  # steps of phase 1, settings, the paper's PSNR
    "the paper's choices (INR, one U-Net)": (STEPS, [], 27.191),
    **{
        f"Table 4: {name}": (STEPS, [f"recovery.kernel_model={model}"], paper)
        for (name, model), paper in zip(list(NETWORKS.items())[:3], (16.366, 26.541, 23.494), strict=True)
    },
    "Table 5: two U-Nets": (STEPS, ["recovery.separate_unets=True"], 26.498),
    "Table 6: phase 1 of 1,000 steps": (1000, [], None),
    **{
        f"Table 4: {name}, no diffusion": (UNUSED, ["recovery.method=dip", f"recovery.kernel_model={model}"], paper)
        for (name, model), paper in zip(NETWORKS.items(), (15.529, 24.266, 23.098, 23.638), strict=True)
    },
}


def run_row(case: Pair, prior: Prior, overrides: list[str], short: list[str]) -> dict:
    settings = Settings.preset("paper", device="cpu", kernel_size=24).with_overrides(
        ["patches.prior=given", "patches.steps=0", *overrides, *short]
    )
    began = time.monotonic()
    result = super_resolve(case.lr, settings, prior=prior)
    return {
        "case": case.name,
        "psnr": psnr(result.image, case.hr),
        "bicubic": psnr(bicubic_enlargement(case.lr, *case.hr.shape[:2]), case.hr),
        "cosine": cosine_similarity(torch.from_numpy(result.kernel), torch.from_numpy(case.kernel)),
        "seconds": time.monotonic() - began,
        "kernel": result.kernel.tolist(),
    }


def learned(case: Pair, steps: int) -> Prior:
    """PD after so many steps on the patches of the photo: phase 1 of the preset `paper`."""
    torch.manual_seed(0)
    run = Run(torch.device("cpu"), torch.Generator().manual_seed(0), Monitor())
    patches = Settings.preset("paper").with_overrides([f"patches.steps={steps}"]).patches
    return learn_photo(to_tensor(case.lr), fresh_prior(patches, run.device), NoiseSchedule(), patches, run)


def table(rows: dict[str, list[dict]]) -> str:
    lines = ["| | photos | PSNR | gain over bicubic | kernel cosine | seconds | the paper's PSNR |", "|---" * 7 + "|"]
    for name, found in rows.items():
        if found:
            gain = [row["psnr"] - row["bicubic"] for row in found]
            means = [np.mean([row[key] for row in found]) for key in ("psnr", "cosine", "seconds")]
            paper = ROWS[name][2]
            lines.append(
                f"| {name} | {len(found)} | {means[0]:.2f} | {np.mean(gain):+.2f} | {means[1]:.3f} | {means[2]:.0f} | "
                f"{'–' if paper is None else paper} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resume", action="store_true", help="keep the rows that an earlier run has left")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a shorter run, to try it")
    chosen = parser.parse_args()
    path = RESULTS / "paper_tables.json"
    rows: dict[str, list[dict]] = {name: [] for name in ROWS}
    if chosen.resume and path.is_file():
        rows |= json.loads(path.read_text("utf-8"))
    for index in CASES:
        case = pair(index, index, SIDE)
        priors: dict[int, Prior] = {}
        for name, (steps, overrides, _) in ROWS.items():
            if case.name in [row["case"] for row in rows[name]]:
                continue
            if steps not in priors:
                priors[steps] = learned(case, steps)
            rows[name].append(run_row(case, priors[steps], overrides, chosen.set))
            write_atomically(path, lambda file: file.write(json.dumps(rows, indent=1).encode()))
            print(f"{case.name}, {name}: {rows[name][-1]['psnr']:.2f} dB", flush=True)
    print(f"\n{platform.machine()}, {torch.get_num_threads()} threads, {time.strftime('%Y-%m-%d')}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
