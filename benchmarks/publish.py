"""Remakes every published figure and picture, one command after the other. `python -m benchmarks.publish`

Takes hours. What was made with the engine as it is now (version, settings of the presets, weights, fitted numbers) is
passed over, so that the same command goes on where it was stopped; `--list` says what is missing. What each command
printed is in `benchmarks/results/published/`, and `made.json` there says when, on which machine and with which engine;
the figures are carried from there into docs/results.md and README by hand.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import kf_core
from benchmarks.kf12 import RESULTS
from kf_core import Settings
from kf_core.files.atomic import write_atomically
from kf_core.trust.fitted import FITTED

ROOT = Path(__file__).parents[1]
FOLDER = RESULTS / "published"
WEIGHTS = ROOT / "kf_core" / "weights"

# The final split before all others: what a person looks at first.
STEPS: dict[str, list[str]] = {
    "split": ["benchmarks.kernels", "--cases", "fresh", "--pictures"],
    "kf12": ["benchmarks.kernels", "--cases", "kf12", "--pictures"],
    "kept_out": ["benchmarks.kernels", "--cases", "kept-out"],
    "calibration": ["benchmarks.calibration"],
    "rivals": ["benchmarks.rivals", "--resume"],
    "same_size": ["benchmarks.same_size"],
    "varying": ["benchmarks.varying"],
    "real": ["benchmarks.real"],
    "drawings": ["benchmarks.drawings"],
    "ranges": ["benchmarks.ranges"],
    "photos": ["benchmarks.photos"],
    "noise_and_jpeg": ["benchmarks.kernels", "--cases", "spoilt", "--resume"],
    "batch": ["benchmarks.batch"],
    "pace": ["benchmarks.pace"],
    "large": ["benchmarks.large"],
    "memory": ["benchmarks.memory"],
    "readme_picture": ["benchmarks.readme_picture"],
    "page_examples": ["web_demo.make_cached"],
    "gallery": ["docs/site/gallery.py"],
    "kf12_balanced": ["benchmarks.kf12", "--preset", "balanced", "--resume"],
}


def engine() -> dict[str, str]:
    """What a figure depends on, as short texts that differ where the figure might."""

    def short(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()[:16]

    presets: dict[str, Any] = {name: Settings.preset(name).as_dict() for name in ("fast", "balanced", "paper")}
    weights = b"".join(path.read_bytes() for path in sorted(WEIGHTS.glob("*.safetensors")))
    return {
        "version": kf_core.__version__,
        "settings": short(json.dumps(presets, sort_keys=True, default=str).encode()),
        "fitted": short(json.dumps(asdict(FITTED), sort_keys=True, default=str).encode()),
        "weights": short(weights),
    }


def made() -> dict[str, dict]:
    path = FOLDER / "made.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def is_missing(step: str) -> bool:
    """Whether the step was never finished, or with another engine or another command."""
    known = made().get(step, {})
    return known.get("engine") != engine() or known.get("command") != STEPS[step]


def make(step: str) -> int:
    """Runs a step, shows what it prints as it comes, and keeps it. Returns the exit status; only 0 counts as made."""
    command, began, lines = STEPS[step], time.monotonic(), []
    start = [command[0]] if command[0].endswith(".py") else ["-m", command[0]]
    with subprocess.Popen(
        [sys.executable, *start, *command[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        return process.returncode
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_atomically(FOLDER / f"{step}.txt", lambda file: file.write("".join(lines).encode()))
    about = {
        "command": command,
        "engine": engine(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - began),
    }
    content = json.dumps({**made(), step: about}, indent=1, sort_keys=True) + "\n"
    write_atomically(FOLDER / "made.json", lambda file: file.write(content.encode()))
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", choices=[[], *STEPS], metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--list", action="store_true", help="only say what is missing")
    chosen = parser.parse_args()
    missing = [step for step in chosen.steps or STEPS if is_missing(step)]
    if chosen.list:
        print("\n".join(missing))
        return
    failed = [step for step in missing if make(step)]
    if failed:
        sys.exit(f"These steps failed: {', '.join(failed)}. The same command tries them again.")


if __name__ == "__main__":
    main()
