"""Photos that a camera has sharpened, after they were blurred and shrunk. `python -m benchmarks.sharpened`

Unsharp masks of 0, 50 and 100 % (the photo and so much of its difference from its mean over a Gaussian of 1 LR pixel),
scale 4: gain over bicubic of the same photo in dB of the luma, blind and with the kernel of the blur given, which knows
nothing of the sharpening; the blind run's confidence, and the share that it took for the mask's. One thread.
"""

from __future__ import annotations

import argparse
import json
import platform
import time

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from benchmarks import split
from benchmarks.kf12 import RESULTS
from kf_core import Settings, super_resolve
from kf_core.files.atomic import write_atomically
from kf_core.pixels import bicubic_enlargement
from kf_core.scores import psnr

CASES = (0, 5, 10, 15, 20, 25)
SHARES = (0.0, 0.5, 1.0)
COLUMNS = {"bicubic": ".2f", "blind": "+.2f", "kernel given": "+.2f", "confidence": ".2f", "sharpening": ".2f"}


def sharpened(photo: np.ndarray, share: float, radius: float = 1.0) -> np.ndarray:
    """An unsharp mask of so much on (h, w, 3) uint8, as cameras and programs apply it."""
    values = photo.astype(float)
    return (
        (values + share * (values - gaussian_filter(values, (radius, radius, 0)))).round().clip(0, 255).astype("uint8")
    )


def gains(case: split.Pair, share: float, settings: Settings) -> dict[str, float]:
    lr = sharpened(case.lr, share)
    usual = psnr(bicubic_enlargement(lr, *case.hr.shape[:2]), case.hr)
    blind, given = super_resolve(lr, settings), super_resolve(lr, settings, kernel=case.kernel)
    return {
        "blind": psnr(blind.image, case.hr) - usual,
        "kernel given": psnr(given.image, case.hr) - usual,
        "confidence": blind.report["confidence"],
        "bicubic": usual,
        "sharpening": blind.report["sharpening"],
    }


def cells(numbers: dict) -> str:
    return " | ".join(format(numbers[key], style) for key, style in COLUMNS.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crop", type=int, default=64, help="LR pixels per side")
    parser.add_argument("--cases", type=int, nargs="*", default=CASES)
    parser.add_argument("--shares", type=float, nargs="*", default=SHARES)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings.preset("fast", device="cpu").with_overrides(chosen.set)
    print(f"{platform.machine()}, one thread, {time.strftime('%Y-%m-%d')}, {chosen.set}\n")
    print(f"| case | sharpened | {' | '.join(COLUMNS)} |\n|---|---|{'---|' * len(COLUMNS)}")
    rows = []
    for share in chosen.shares:
        of_share = []
        for index in chosen.cases:
            case = split.case(index, chosen.crop)
            of_share.append({"case": case.name, "share": share, **gains(case, share, settings)})
            print(f"| {case.name} | {share:.0%} | {cells(of_share[-1])} |", flush=True)
        for name, of in (("mean", np.mean), ("lowest", min)):
            print(
                f"| **{name}** | {share:.0%} | {cells({key: of([row[key] for row in of_share]) for key in COLUMNS})} |"
            )
        rows += of_share
    write_atomically(RESULTS / "sharpened.json", lambda file: file.write(json.dumps(rows, indent=1).encode()))


if __name__ == "__main__":
    main()
