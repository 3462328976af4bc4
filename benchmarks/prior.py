"""What a pretrained prior is worth: phase 1 from scratch and from the checkpoint. `python -m benchmarks.prior`

For six KF12 cases and several numbers of phase-1 steps: the error of PD's clean estimate on the HR truth (which phase 1
never sees), the gain of the image with the true kernel given, and with --blind the kernel and gain of the whole method.
Prints Markdown and writes it to benchmarks/results with a JSON of everything. Each row is saved as it ends; --resume
goes on where a run stopped.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.kf144 import Pair, pair
from kf_core import Prior, Settings, load_prior, super_resolve
from kf_core.denoisers.adapt import fresh_prior, learn_photo
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.device import choose_device
from kf_core.physics.kernel import cosine_similarity
from kf_core.pixels import bicubic_enlargement, to_tensor
from kf_core.progress import Monitor
from kf_core.run import Run
from kf_core.scores import psnr
from kf_core.settings import PatchSettings
from kf_core.training.error_table import grey_levels

RESULTS = Path(__file__).parent / "results"
CASES = (0, 1, 4, 7, 8, 10)
LEVELS = (25, 50, 100, 200, 400)  # timesteps of the error on the truth
FROM_SCRATCH = PatchSettings(channels=64, batch=1, learning_rate=1e-3, ema=0.999, clip=1.0)
ADAPTED = PatchSettings(prior="bundled", batch=1, learning_rate=1e-4)


def variants(
    scratch: list[int], adapted: list[int], prior: str, extra: list[str]
) -> Iterator[tuple[str, PatchSettings]]:
    """(name, phase-1 settings) of each column of the comparison."""
    for steps in scratch:
        yield "from scratch", replace(FROM_SCRATCH, steps=steps)
    start = replace(ADAPTED, prior=prior)
    tree = Settings(patches=start).with_overrides([f"patches.{change}" for change in extra])
    name = " ".join(["checkpoint", *extra])
    for steps in adapted:
        yield name if steps else "checkpoint", replace(tree.patches, steps=steps)


@torch.no_grad()
def error_on_truth(network: PatchDiffusion, case: Pair, schedule: NoiseSchedule, device: torch.device) -> float:
    """Mean over LEVELS of the RMS error of the clean estimate of HR, grey levels."""
    clean, generator, errors = to_tensor(case.hr).to(device), torch.Generator().manual_seed(4), []
    for level in LEVELS:
        t = torch.tensor([level], device=device)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        noisy = schedule.add_noise(clean, noise, t)
        estimate = schedule.clean_from_velocity(noisy, network(noisy, t), t).clamp(-1, 1)
        errors.append(float(grey_levels((estimate - clean).square().mean())))
    return float(np.mean(errors))


def run_variant(case: Pair, patches: PatchSettings, settings: Settings, blind: bool) -> dict:
    """One row: phase 1 alone and timed, then what the rest of the method makes of its network."""
    device = choose_device(settings.device)
    schedule = NoiseSchedule(settings.diffusion.schedule, settings.diffusion.steps, device)
    torch.manual_seed(settings.seed)
    began = time.monotonic()
    run = Run(device, torch.Generator().manual_seed(settings.seed), Monitor())
    learned = fresh_prior(patches, device) if patches.prior == "none" else load_prior(patches.prior, device)
    if patches.steps:
        learned = learn_photo(to_tensor(case.lr).to(device), learned, schedule, patches, run)
    row = {"phase1_seconds": time.monotonic() - began, "step_kept": learned.about.get("step_kept", 0)}
    row["error_on_truth"] = error_on_truth(learned.network, case, schedule, device)
    baseline = psnr(bicubic_enlargement(case.lr, *case.hr.shape[:2]), case.hr)
    there = Prior(learned.network, learned.about)
    known = super_resolve(case.lr, settings, kernel=case.kernel, prior=there)
    row["gain_known"] = psnr(known.image, case.hr) - baseline
    if blind:
        found = super_resolve(case.lr, settings, prior=there)
        row["gain"] = psnr(found.image, case.hr) - baseline
        row["cosine"] = cosine_similarity(torch.from_numpy(found.kernel), torch.from_numpy(case.kernel))
    return row


def table(rows: list[dict]) -> str:
    """Markdown: means over the cases, a line per variant and number of steps."""
    heads = {
        "phase1_seconds": ("phase 1, s", ".1f"),
        "error_on_truth": ("RMS error on the truth", ".2f"),
        "gain_known": ("gain, kernel given", "+.2f"),
        "gain": ("gain, blind", "+.2f"),
        "cosine": ("kernel cosine", ".3f"),
    }
    lines = ["| phase 1 | steps | cases | " + " | ".join(h for h, _ in heads.values()) + " |", "|---" * 8 + "|"]
    for name, steps in dict.fromkeys((row["name"], row["steps"]) for row in rows):
        group = [row for row in rows if (row["name"], row["steps"]) == (name, steps)]
        cells = []
        for key, (_, style) in heads.items():
            values = [row[key] for row in group if key in row]
            some = f" ({len(values)})" if values and len(values) < len(group) else ""
            cells.append(format(float(np.mean(values)), style) + some if values else "–")
        lines.append(f"| {name} | {steps} | {len(group)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=int, nargs="*", default=[100, 300, 1000, 6000], help="steps")
    parser.add_argument("--adapted", type=int, nargs="*", default=[0, 100, 300], help="steps")
    parser.add_argument("--prior", default="bundled")
    parser.add_argument("--adapt-set", nargs="*", default=[], metavar="NAME=VALUE", help="as layers=last")
    parser.add_argument("--cases", type=int, nargs="*", default=CASES)
    parser.add_argument("--blind", action="store_true", help="also the whole method: minutes per row on a CPU")
    parser.add_argument("--crop", type=int, default=112, help="central LR pixels per side, 0 for the whole photograph")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="prior")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--resume", action="store_true")
    chosen = parser.parse_args()
    settings = Settings.preset("fast", seed=chosen.seed, device=chosen.device)
    path = chosen.out / f"{chosen.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(path.read_text())["rows"] if chosen.resume and path.exists() else []
    about = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "crop": chosen.crop,
        "seed": chosen.seed,
        "prior": load_prior(chosen.prior, "cpu").about,
    }
    for index in chosen.cases:
        case = pair(index, index, chosen.crop)
        for name, patches in variants(chosen.scratch, chosen.adapted, chosen.prior, chosen.adapt_set):
            key = {"case": case.name, "name": name, "steps": patches.steps}
            done = next((row for row in rows if key.items() <= row.items()), None)
            if done and ("gain" in done or not chosen.blind):
                continue
            if done:
                rows.remove(done)
            rows.append(key | run_variant(case, patches, settings, chosen.blind))
            path.write_text(json.dumps({"about": about, "rows": rows}, indent=1))
            shown = {k: round(v, 3) for k, v in rows[-1].items() if isinstance(v, float)}
            print(f"{case.name}, {name}, {patches.steps} steps: {shown}", flush=True)
    path.with_suffix(".md").write_text(table(rows) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
