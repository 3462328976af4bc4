"""Runs the checks of one file inside GIMP and writes what became of each as JSON: {name: null or what went wrong}."""

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, os.environ["KF_INSIDE"])


def run(module):
    checks = importlib.import_module(module)
    outcomes = {}
    for name in [name for name in vars(checks) if name.startswith("check_")]:
        began = time.monotonic()
        try:
            getattr(checks, name)()
            outcomes[name] = None
        except Exception:
            outcomes[name] = traceback.format_exc()
        print(f"{module}.{name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        # After each, so that a crash of GIMP does not hide what went before.
        (Path(os.environ["HOME"]) / f"{module}.json").write_text(json.dumps(outcomes))


run(os.environ["KF_CHECKS"])
