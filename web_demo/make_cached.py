"""Computes the results that web_demo/cached holds: python -m web_demo.make_cached [NAME ...]

Without names: those that are missing or no longer the engine's, as tests/web/test_web_examples.py says. --set changes
the engine's settings, for a quick trial; such results count as stale.
"""

from __future__ import annotations

import argparse
import json

from PIL import Image

import kf_core
from kf_core.files.kernels import write_kernel
from kf_core.files.outputs import write_report
from web_demo import examples


def make(name: str, overrides: tuple[str, ...] = ()) -> None:
    """Runs the fast preset on the example and keeps what it returned. "puzzle": the first of "Try to fool it"."""
    pixels = examples.source_of(name)
    result = kf_core.super_resolve(pixels, examples.settings_of(name, overrides))
    folder = examples.CACHED / name
    folder.mkdir(parents=True, exist_ok=True)
    if name in examples.HIDDEN:
        Image.fromarray(pixels).save(folder / "photo.png", optimize=True)
    Image.fromarray(result.image).save(folder / "result.png", optimize=True)
    write_kernel(folder / "kernel.npy", result.kernel)
    write_report(folder / "report.json", result.report)
    made = {**examples.fingerprint(name, overrides), "overrides": list(overrides)}
    (folder / "made.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="overrides")
    asked = parser.parse_args()
    everything = [*examples.EXAMPLES, "puzzle"]
    for name in asked.names or [name for name in everything if examples.stale(name)]:
        print(name, flush=True)
        make(name, tuple(asked.overrides))


if __name__ == "__main__":
    main()
