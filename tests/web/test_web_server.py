"""The page as a process: what is left of its visitors when it ends, and what it finds when it starts."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import gradio_client
import pytest
from filelock import FileLock
from tiny import TINY
from web_steps import send

from web_demo import housekeeping

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def process(tmp_path):
    """app.py in a process of its own, whose temporary files lie in tmp_path/files: (process, address)."""
    files = tmp_path / "files"
    left = files / f"{housekeeping.PREFIX}left"  # of a process that was killed
    (left / "served").mkdir(parents=True)
    (left / "served" / "photo.png").write_bytes(b"somebody's")
    (left / housekeeping.LOCK).touch()
    environment = {
        **os.environ,
        "KERNELFUSION_WEB_SET": ";".join((*TINY, "finish.steps=2")),
        "GRADIO_TEMP_DIR": str(files),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
    }
    log = tmp_path / "log"
    with open(log, "w") as output:
        running = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    until = time.monotonic() + 120
    while not (ready := re.search(r"unning on.*(http://\S+)", log.read_text())):
        assert running.poll() is None and time.monotonic() < until, log.read_text()
        time.sleep(0.2)
    yield running, ready[1], files
    if running.poll() is None:
        running.kill()
        running.wait(30)


def test_visitors_photos_do_not_outlive_the_page(process, photo, tmp_path):
    running, url, files = process
    assert not (files / f"{housekeeping.PREFIX}left").exists()  # swept at the start
    client = gradio_client.Client(url, verbose=False, download_files=tmp_path / "downloads")
    client.predict(photo=send(photo()), scale=2, api_name="/super_resolve")
    assert [path for path in files.rglob("*.png")]
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 0
    assert not [path for path in files.rglob("*") if path.is_file()]


def test_the_folder_of_a_page_that_runs_is_left_alone(tmp_path):
    used, left = tmp_path / f"{housekeeping.PREFIX}used", tmp_path / f"{housekeeping.PREFIX}left"
    for folder in (used, left):
        (folder / "served").mkdir(parents=True)
    with FileLock(used / housekeeping.LOCK, timeout=0):
        housekeeping.sweep(tmp_path)
    assert used.exists() and not left.exists()


def test_files_that_gradio_forgets_are_deleted_in_time(tmp_path):
    (tmp_path / "served" / "x").mkdir(parents=True)
    old, new = tmp_path / "served" / "x" / "old.png", tmp_path / "served" / "x" / "new.png"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 4000,) * 2)
    housekeeping.delete_old(tmp_path, 3600)
    assert not old.exists() and new.exists()
