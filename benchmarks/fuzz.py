"""Broken, hostile and odd files against what reads them. `python -m benchmarks.fuzz --minutes 10`

Every input goes to a worker process: it is read, and what could be read is written in another format and read again; a
few small ones also go through the engine with the least work. An input counts as

    read      it was a picture or kernel, and what was written of it could be read again
    refused   it was refused with a sentence and a hint; counted by the class of the error
    crash     any other exception, or the end of the worker
    hang      no answer within the time allowed; the worker is ended

The inputs that crashed or hung are kept with --keep. Exits with 1 if there was any, or if a worker needed more memory
than --memory.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.fuzz_inputs import Input, inputs

ALLOWED = 30.0  # seconds for one input
RECYCLED = 400  # inputs after which a worker is replaced, so that memory is that of inputs and not of what leaked


def judge(path: Path, kind: str, engine: bool) -> str:
    """What became of one input: "read", or the name of the class of a refusal. Raises whatever is a crash."""
    import kf_core
    from kf_core.errors import KernelFusionError
    from kf_core.files.fit import fit_kernel
    from kf_core.files.kernels import read_kernel
    from kf_core.files.picture import read_picture, write_picture

    try:
        if kind == "kernel":
            fit_kernel(read_kernel(path), 4, 64)
            return "read"
        if kind == "array":
            settings = kf_core.Settings.preset("fast", scale=2, device="cpu").with_overrides(["finish.steps=1"])
            pixels = np.load(path, allow_pickle=False)
            result = kf_core.super_resolve(pixels, settings, kernel=np.full((12, 12), 1 / 144))
            assert result.image is not None and np.isfinite(result.image).all()
            return "read"
        picture = read_picture(path, transparency=True)
        if engine and max(picture.pixels.shape) <= 64:
            settings = kf_core.Settings.preset("fast", scale=2, device="cpu").with_overrides(["finish.steps=1"])
            result = kf_core.super_resolve(picture.pixels, settings, kernel=np.full((12, 12), 1 / 144))
            assert result.image is not None and result.image.dtype == picture.pixels.dtype
        if picture.pixels.size < 2**22:
            suffix = random.Random(path.stat().st_size).choice([".png", ".tif", ".webp"])
            again = path.with_name(f"again{suffix}")
            write_picture(again, picture)
            back = read_picture(again, transparency=True)
            assert back.pixels.shape[:2] == picture.pixels.shape[:2], "another size came back"
            if suffix != ".webp":
                assert np.array_equal(back.pixels, picture.pixels), "other pixels came back"
    except KernelFusionError as error:
        assert error.message and error.hint, f"no hint: {error}"
        return type(error).__name__
    return "read"


def work(pipe: Connection) -> None:
    """In a process of its own: answers (outcome, trace, peak bytes) for each (path, kind, engine)."""
    import resource
    import warnings

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C libraries print of broken files
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    while True:
        path, kind, engine = pipe.recv()
        try:
            outcome, trace = judge(path, kind, engine), ""
        except BaseException as error:
            outcome, trace = f"crash: {type(error).__name__}", traceback.format_exc()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        pipe.send((outcome, trace, peak))


class Worker:
    """One worker process, replaced when it ended or was too slow."""

    def __init__(self) -> None:
        self.peak = self.answered = 0
        self._start()

    def ask(self, path: Path, kind: str, engine: bool) -> tuple[str, str]:
        if self.answered >= RECYCLED:
            self.stop()
            self._start()
        self.answered += 1
        try:
            self._pipe.send((path, kind, engine))
            if self._pipe.poll(ALLOWED):
                outcome, trace, peak = self._pipe.recv()
                self.peak = max(self.peak, peak)
                return outcome, trace
            outcome = "hang"
        except (EOFError, OSError):
            self._process.join(5)
            outcome = f"crash: the process ended with {self._process.exitcode}"
        self.stop()
        self._start()
        return outcome, ""

    def stop(self) -> None:
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self.answered = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", type=float, default=0.02, help="share of the pictures that also go to the engine")
    parser.add_argument("--memory", type=float, default=3.0, help="GiB that a worker may need at most")
    parser.add_argument("--keep", type=Path, help="a folder for inputs that crashed or hung")
    chosen = parser.parse_args()
    np.seterr(all="ignore")  # the inputs are full of what numpy warns of
    dice, worker = random.Random(chosen.seed), Worker()
    outcomes: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    bad: list[tuple[Input, str, str]] = []
    end, slowest = time.monotonic() + 60 * chosen.minutes, (0.0, "")
    with tempfile.TemporaryDirectory() as folder:
        for number, each in enumerate(inputs(chosen.seed)):
            if time.monotonic() > end:
                break
            path = Path(folder) / each.file
            path.write_bytes(each.content)
            began = time.monotonic()
            outcome, trace = worker.ask(path, each.kind, dice.random() < chosen.engine)
            if worker.answered > 1:  # the first one waits for the imports
                slowest = max(slowest, (time.monotonic() - began, each.name))
            outcomes[each.name.split(":")[0]][outcome] += 1
            if outcome == "hang" or outcome.startswith("crash"):
                bad.append((each, outcome, trace))
                if chosen.keep:
                    chosen.keep.mkdir(parents=True, exist_ok=True)
                    (chosen.keep / f"{number}_{each.file}").write_bytes(each.content)
            path.unlink()
    worker.stop()
    return tell(outcomes, bad, worker.peak, slowest, chosen.memory)


def tell(
    outcomes: dict[str, collections.Counter[str]],
    bad: list[tuple[Input, str, str]],
    peak: int,
    slowest: tuple[float, str],
    memory: float,
) -> int:
    """Prints the summary; returns the exit status."""
    for family in sorted(outcomes):
        counts = ", ".join(f"{outcome} {count}" for outcome, count in outcomes[family].most_common())
        print(f"{family:22} {counts}")
    total: collections.Counter[str] = sum(outcomes.values(), collections.Counter())
    refused = {name: count for name, count in total.items() if name not in ("read", "hang") and "crash" not in name}
    print(f"\ninputs {total.total()}: read {total['read']}, refused {sum(refused.values())}")
    print("refused as " + ", ".join(f"{name} {count}" for name, count in sorted(refused.items())))
    hangs = total["hang"]
    print(f"crashes {len(bad) - hangs}, hangs {hangs}")
    print(f"peak memory {peak / 2**30:.2f} GiB, slowest {slowest[0]:.1f} s ({slowest[1]})")
    seen = set()
    for each, outcome, trace in bad:
        last = trace.strip().splitlines()[-1:] or [""]
        if (outcome, last[0]) not in seen:
            seen.add((outcome, last[0]))
            print(f"\n{each.name}: {outcome}\n{trace}")
    return 1 if bad or peak > memory * 2**30 else 0


if __name__ == "__main__":
    sys.exit(main())
