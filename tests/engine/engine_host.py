"""A program that uses the engine, and the processes that it sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from tiny import TINY as EVERY_TEST

TINY = (*EVERY_TEST, "finish.steps=2", "finish.start=30")
ENDLESS = [*TINY, "recovery.iterations=1000000"]
HEIGHT, WIDTH = 40, 48
PATIENCE = 60  # seconds; far more than anything here takes


class Host:
    """A program that uses the engine."""

    def __init__(self, home: Path, *prefix: str, cwd: Path | None = None):
        environment = {**os.environ, "XDG_CACHE_HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": "/nowhere"}
        command = [*prefix, sys.executable, "-I", "-m", "kf_core.engine", "--log", str(home / "engine.log")]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=cwd, start_new_session=True
        )
        self.hello = self.hear()
        self.directory = Path(self.hello["directory"])

    def say(self, **message) -> None:
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> dict:
        watch = threading.Timer(PATIENCE, self.process.kill)
        watch.start()
        line = self.process.stdout.readline()
        watch.cancel()
        assert line, "the engine ended, or said nothing for too long"
        return json.loads(line)

    def job(self, image: np.ndarray, job: str = "a", overrides=TINY, protocol=1, **more) -> None:
        """Sends (H, W, C) float32 at the tiny setting."""
        image.astype("<f4").tofile(self.directory / "input.f32")
        height, width, channels = image.shape
        about = {"file": "input.f32", "width": width, "height": height, "channels": channels}
        settings = {
            "preset": "fast",
            "scale": 2,
            "device": "cpu",
            "overrides": list(overrides),
            **more.pop("settings", {}),
        }
        self.say(type="job", protocol=protocol, id=job, **{"input": about, "settings": settings, **more})

    def until(self, *kinds: str) -> list[dict]:
        """All messages up to the first of these kinds."""
        messages = [self.hear()]
        while messages[-1]["type"] not in kinds:
            messages.append(self.hear())
        return messages

    def end(self) -> int:
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    @property
    def worker(self) -> int:
        """The process id of the one that computes."""
        found = [pid for pid in all_processes() if parent(pid) == self.hello["pid"]]
        assert len(found) == 1
        return found[0]


def all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def parent(pid: int) -> int:
    try:
        return int((Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return -1


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone_within(seconds: float, *pids: int) -> bool:
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
