"""Fingerprints of results: the same settings, seed and processor must give the same bits after a change as before it.

    python -m benchmarks.identity -o before.json     # at one commit
    python -m benchmarks.identity -o after.json      # at another, on the same machine
    python -m benchmarks.identity --compare before.json after.json

Each run is one thread's work. "tiny" cases walk every phase with small networks, "real" ones use the presets' own
networks, with fewer steps of training and walking where a preset takes hours.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from kf_core import Settings, recover_kernel, super_resolve
from kf_core.files.atomic import write_atomically

EXAMPLES = Path(__file__).parents[1] / "kf_core" / "examples"
TINY = ("recovery.unet_channels=4", "recovery.inr_width=16", "recovery.first_iterations=3", "recovery.iterations=2")
TINY_PAPER = (*TINY, "patches.channels=4", "patches.steps=4", "patches.crop=24", "recovery.timesteps=(200,50,10)")
TINY_FAST = (*TINY, "recovery.timesteps=(200,50,10)", "refine.rounds=2", "refine.steps=2", "finish.steps=3")
TINY_BALANCED = (*TINY_FAST, "patches.prior=bundled", "patches.steps=4", "patches.check_every=2")
REAL_PAPER = ("patches.steps=40", "recovery.first_iterations=6", "recovery.iterations=1")
REAL_BALANCED = ("patches.prior=bundled", "patches.steps=50", "kernel_crop=48", "recovery.iterations=5")

# name -> (preset, scale, overrides, kernel given, only the kernel wanted, pixels per side, grey, dtype)
CASES = {
    "tiny fast": ("fast", 4, TINY_FAST, False, False, 40, False, "uint8"),
    "tiny fast, x2, grey, 16 bit": ("fast", 2, TINY_FAST, False, False, 40, True, "uint16"),
    "tiny fast, x3, float": ("fast", 3, TINY_FAST, False, False, 40, False, "float32"),
    "tiny fast, crop": ("fast", 4, (*TINY_FAST, "kernel_crop=32"), False, False, 48, False, "uint8"),
    "tiny fast, no doubt": ("fast", 4, (*TINY_FAST, "doubt=False"), False, False, 40, False, "uint8"),
    "tiny fast, no refinement": ("fast", 4, (*TINY_FAST, "refine.rounds=0"), False, False, 40, False, "uint8"),
    "tiny fast, kernel only": ("fast", 4, TINY_FAST, False, True, 40, False, "uint8"),
    "tiny fast, kernel given": ("fast", 4, TINY_FAST, True, False, 40, False, "uint8"),
    "tiny balanced": ("balanced", 4, TINY_BALANCED, False, False, 40, False, "uint8"),
    "tiny paper": ("paper", 4, TINY_PAPER, False, False, 40, False, "uint8"),
    "tiny paper, x2": ("paper", 2, TINY_PAPER, False, False, 40, False, "uint8"),
    "tiny paper, crop": ("paper", 4, (*TINY_PAPER, "kernel_crop=32"), False, False, 40, False, "uint8"),
    "tiny paper, doubt": ("paper", 4, (*TINY_PAPER, "doubt=True"), False, False, 40, False, "uint8"),
    "tiny paper, walked at x2": ("paper", 4, (*TINY_PAPER, "recovery.scale=2"), False, False, 40, False, "uint8"),
    "tiny paper, kernel given": ("paper", 4, TINY_PAPER, True, False, 40, False, "uint8"),
    "tiny paper, kernel only": ("paper", 4, TINY_PAPER, False, True, 40, False, "uint8"),
    "tiny paper, dip": ("paper", 4, (*TINY_PAPER, "recovery.method=dip"), False, False, 40, False, "uint8"),
    "tiny paper, canvas, two U-Nets": (
        "paper",
        4,
        (*TINY_PAPER, "recovery.padding=canvas", "recovery.separate_unets=True", "recovery.border=2"),
        False,
        False,
        40,
        False,
        "uint8",
    ),
    "real fast": ("fast", 4, ("recovery.iterations=5",), False, False, 64, False, "uint8"),
    "real balanced": ("balanced", 4, REAL_BALANCED, False, False, 64, False, "uint8"),
    "real paper": ("paper", 4, REAL_PAPER, False, False, 32, False, "uint8"),
}


def photo(side: int, grey: bool, dtype: str) -> np.ndarray:
    """The middle of a bundled photograph, in one of the engine's types."""
    picture = Image.open(EXAMPLES / "windmill.png").convert("L" if grey else "RGB")
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    pixels = np.asarray(picture.crop((left, top, left + side, top + side)))
    if dtype == "uint16":
        return pixels.astype(np.uint16) * 257
    return pixels if dtype == "uint8" else (pixels / 255).astype(dtype)


def diagonal_kernel(size: int) -> np.ndarray:
    """A short diagonal stroke."""
    kernel = np.zeros((size, size), np.float32)
    for step in range(size // 3):
        kernel[size // 3 + step, size // 3 + step] = 1
    return kernel / kernel.sum()


def fingerprint(name: str) -> dict:
    """{"image", "kernel": sha256, "confidence", "seconds"} of one case."""
    preset, scale, overrides, given, only_kernel, side, grey, dtype = CASES[name]
    settings = Settings.preset(preset, scale=scale, device="cpu").with_overrides(overrides)
    began, pixels = time.perf_counter(), photo(side, grey, dtype)
    if only_kernel:
        result = recover_kernel(pixels, settings)
    else:
        size = 6 * scale + scale % 2 * (6 * scale % 2 == 0)
        result = super_resolve(pixels, settings, kernel=diagonal_kernel(size) if given else None)
    digest = {
        part: None if array is None else hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        for part, array in (("image", result.image), ("kernel", result.kernel))
    }
    return digest | {
        "confidence": result.report.get("confidence"),
        "seconds": round(time.perf_counter() - began, 1),
    }


def compare(before: dict, after: dict) -> int:
    """Prints a table and returns the number of cases that differ."""
    print("| case | image | kernel | confidence |\n|---|---|---|---|")
    differing = 0
    for name in before:
        marks = ["same" if before[name][key] == after[name][key] else "DIFFERS" for key in ("image", "kernel")]
        marks.append("same" if before[name]["confidence"] == after[name]["confidence"] else "DIFFERS")
        differing += "DIFFERS" in marks
        print(f"| {name} | {' | '.join(marks)} |")
    return differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"))
    options = parser.parse_args()
    if options.compare:
        sys.exit(min(1, compare(*(json.loads(path.read_text()) for path in options.compare))))
    torch.set_num_threads(1)
    found = {}
    for name in CASES:
        if options.only in name:
            found[name] = fingerprint(name)
            print(f"{name}: {found[name]['seconds']} s", flush=True)
    if options.output:
        write_atomically(options.output, lambda file: file.write(json.dumps(found, indent=1).encode()))


if __name__ == "__main__":
    main()
