"""What doubting the recovered kernels brings. `python -m benchmarks.doubt --cases split-final`

Kernels recovered by the `fast` preset, once trusted as they are and once weighed (kf_core/trust): cosine
with the truth, gain over bicubic, confidence. The search takes minutes a case, so its kernels are kept in
benchmarks/results/split_recovered.npz (crops of 64 x 64 to tune on, of 112 x 112 in the final part) and kf12_fast.json;
what follows it is run anew. --search runs the search of a part of the split too. The rows are kept for
benchmarks/calibration.py.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch

from benchmarks import split
from benchmarks.kf12 import RESULTS
from benchmarks.kf144 import Pair, pair
from kf_core import Settings, load_prior, recover_kernel
from kf_core.denoisers.patch import PatchDenoiser
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.files.figure import contact_sheet
from kf_core.files.picture import Picture, write_picture
from kf_core.kernels.base import Estimate
from kf_core.photo import Photo
from kf_core.physics.grid import bicubic
from kf_core.physics.kernel import cosine_similarity
from kf_core.pixels import to_array, to_tensor
from kf_core.progress import Monitor
from kf_core.run import Run
from kf_core.scores import psnr
from kf_core.stages import RestoreImage, State, TrustImage, WeighKernel

RECOVERED = RESULTS / "split_recovered.npz"
PARTS = {"split-tuning": split.TUNING, "split-final": split.FINAL}


def crop(index: int) -> int:
    """LR pixels per side of a case of the split: what a user's photo has in the final part, less to tune on."""
    return 112 if index in split.FINAL else 64


def search(indices: Iterable[int]) -> None:
    """Recovers kernels of the split without doubt, and puts them among those that are there."""
    settings, kernels = Settings.preset("fast", doubt=False), dict(np.load(RECOVERED)) if RECOVERED.exists() else {}
    for index in indices:
        kernels[f"{index:02d}"] = recover_kernel(split.case(index, crop(index)).lr, settings).kernel
        np.savez_compressed(RECOVERED, **dict(sorted(kernels.items())))


def cases(name: str) -> Iterable[tuple[Pair, np.ndarray]]:
    """(case, the kernel recovered for it) of "kf12", "split-tuning" or "split-final"."""
    if name == "kf12":
        rows = json.loads((RESULTS / "kf12_fast.json").read_text())["rows"]
        return ((pair(i, i, 112), np.array(row["kernel"], np.float32)) for i, row in enumerate(rows))
    kernels = np.load(RECOVERED)
    return ((split.case(index, crop(index)), kernels[f"{index:02d}"]) for index in PARTS[name])


def run_case(case: Pair, recovered: np.ndarray, prior, undoubted: bool) -> tuple[dict, list]:
    """One row of the table, and its pictures."""
    settings, schedule, lr = Settings.preset("fast"), NoiseSchedule(), to_tensor(case.lr)
    truth, first = torch.from_numpy(case.kernel), torch.from_numpy(recovered)
    baseline = psnr(to_array(bicubic(lr, *case.hr.shape[:2]), case.hr), case.hr)
    restored = RestoreImage(PatchDenoiser(prior, schedule), schedule, settings)

    def run() -> Run:
        return Run(torch.device("cpu"), torch.Generator().manual_seed(0), Monitor())

    def gain(state: State) -> float:
        return psnr(to_array(state.image, case.hr), case.hr) - baseline

    state = State(Photo(lr), Estimate(first, "recovered"))
    whole = restored(WeighKernel(settings)(state, run()), run())
    mixed = TrustImage()(whole, run())
    undoubted_state = replace(state, photo=replace(state.photo, noise=0.0))
    row = {
        "case": case.name,
        "cosine": cosine_similarity(first, truth),
        "cosine, weighed": cosine_similarity(whole.kernel, truth),
        **({"gain": gain(restored(undoubted_state, run()))} if undoubted else {}),
        "gain, weighed, all of it": gain(whole),
        "gain, weighed": gain(mixed),
        "confidence": mixed.confidence,
        "simple": whole.estimate.source == "simple",
    }
    pictures = [
        case.lr,
        to_array(bicubic(lr, *case.hr.shape[:2]), case.hr),
        to_array(mixed.image, case.hr),
        case.hr,
        case.kernel,
        whole.kernel.numpy(),
    ]
    return row, pictures


def line(row: dict) -> str:
    """A row of the table, in Markdown."""
    styles = {key: ".3f" if key.startswith("co") else "+.2f" for key in row}
    return "| " + " | ".join(format(v, styles[k]) if isinstance(v, float) else str(v) for k, v in row.items()) + " |"


def measure(name: str, cases: Iterable[tuple[Pair, np.ndarray]], undoubted: bool) -> None:
    """Prints the table of `cases`, and writes doubt_`name`.json and .jpg."""
    prior, rows, sheet = load_prior("bundled", "cpu").network, [], []
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {time.strftime('%Y-%m-%d')}\n")
    for case, recovered in cases:
        row, pictures = run_case(case, recovered, prior, undoubted)
        if not rows:
            print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
        rows.append(row)
        sheet.append(pictures)
        print(line(row), flush=True)
    for word, of in (("mean", np.mean), ("worst", np.min)):
        numbers = {k: float(of([row[k] for row in rows])) for k, v in rows[0].items() if isinstance(v, float)}
        print(line({"case": f"**{word}**", **numbers, "simple": ""}))
    (RESULTS / f"doubt_{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    heads = ["input", "bicubic", "result", "truth", "true kernel", "kernel"]
    picture = contact_sheet(sheet, heads, [row["case"] for row in rows], height=192)
    write_picture(RESULTS / f"doubt_{name}.jpg", Picture(picture))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", choices=("kf12", *PARTS), default="split-final")
    parser.add_argument("--search", action="store_true", help="recover the kernels of a part of the split first")
    parser.add_argument("--no-believed", action="store_true", help="leave out the column of the undoubted kernels")
    chosen = parser.parse_args()
    if chosen.search and chosen.cases in PARTS:
        search(PARTS[chosen.cases])
    measure(chosen.cases, cases(chosen.cases), not chosen.no_believed)


if __name__ == "__main__":
    main()
