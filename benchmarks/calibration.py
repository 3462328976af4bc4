"""Is the confidence in a kernel right on average? `python -m benchmarks.calibration`; `--fit PHOTOS` finds its numbers.

The bundled network looks at photos whose kernels are known: KF12, arcs and spirals, and cases of a split drawn by a
seed. Printed: the cosine that it is expected to have with the truth (kernels/learned.py's likeness) and the one it has,
by part and by expected cosine; both are to agree within .1. Each photo is a point of results/calibration.png.

`--fit` makes the photos from a folder of photographs, as the network's training does, and prints the LIKENESS for
kernels/learned.py and its own error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from benchmarks import split
from benchmarks.kf12 import RESULTS
from benchmarks.kf144 import pair
from kf_core.checkpoints.load import load_kernel_network
from kf_core.files.picture import Picture, write_picture
from kf_core.kernels.corrnet import SIZE, CorrNet, estimates
from kf_core.kernels.learned import likeness, signs
from kf_core.physics.grid import luma
from kf_core.physics.kernel import centre, cosine_similarity
from kf_core.pixels import to_tensor
from kf_core.training.kernel_data import Photographs, batch_shape, make_batch
from kf_core.training.photographs import split as split_photographs

SEED, SIDE = 20270101, 112
BATCHES, TOGETHER, PHOTOGRAPHS = 400, 8, 200  # of the fit
BOUNDS = (0.0, 0.7, 0.8, 0.9, 1.0)
PLOT, EDGE = 480, 48  # pixels
COLOURS = ((150, 150, 150), (40, 90, 200), (200, 40, 40))


def looked_at(network: CorrNet, grey: Tensor, truth: Tensor) -> tuple[Tensor, float]:
    """The network's kernels of a photo, and the cosine of their mean, centred, with the true kernel."""
    found = estimates(network, grey)
    return found, cosine_similarity(centre(found.mean(0))[0], centre(truth)[0])


def fit(network: CorrNet, folder: Path) -> None:
    rng = np.random.default_rng(SEED)
    paths, _ = split_photographs(folder)
    photographs = Photographs.read([paths[n] for n in rng.permutation(len(paths))[:PHOTOGRAPHS]])
    values, cosines = [], []
    for number in range(BATCHES):
        photos, kernels = make_batch(photographs, SEED, number, *batch_shape(number, TOGETHER))
        for photo, kernel in zip(photos, kernels, strict=True):
            found, cosine = looked_at(network, photo[0], kernel)
            values.append(signs(found))
            cosines.append(cosine)
    weights, expected = logistic(torch.tensor(values).double(), torch.tensor(cosines).double())
    print(f"{len(cosines)} photos, LIKENESS = ({', '.join(f'{weight:.4f}' for weight in weights.tolist())})")
    compare({"photographs of the fit": list(zip(expected.tolist(), cosines, strict=True))})


def logistic(values: Tensor, cosines: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of the logistic function with the least squared error, and its values."""
    mean, spread = values.mean(0), values.std(0)
    features = torch.cat([torch.ones(len(values), 1), (values - mean) / spread], 1)
    numbers = torch.zeros(features.shape[1], dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([numbers], max_iter=300, line_search_fn="strong_wolfe")

    def error() -> Tensor:
        optimiser.zero_grad()
        squares = (torch.sigmoid(features @ numbers) - cosines).square().mean()
        squares.backward()
        return squares

    optimiser.step(error)
    found = numbers.detach()
    weights = found[1:] / spread
    return torch.cat([found[:1] - (weights * mean).sum(), weights]), torch.sigmoid(features @ found)


def compare(parts: dict[str, list[tuple[float, float]]]) -> None:
    every = [both for rows in parts.values() for both in rows]
    by_bound = {
        f"{low} to {high}": [both for both in every if low <= both[0] < high]
        for low, high in zip(BOUNDS, BOUNDS[1:], strict=False)
    }
    print("\n| | photos | expected cosine | cosine | lowest cosine |\n|---|---|---|---|---|")
    for name, rows in (parts | {"all": every} | by_bound).items():
        if rows:
            expected, cosine = np.array(rows).mean(0)
            print(f"| {name} | {len(rows)} | {expected:.2f} | {cosine:.2f} | {min(row[1] for row in rows):.2f} |")


def place(expected: float, cosine: float) -> tuple[float, float]:
    return EDGE + expected * PLOT, EDGE + (1 - min(1.0, max(0.0, cosine))) * PLOT


def plotted(parts: dict[str, list[tuple[float, float]]]) -> np.ndarray:
    image = Image.new("RGB", (PLOT + 2 * EDGE, PLOT + 2 * EDGE), "white")
    draw = ImageDraw.Draw(image)
    for tenth in range(0, 11, 2):
        at = tenth / 10
        draw.line([place(0, at), place(1, at)], fill=(225, 225, 225))
        draw.text((12, place(0, at)[1] - 6), f"{at:.1f}", fill="black")
        draw.text((place(at, 0)[0] - 8, place(0, 0)[1] + 6), f"{at:.1f}", fill="black")
    draw.line([place(0, 0), place(1, 1)], fill=(0, 0, 0))
    draw.text((EDGE + PLOT / 2 - 120, PLOT + EDGE + 26), "confidence; cosine with the true kernel", fill="black")
    for number, (name, rows) in reversed(list(enumerate(parts.items()))):
        colour = COLOURS[number % len(COLOURS)]
        draw.text((EDGE + 8, EDGE + 4 + 14 * number), f"{name}: {len(rows)} photos", fill=colour)
        for x, y in (place(*row) for row in rows):
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=colour)
    return np.array(image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", type=Path, metavar="PHOTOS", help="a folder of photographs that the network may know")
    parser.add_argument("--count", type=int, default=96, help="cases of the split")
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    network = load_kernel_network("bundled", "cpu")[0]
    if chosen.fit:
        fit(network, chosen.fit)
        return
    parts = {
        "KF12": [pair(index, index, SIDE) for index in range(12)],
        "arcs and spirals": [split.kept_out(index, SIDE) for index in range(12)],
        f"split of seed {chosen.seed}": [split.fresh(index, SIDE, chosen.seed) for index in range(chosen.count)],
    }
    told: dict[str, list[tuple[float, float]]] = {}
    for name, cases in parts.items():
        for case in cases:
            assert case.kernel.shape == (SIZE, SIZE)
            found, cosine = looked_at(network, luma(to_tensor(case.lr)[0]), torch.from_numpy(case.kernel))
            told.setdefault(name, []).append((likeness(found), cosine))
    compare(told)
    write_picture(RESULTS / "calibration.png", Picture(plotted(told)))


if __name__ == "__main__":
    main()
