"""Seconds and peak memory against megapixels. `python -m benchmarks.large --megapixels 0.25 0.5 1`

Each photo is a mosaic of the held-out photographs, and runs through `super_resolve` in a process of its own, blind, as
`kf upscale` would do it: the kernel from its most telling part, the image in tiles, the result in a file that memory
holds in part. The largest resident memory is that of the whole process, torch and networks included. It runs on Linux
and macOS.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

HEADINGS = ("photo", "result, MP", "kernel, s", "image, s", "s per MP of result", "peak memory, MiB")


def mosaic(height: int, width: int) -> np.ndarray:
    """A photo (height, width, 3) uint8 of the held-out photographs, in rows that begin with different ones."""
    import numpy as np

    from benchmarks.split import PHOTOS
    from kf_core.files.picture import read_picture

    photos = [read_picture(path).pixels for path in PHOTOS]
    photo = np.empty((height, width, 3), np.uint8)
    top = first = 0
    while top < height:
        rows, left, number = min(each.shape[0] for each in photos), 0, first
        while left < width:
            part = photos[number % len(photos)][:rows][: height - top, : width - left]
            photo[top : top + part.shape[0], left : left + part.shape[1]] = part
            left, number = left + part.shape[1], number + 1
        top, first = top + rows, first + 3
    return photo


def measure(megapixels: float, scale: int, overrides: list[str]) -> dict:
    """In this process."""
    import resource

    import kf_core

    height = round(math.sqrt(megapixels * 1e6 * 2 / 3))
    photo = mosaic(height, round(height * 1.5))
    settings = kf_core.Settings.preset("fast", scale=scale, device="cpu").with_overrides(overrides)
    with tempfile.TemporaryDirectory() as folder:
        result = kf_core.super_resolve(photo, settings, unfinished=Path(folder) / "large")
        size = result.image.size // 3
    unit = 1 if sys.platform == "darwin" else 1024
    seconds = result.report["seconds"]
    return {
        "photo": f"{photo.shape[1]} x {photo.shape[0]}",
        "output": size / 1e6,
        "kernel": sum(seconds.values()) - seconds["finish"],
        "image": seconds["finish"],
        "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.25, 0.5, 1, 2], help="of the photo")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="overrides")
    parser.add_argument("--one", type=float, help="measure in this process, print JSON")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one, chosen.scale, chosen.overrides)))
        return
    print(f"{platform.machine()}, {time.strftime('%Y-%m-%d')}, x{chosen.scale} {' '.join(chosen.overrides)}\n")
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for megapixels in chosen.megapixels:
        line = [sys.executable, "-m", "benchmarks.large", "--one", str(megapixels), "--scale", str(chosen.scale)]
        line += [word for override in chosen.overrides for word in ("--set", override)]
        row = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
        cells = [row["photo"], f"{row['output']:.1f}", f"{row['kernel']:.0f}", f"{row['image']:.0f}"]
        cells += [f"{row['image'] / row['output']:.0f}", f"{row['bytes'] / 2**20:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
