"""Trains CorrNet, the kernel estimator, on a GPU in sittings of at most nine minutes.

`python -m benchmarks.gpu_kernel PHOTOS OUT`: begins with the bundled weights, and writes OUT/corrnet.safetensors at
every check; OUT/corrnet.training is what the same command goes on with. The last line says whether it has finished.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from kf_core.errors import Cancelled
from kf_core.training.train_kernel import Recipe, train_kernel

BUNDLED = Path(__file__).parent.parent / "kf_core" / "weights" / "corrnet.safetensors"
SECONDS = 540


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=3_000_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--check-every", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--device", default="cuda")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        train_kernel(
            chosen.photos,
            chosen.out / "corrnet.safetensors",
            # eight times the batch of a CPU: fewer steps, which may be longer, and a shorter average of them
            recipe=Recipe(1, chosen.samples, chosen.batch, learning_rate=8e-4, warmup=20_000, average=0.999),
            seed=1,  # other examples than the bundled weights have seen
            resume=True,
            start=BUNDLED,
            check_every=chosen.check_every,
            seconds_between_saves=60,
            tell=lambda line: print(line, flush=True),
            should_stop=lambda: time.monotonic() - began > chosen.seconds,
            device=chosen.device,
            processes=chosen.processes,
        )
    except Cancelled:
        print("not finished: run the same command again")
    else:
        print("finished")


if __name__ == "__main__":
    main()
