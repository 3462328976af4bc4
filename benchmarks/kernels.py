"""How right the kernels are, and what they bring. `python -m benchmarks.kernels --cases kf12`

Each case is run as `super_resolve` does, stage by stage. Of the kernels on the way (the estimator's alone, refined,
chosen): cosine with the truth, the cosine of their odd parts, the Wiener mismatch. Of the result: gain over bicubic,
confidence, seconds. --pictures adds the gain of the image that each kernel makes, unmixed, of the best simple kernel
and of the true one. --preset balanced has Algorithm 1 in it.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from benchmarks import split
from benchmarks.kf12 import RESULTS
from benchmarks.kf144 import SCALE, Pair, pair
from benchmarks.robustness import spoilt
from kf_core import Settings
from kf_core.files.figure import contact_sheet
from kf_core.files.picture import Picture, write_picture
from kf_core.kernels.base import Candidate
from kf_core.photo import Photo
from kf_core.physics.kernel import cosine_similarity, odd_part, wiener_mismatch
from kf_core.pipeline import make_stages
from kf_core.pixels import bicubic_enlargement
from kf_core.progress import Monitor
from kf_core.run import Run
from kf_core.scores import psnr
from kf_core.stages import EstimateKernel, RefineKernel, RestoreImage, WeighKernel
from kf_core.state import State
from kf_core.trust.confidence import confidence

SIDE = 112  # LR pixels, what a user's small photo has
PARTS: dict[str, tuple[int, Callable[[int, int], Pair]]] = {
    "kf12": (12, lambda index, side: pair(index, index, side)),
    "fresh": (24, split.fresh),
    "seen": (24, split.seen),
    "kept-out": (12, split.kept_out),
    "spoilt": (60, spoilt),
}
STEPS = {EstimateKernel: "estimator", RefineKernel: "refined", WeighKernel: "chosen"}


def run_case(case: Pair, settings: Settings, pictures: bool) -> tuple[dict, list]:
    """One row, and its pictures for the contact sheet."""
    truth = torch.from_numpy(case.kernel)
    baseline = bicubic_enlargement(case.lr, *case.hr.shape[:2])
    usual = psnr(baseline, case.hr)
    run = Run(torch.device("cpu"), torch.Generator().manual_seed(settings.seed), Monitor())
    photo = Photo.from_array(case.lr, run.device, settings.stretch).cropped(settings.kernel_crop)
    began = time.monotonic()
    stages, about = make_stages(photo, settings, None, None, None, None, run, want_image=True)
    state, kernels, restored = State(photo, about=about), dict[str, Tensor](), None
    for stage in stages:
        state = stage(state, run)
        if type(stage) in STEPS:
            kernels[STEPS[type(stage)]] = state.kernel
        if isinstance(stage, RestoreImage):
            restored, unmixed = stage, photo.to_array(state.image)
    seconds = time.monotonic() - began
    assert state.image is not None and state.estimate is not None and state.share is not None and restored is not None
    result = photo.to_array(state.image)
    row: dict = {
        "case": case.name,
        "gain": psnr(result, case.hr) - usual,
        "unmixed gain": psnr(unmixed, case.hr) - usual,
        "confidence": confidence(state.estimate, state.share),
        "share": state.share,
        "evidence": vars(state.estimate.evidence) | {"residual": state.residual},
        "source": state.estimate.source,
        "name": state.estimate.name,
        "seconds": seconds,
        "phases": {name: round(value, 2) for name, value in run.monitor.seconds.items()},
        "kernel": state.kernel.tolist(),
    }
    for name, kernel in kernels.items():
        row |= {f"{name} {key}": value for key, value in scores(kernel, truth).items()}
    if pictures:
        simple = [each for each in (as_candidate(state), *state.estimate.candidates) if each.source == "simple"]
        for name, source, kernel in [
            *((name, "recovered", kernel) for name, kernel in kernels.items() if name != "chosen"),
            ("simple", "simple", simple[0].kernel),
            ("true", "recovered", truth),
        ]:
            estimate = replace(state.estimate, kernel=kernel, source=source)
            made = restored(replace(state, estimate=estimate), run).image
            row[f"{name} gain"] = psnr(photo.to_array(made), case.hr) - usual
    shown = [kernels[name].numpy() for name in STEPS.values() if name in kernels]
    return row, [case.lr, baseline, result, case.hr, case.kernel, *shown]


def as_candidate(state: State) -> Candidate:
    assert state.estimate is not None
    return Candidate(state.estimate.kernel, state.estimate.source)


def scores(kernel: Tensor, truth: Tensor) -> dict[str, float]:
    odd = (
        cosine_similarity(odd_part(kernel), odd_part(truth))
        if float(odd_part(truth).norm()) > 0.1 * float(truth.norm())
        else float("nan")
    )
    return {
        "cosine": cosine_similarity(kernel, truth),
        "odd cosine": odd,  # of a kernel that is its own turn there is none
        "mismatch": wiener_mismatch(kernel, truth, SCALE),
    }


def table(rows: list[dict]) -> str:
    """Markdown: a row per case, the means and the worst."""
    columns = [key for key, value in rows[0].items() if isinstance(value, float)]

    def cells(numbers: dict) -> str:
        styles = {key: "+.2f" if key.endswith("gain") else ".0f" if key == "seconds" else ".3f" for key in columns}
        return " | ".join("–" if np.isnan(numbers[key]) else format(numbers[key], styles[key]) for key in columns)

    lines = ["| case | kernel | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    for row in rows:
        lines.append(f"| {row['case']} | {row['name'] or row['source']} | {cells(row)} |")
    for word, of in (("mean", np.nanmean), ("lowest", np.nanmin)):
        lines.append(f"| **{word}** | | {cells({key: float(of([row[key] for row in rows])) for key in columns})} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", choices=PARTS, default="kf12")
    parser.add_argument("--only", type=int, nargs="*", help="these cases of the part")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--crop", type=int, default=SIDE, help="LR pixels per side")
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--resume", action="store_true", help="keep the rows that an earlier run has left")
    chosen = parser.parse_args()
    settings = Settings.preset(chosen.preset, device="cpu", kernel_size=24).with_overrides(chosen.set)
    count, make = PARTS[chosen.cases]
    variant = "_".join(["pictures"] * chosen.pictures + [each.replace("=", "-") for each in chosen.set])
    path = RESULTS / f"kernels_{chosen.cases}_{chosen.preset}{variant and '_' + variant}.json"
    rows = json.loads(path.read_text())["rows"] if chosen.resume and path.exists() else []
    done, sheet, names = {row["case"] for row in rows}, [], []
    about = {
        "preset": chosen.preset,
        "set": chosen.set,
        "crop": chosen.crop,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "date": time.strftime("%Y-%m-%d"),
    }
    for index in chosen.only or range(count):
        case = make(index, chosen.crop)
        if case.name in done:
            continue
        row, images = run_case(case, settings, chosen.pictures)
        rows.append(row)
        sheet.append(images)
        names.append(case.name)
        path.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
        print(f"{case.name}: {row['gain']:+.2f} dB, {row['source']}, {row['seconds']:.0f} s", flush=True)
    print(f"\n{about}\n\n{table(rows)}")
    if sheet:
        heads = ["input", "bicubic", "result", "truth", "true kernel", *STEPS.values()]
        write_picture(path.with_suffix(".jpg"), Picture(contact_sheet(sheet, heads, names, height=160)))


if __name__ == "__main__":
    main()
