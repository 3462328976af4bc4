"""Trains pd-128, the paper's network, on a GPU in sittings of at most nine minutes.

`python -m benchmarks.gpu_prior PHOTOS OUT`: writes OUT/pd-128.safetensors when all steps are done; until then
OUT/pd-128.training, with which the same command goes on. The last line printed says which it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from kf_core.errors import Cancelled
from kf_core.progress import Progress
from kf_core.training.train_prior import train_prior

STEPS, CHANNELS, BATCH = 40_000, 128, 32
SECONDS = 540


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--channels", type=int, default=CHANNELS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--device", default="cuda")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(event: Progress) -> None:
        if event.step % 500 == 0:
            print(f"{event.phase}: {event.step} of {event.total}, {event.seconds_left:.0f} s left", flush=True)

    try:
        about = train_prior(
            chosen.photos,
            chosen.out / f"pd-{chosen.channels}.safetensors",
            steps=chosen.steps,
            channels=chosen.channels,
            batch=chosen.batch,
            device=chosen.device,
            resume=True,
            progress=say,
            should_stop=lambda: time.monotonic() - began > chosen.seconds,
        )
    except Cancelled:
        print("not finished: run the same command again")
        sys.exit(0)
    (chosen.out / f"pd-{chosen.channels}.json").write_text(json.dumps(about, indent=1))
    print("finished")


if __name__ == "__main__":
    main()
