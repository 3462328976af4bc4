"""How well the kernel estimator does on KF12: `python -m benchmarks.kernel_training --weights corrnet.safetensors`

Prints, case by case, the cosine of the estimated kernel with the true one, that of their odd parts, how much of the
true kernel is odd, and the most that a kernel equal to its own half turn could score. KF12 is never trained on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.kf144 import pair
from kf_core.kernels.corrnet import CorrNet, estimate
from kf_core.physics.kernel import odd_part
from kf_core.training.kernel_data import grey
from kf_core.training.kernel_loss import scores
from kf_core.training.kernel_state import load_weights

CASES = 12
COLUMNS = ("cosine", "odd cosine", "odd share", "symmetric", "seconds")


def run_case(network: CorrNet, index: int, crop: int) -> tuple[str, dict[str, float]]:
    case = pair(index, index, crop)
    photo, truth = torch.from_numpy(grey(case.lr)).float() / 255, torch.from_numpy(case.kernel)
    began = time.monotonic()
    kernel = estimate(network, photo)
    seconds = time.monotonic() - began
    found = scores(kernel[None], truth[None])
    share = float(odd_part(truth).norm() / truth.norm())
    return case.name, {
        "cosine": found["cosine"],
        "odd cosine": found["odd_cosine"],
        "odd share": share,
        "symmetric": (1 - share**2) ** 0.5,
        "seconds": seconds,
    }


def table(rows: list[tuple[str, dict[str, float]]]) -> str:
    """Markdown. The mean odd cosine is weighted by the odd share."""
    mean = {name: float(np.mean([row[name] for _, row in rows])) for name in COLUMNS}
    shares = [row["odd share"] for _, row in rows]
    mean["odd cosine"] = float(np.average([row["odd cosine"] for _, row in rows], weights=shares))
    lines = ["| case | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    for name, row in [*rows, ("**mean**", mean)]:
        lines.append(f"| {name} | " + " | ".join(f"{row[column]:.3f}" for column in COLUMNS) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--crop", type=int, default=112, help="central LR pixels per side, 0 for the whole photograph")
    chosen = parser.parse_args()
    network, about = load_weights(chosen.weights)
    print(f"{about['seen']} samples seen\n")
    print(table([run_case(network, index, chosen.crop) for index in range(CASES)]))


if __name__ == "__main__":
    main()
