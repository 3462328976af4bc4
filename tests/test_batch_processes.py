"""Batches in processes of their own, by the command line too: killed, interrupted, resumed."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
from batch_photos import KERNEL, QUICK, make_photos, quick

from kf_core.batch.pool import KILLED
from kf_core.batch.run import run_batch
from kf_core.batch.sources import MANIFEST, WORK

pytestmark = pytest.mark.slow  # every process loads torch

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
PHOTOS = ("a.png", "b.png", "sub/c.png")


def entries(output):
    """What the manifest says so far, whole lines only."""
    path = output / WORK / MANIFEST
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def states(output, photo):
    return [entry["state"] for entry in entries(output) if entry["photo"] == photo]


def eventually(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def workers(process):
    return [child for child in process.children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]


def test_a_photo_whose_process_is_killed_twice_fails_and_no_other_does(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    output, killed = tmp_path / "out", []

    def like_a_system_without_memory():
        """Kills the processes twice while b.png is under way: first in a pair, then alone."""
        for times in (1, 2):
            eventually(lambda: states(output, "b.png").count("started") == times)  # noqa: B023
            eventually(alive)  # a job is noted as started before its process is there
            for child in alive():
                child.kill()
                killed.append(child.pid)

    def alive():
        return [child for child in workers(psutil.Process()) if child.pid not in killed]

    thread = threading.Thread(target=like_a_system_without_memory, daemon=True)
    thread.start()
    summary = run_batch(quick(make_photos(tmp_path / "in", "b.png", "c.png"), output, workers=2))
    thread.join()
    assert [(entry.photo, entry.sentence) for entry in summary.failed] == [("b.png", KILLED)]
    assert summary.done == 1 and (output / "c.png").exists() and not (output / "b.png").exists()


def start(source, output, *more):
    np.save(source.parent / "kernel.npy", KERNEL)
    settings = [part for setting in QUICK for part in ("--set", setting)]
    line = [sys.executable, "-m", "kf_core", "batch", source, "--out", output, "--recursive", "--scale", "2"]
    line += ["--kernel", source.parent / "kernel.npy", "--device", "cpu", *settings, *more]
    pipe = subprocess.PIPE
    return subprocess.Popen([str(part) for part in line], stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT)


def test_a_batch_that_is_killed_then_interrupted_goes_on_each_time(tmp_path):
    source, output = make_photos(tmp_path / "in", *PHOTOS), tmp_path / "out"
    (source / "bad.png").write_bytes(b"not a photo")

    killed = start(source, output)
    eventually(lambda: "done" in states(output, "a.png"))
    left = workers(psutil.Process(killed.pid))
    killed.kill()
    killed.communicate(timeout=10)
    eventually(lambda: not any(each.is_running() and each.status() != "zombie" for each in left), 10)
    made, before = (output / "a.png").read_bytes(), len(entries(output))

    interrupted = start(source, output)
    eventually(lambda: "done" in states(output, "b.png"))
    left = workers(psutil.Process(interrupted.pid))
    interrupted.send_signal(signal.SIGINT)
    _, err = interrupted.communicate(timeout=30)
    assert interrupted.returncode == 130 and "Stopped as you asked;" in err and "of 4 photos are done." in err
    assert (output / "b.png").exists() and (output / "kf-batch.html").exists()
    assert not any(each.is_running() and each.status() != "zombie" for each in left)

    last = start(source, output, "--quiet")
    out, err = last.communicate(timeout=60)
    assert last.returncode == 1 and "error: 1 of 4 photos failed.\nhint: The reasons are in" in err
    assert err.startswith("note: bad.png: 'bad.png' is not a photo")
    assert out.split() == [str(output / "kf-batch.csv"), str(output / "kf-batch.html")]
    assert (output / "a.png").read_bytes() == made
    assert "a.png" not in {entry["photo"] for entry in entries(output)[before:]}
    with open(output / "kf-batch.csv", encoding="utf-8", newline="") as file:
        told = {row["photo"]: row["status"] for row in csv.DictReader(file)}
    assert told == dict.fromkeys(PHOTOS, "done") | {"bad.png": "failed"}
    assert not list(output.rglob(".*.tmp")) and not list((output / WORK).glob("running-*"))
