"""Computes the results that web_demo/cached holds, some minutes each: python -m web_demo.make_cached [NAME ...]"""

from __future__ import annotations

import sys

from PIL import Image

import kf_core
from kf_core.files.kernels import write_kernel
from kf_core.files.outputs import write_report
from web_demo import fool
from web_demo.examples import CACHED, EXAMPLES, SCALE, picture_of, puzzle


def make(name: str) -> None:
    """Runs the fast preset on the example and keeps what it returned. "puzzle": "Try to fool it"."""
    if name == "puzzle":
        settings = kf_core.Settings.preset("fast", scale=fool.SCALE, kernel_size=fool.SIZE)
        result = kf_core.super_resolve(puzzle().small, settings)
    else:
        settings = kf_core.Settings.preset("fast", scale=SCALE, seed=EXAMPLES[name])
        result = kf_core.super_resolve(kf_core.read_picture(picture_of(name)).pixels, settings)
    folder = CACHED / name
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(result.image).save(folder / "result.png", optimize=True)
    write_kernel(folder / "kernel.npy", result.kernel)
    write_report(folder / "report.json", result.report)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or [*EXAMPLES, "puzzle"]:
        print(wanted, flush=True)
        make(wanted)
