"""Memory of each phase per HR pixel, on a CPU. `python -m benchmarks.memory`

Each measurement is a process of its own: peak resident memory less what it had when torch and the prior were loaded.
The factors in kf_core/stages.py and kf_core/kernels/algorithm1.py are the largest found here, rounded up. It runs on
Linux and macOS.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time

ONE = ["recovery.first_iterations=2", "recovery.iterations=1", "recovery.timesteps=(100,)", "refine.rounds=0"]
CASES = {  # phase -> preset, overrides, whether the kernel is given, LR sides
    "Algorithm 1, U-Net of 16": ("fast", [*ONE, "finish.steps=1", "kernel_crop=0"], False, (96, 160)),
    "Algorithm 1, U-Net of 32, gradient through PD of 128": (
        "paper",
        [*ONE, "patches.steps=1", "recovery.scale=2"],
        False,
        (64, 112),
    ),
    "refine": ("fast", [*ONE, "refine.rounds=1", "refine.steps=1", "kernel_crop=0"], False, (64, 112)),
    "finish": ("fast", ["finish.steps=1"], True, (128, 256, 512)),
}


def measure(phase: str, side: int) -> dict[str, float]:
    """In this process: bytes at the peak beyond the start, estimate, HR pixels."""
    import resource

    import numpy as np
    import torch

    import kf_core
    from kf_core.photo import Photo
    from kf_core.pipeline import make_stages
    from kf_core.progress import Monitor
    from kf_core.run import Run
    from kf_core.settings import Settings

    preset, overrides, known, _ = CASES[phase]
    settings = Settings.preset(preset, scale=4, device="cpu", kernel_size=24).with_overrides(overrides)
    photo = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    kernel = np.full((24, 24), 1 / 576, np.float32) if known else None
    small = Settings.preset("fast", scale=4, device="cpu").with_overrides(["finish.steps=1"])
    kf_core.super_resolve(photo[:32, :32], small, kernel=np.full((24, 24), 1 / 576, np.float32))  # loads everything
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    began = time.monotonic()
    kf_core.super_resolve(photo, settings, kernel=kernel)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    whole = Photo(torch.zeros(1, 3, side, side)).cropped(settings.kernel_crop)
    given = None if kernel is None else torch.from_numpy(kernel)
    run = Run(torch.device("cpu"), torch.Generator(), Monitor())
    stages, _ = make_stages(whole, settings, given, None, None, None, run, True)
    estimate = max(stage.cost(side, side).memory for stage in stages)
    return {"bytes": peak - before, "estimate": estimate, "seconds": time.monotonic() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("PHASE", "SIDE"), help="measure in this process, print JSON")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one[0], int(chosen.one[1]))))
        return
    print(f"{platform.machine()}, {time.strftime('%Y-%m-%d')}\n")
    print("| phase | photo | MiB beyond the start | bytes per HR pixel | estimate, MiB |")
    print("|---|---|---|---|---|")
    for phase, (*_, sides) in CASES.items():
        for side in sides:
            line = [sys.executable, "-m", "benchmarks.memory", "--one", phase, str(side)]
            found = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
            per_pixel = found["bytes"] / (side * 4) ** 2
            cells = f"{found['bytes'] / 2**20:.0f} | {per_pixel:.0f} | {found['estimate'] / 2**20:.0f}"
            print(f"| {phase} | {side} x {side} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
