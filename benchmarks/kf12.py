"""KF12: twelve photographs, each shrunk by another kernel. `python -m benchmarks.kf12 --preset fast`

Prints a Markdown table and writes it to benchmarks/results, with a JSON of everything and a contact sheet. Each case is
saved as it ends; --resume goes on where a run stopped.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.kf144 import SCALE, case_name, frame, pair, ssim
from kf_core import Settings, super_resolve
from kf_core.files.figure import contact_sheet
from kf_core.files.picture import Picture, write_picture
from kf_core.physics.kernel import cosine_similarity
from kf_core.pixels import bicubic_enlargement
from kf_core.scores import psnr

RESULTS = Path(__file__).parent / "results"
COLUMNS = {  # of the table: key in a row, heading, format
    "psnr": ("PSNR", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "gain": ("gain over bicubic", "+.2f"),
    "cosine": ("kernel cosine", ".3f"),
    "seconds": ("seconds", ".0f"),
    "border": ("PSNR of the outer 12 px", ".2f"),
    "middle": ("of the rest", ".2f"),
    "bicubic_border": ("bicubic, outer 12 px", ".2f"),
    "bicubic_middle": ("bicubic, rest", ".2f"),
}


def run_case(index: int, settings: Settings, crop: int, true_kernel: bool) -> tuple[dict, list]:
    """One row of the table, and its pictures."""
    case = pair(index, index, crop)
    began = time.monotonic()
    result = super_resolve(case.lr, settings, kernel=case.kernel if true_kernel else None)
    seconds = time.monotonic() - began
    height, width = case.hr.shape[:2]
    baseline = bicubic_enlargement(case.lr, height, width)
    edge = frame(case.hr.shape)
    row = {
        "case": case.name,
        "psnr": psnr(result.image, case.hr),
        "ssim": ssim(result.image, case.hr),
        "bicubic_psnr": psnr(baseline, case.hr),
        "bicubic_ssim": ssim(baseline, case.hr),
        "gain": psnr(result.image, case.hr) - psnr(baseline, case.hr),
        "cosine": cosine_similarity(torch.from_numpy(result.kernel), torch.from_numpy(case.kernel)),
        "seconds": seconds,
        "border": psnr(result.image, case.hr, edge),
        "middle": psnr(result.image, case.hr, ~edge),
        "bicubic_border": psnr(baseline, case.hr, edge),
        "bicubic_middle": psnr(baseline, case.hr, ~edge),
        "phase_seconds": result.report["seconds"],
        "kernel": result.report["kernel"],
    }
    return row, [case.lr, baseline, result.image, case.hr, case.kernel, result.kernel]


def table(rows: list[dict]) -> str:
    """Markdown: a row per case and the mean."""
    mean = {key: None if rows[0][key] is None else float(np.mean([row[key] for row in rows])) for key in COLUMNS}
    lines = [
        "| case | " + " | ".join(heading for heading, _ in COLUMNS.values()) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    for row in [*rows, {"case": "**mean**", **mean}]:
        cells = ["–" if row[key] is None else format(row[key], style) for key, (_, style) in COLUMNS.items()]
        lines.append(f"| {row['case']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="fast")
    parser.add_argument(
        "--kernel", action="store_true", help="give the true kernel: what the image solver can do at best"
    )
    parser.add_argument("--crop", type=int, default=112, help="central LR pixels per side, 0 for the whole photograph")
    parser.add_argument("--cases", type=int, nargs="*", default=range(12))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--name", help="of the files in benchmarks/results")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--resume", action="store_true")
    chosen = parser.parse_args()
    settings = Settings.preset(chosen.preset, seed=chosen.seed, device=chosen.device).with_overrides(chosen.set)
    name = chosen.name or f"kf12_{chosen.preset}" + ("_true_kernel" if chosen.kernel else "")
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / f"{name}.json"
    rows = json.loads(path.read_text())["rows"] if chosen.resume and path.exists() else []
    pictures, names = [], []
    about = {
        "command": f"python -m benchmarks.kf12 --preset {chosen.preset} --crop {chosen.crop}"
        + (" --kernel" if chosen.kernel else "")
        + "".join(f" --set {s}" for s in chosen.set),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() and chosen.device != "cpu" else None,
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "scale": SCALE,
        "settings": settings.as_dict(),
    }
    for index in chosen.cases:
        if case_name(index, index) in {row["case"] for row in rows}:
            continue
        row, images = run_case(index, settings, chosen.crop, chosen.kernel)
        rows.append(row)
        pictures.append(images)
        names.append(row["case"])
        path.write_text(json.dumps({"about": about, "rows": rows}))
        print(
            f"{row['case']}: gain {row['gain']:+.2f} dB, cosine {row['cosine']:.3f}, {row['seconds']:.0f} s", flush=True
        )
    if pictures:
        heads = ["input", "bicubic", "result", "truth", "true kernel", "recovered kernel"]
        sheet = contact_sheet(pictures, heads, names, height=224)
        write_picture(chosen.out / f"{name}.jpg", Picture(sheet))
    (chosen.out / f"{name}.md").write_text(table(rows) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
