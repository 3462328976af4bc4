"""How the engine's processes end, wait for each other and hold out: cancelled, killed, on a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from engine_host import ENDLESS, HEIGHT, WIDTH, Host, gone_within


def computing(host, image) -> Host:
    """An engine in the middle of a job that does not end."""
    engine = host()
    engine.job(image, overrides=ENDLESS)
    engine.until("progress")
    return engine


@pytest.mark.slow
def test_cancel_and_then_the_next_job(host, image):
    engine = computing(host, image)
    engine.job(image, "second")
    assert engine.until("error")[-1] | {"message": "", "hint": ""} == {
        "type": "error",
        "id": "second",
        "code": "busy",
        "message": "",
        "hint": "",
    }
    began = time.monotonic()
    engine.say(type="cancel")
    error = engine.until("error", "result")[-1]
    assert error["code"] == "cancelled" and error["id"] == "a"
    assert time.monotonic() - began < 4
    engine.say(type="cancel")  # with nothing to cancel: no answer, no harm
    engine.job(image, "b")
    assert engine.until("error", "result")[-1]["type"] == "result"


@pytest.mark.slow
def test_cancel_inside_a_step_that_does_not_end(host, image):
    engine = computing(host, image)
    worker = engine.worker
    os.kill(worker, signal.SIGSTOP)  # as good as a step that lasts for ever
    engine.say(type="cancel")
    assert engine.until("error", "result")[-1]["code"] == "cancelled"
    assert gone_within(1, worker)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["while torch loads", "while it computes"])
def test_it_ends_when_the_pipe_closes(host, image, when):
    engine = host()
    engine.job(image, overrides=ENDLESS)
    if when == "while it computes":
        engine.until("progress")
    else:
        time.sleep(0.5)
    worker = engine.worker
    engine.process.stdin.close()
    assert gone_within(2, worker, engine.hello["pid"])
    assert not engine.directory.exists()


@pytest.mark.slow
def test_the_supervisor_is_killed(host, image):
    engine = computing(host, image)
    worker = engine.worker
    engine.process.kill()
    assert gone_within(2, worker)
    assert engine.directory.exists()  # nobody was left to remove it ...
    host()
    assert not engine.directory.exists()  # ... so the next engine did


@pytest.mark.slow
def test_the_worker_is_killed(host, image):
    engine = computing(host, image)
    os.kill(engine.worker, signal.SIGKILL)
    error = engine.until("error", "result")[-1]
    assert error["code"] == "engine_died" and "memory" in error["message"] and error["id"] == "a"
    engine.job(image, "b")
    assert engine.until("error", "result")[-1]["type"] == "result"


@pytest.mark.slow
def test_two_engines_take_turns_on_a_device(host, image):
    first, second = computing(host, image), host()
    second.job(image)
    waiting = second.until("waiting", "progress", "error")[-1]
    assert (waiting["type"], waiting["reason"], waiting["device"]) == ("waiting", "device_busy", "cpu")
    third = host()
    third.job(image)
    third.until("waiting")
    third.say(type="cancel")
    assert third.until("error", "progress")[-1]["code"] == "cancelled"  # also while it waits
    first.process.kill()  # the lock goes with its process, however that ends
    assert second.until("result", "error")[-1]["type"] == "result"


@pytest.mark.slow
def test_what_libraries_print_does_not_reach_the_pipe(tmp_path):
    noise = (
        "import os, subprocess, kf_core\n"
        "def noisy(*_, **__):\n"
        "    print('from Python'); os.write(1, b'from C\\n'); subprocess.run(['echo', 'from a child'])\n"
        "    raise kf_core.Cancelled()\n"
        "kf_core.super_resolve = noisy\n"
        "from kf_core.engine import worker\n"
        "worker.main()\n"
    )
    np.full((HEIGHT, WIDTH, 1), 0.5, "<f4").tofile(tmp_path / "input.f32")
    about = {"file": "input.f32", "width": WIDTH, "height": HEIGHT, "channels": 1}
    job = {"type": "job", "id": 1, "input": about, "settings": {"device": "cpu"}}
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", noise, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    process.stdin.write(json.dumps(job).encode() + b"\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["code"] == "cancelled"
    out, err = process.communicate()
    assert out == b""
    assert [b"from " + word in err for word in (b"Python", b"C", b"a child")] == [True] * 3


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a small disk is made with a mount, as root")
def test_full_disk(tmp_path, image):
    disk = tmp_path / "disk"
    disk.mkdir()
    prefix = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=100k tmpfs "{disk}" && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("this system does not let root mount")
    program = (
        "import json, sys; sys.path.append('..')\n"
        "from engine_host import Host, Path, np\n"
        "engine = Host(Path(sys.argv[1]))\n"
        "engine.job(np.full((60, 60, 3), 0.5))\n"
        "print(json.dumps(engine.until('result', 'error')[-1]))\n"
    )
    told = subprocess.run(
        [*prefix, sys.executable, "-c", program, disk], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    error = json.loads(told.stdout.splitlines()[-1])
    assert error["code"] == "cannot_write" and "full" in error["message"]
