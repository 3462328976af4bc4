"""One kernel of several photos against the kernel of each alone, and what more processes bring.

    python -m benchmarks.batch [--cases 7] [--photos 4] [--crop 48]

Of each case the photos are parts of different photographs of benchmarks/split.py, shrunk with one kernel that was drawn
anew. `alone` is the mean cosine with it of what the photos' kernels are alone, `shared` the cosine of the one kernel
that `kf batch --kernel shared` takes. Then the photos of the first case are enlarged in one process and in two.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks import split
from benchmarks.kf144 import SCALE, Pair, shrunk
from kf_core.batch.plan import Batch
from kf_core.batch.run import run_batch
from kf_core.batch.shared_kernel import kernel_alone, pooled
from kf_core.files.picture import read_picture
from kf_core.physics.kernel import cosine_similarity
from kf_core.progress import Monitor
from kf_core.settings import Settings

SEED = 20261129


def photos_of(case: int, count: int, crop: int) -> list[Pair]:
    """Parts of different photographs, shrunk with the same kernel."""
    random = np.random.default_rng([SEED, case])
    family = split.FAMILIES[case % len(split.FAMILIES)]
    taps = split.binned(family(random))
    chosen = random.permutation(len(split.PHOTOS))[:count]
    return [
        shrunk(
            f"{family.__name__} {split.PHOTOS[number].stem}",
            read_picture(split.PHOTOS[number]).pixels,
            taps,
            crop,
            place=tuple(random.uniform(size=2)),
        )
        for number in chosen
    ]


def cosines(photos: list[Pair], settings: Settings) -> tuple[list[float], float]:
    """(of the kernel of each photo alone, of the shared one) with the truth."""
    found = [kernel_alone(each.lr, settings, lambda fraction: None, None) for each in photos]
    parts, kernels = zip(*(each for each in found if each is not None), strict=True)
    truth = torch.from_numpy(photos[0].kernel)
    shared = pooled(kernels, parts, settings, Monitor())
    alone = [cosine_similarity(each, truth) for each in kernels]
    return alone, cosine_similarity(torch.from_numpy(shared.kernel), truth)


def seconds(photos: list[Pair], settings: Settings, workers: int) -> float:
    """Of a batch of these photos in so many processes, from the start of the first to the tables."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in"
        source.mkdir()
        for number, each in enumerate(photos):
            Image.fromarray(each.lr).save(source / f"{number}.png")
        began = time.perf_counter()
        run_batch(Batch(source, Path(folder) / "out", settings, workers=workers))
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=7)
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--crop", type=int, default=48, help="LR pixels per side")
    asked = parser.parse_args()
    torch.set_num_threads(1)  # so that one process and two can be compared
    settings, rows = Settings.preset("fast", scale=SCALE, device="cpu"), []
    print("case        alone                         mean   shared")
    for case in range(asked.cases):
        photos = photos_of(case, asked.photos, asked.crop)
        alone, shared = cosines(photos, settings)
        rows.append((np.mean(alone), shared))
        each = " ".join(f"{value:.3f}" for value in alone)
        print(f"{photos[0].name.split()[0]:10}  {each:28}  {rows[-1][0]:.3f}  {shared:.3f}", flush=True)
    mean = np.mean(rows, axis=0)
    print(f"{'mean':10}  {'':28}  {mean[0]:.3f}  {mean[1]:.3f}")
    for workers in (1, 2):
        spent = seconds(photos_of(0, asked.photos, asked.crop), settings, workers)
        print(f"{asked.photos} photos, {workers} processes: {spent:.1f} s", flush=True)


if __name__ == "__main__":
    main()
