"""The engine as a process: what docs/engine-protocol.md promises, asked of the real thing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY as EVERY_TEST

from kf_core import BadInput
from kf_core.engine import pixels

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


@pytest.fixture
def host(tmp_path):
    """host(): another program with an engine of its own. All are ended afterwards."""
    hosts = []

    def start(*prefix: str, cwd: Path | None = None) -> Host:
        hosts.append(Host(tmp_path, *prefix, cwd=cwd))
        return hosts[-1]

    yield start
    for each in hosts:
        each.process.stdin.close()
        each.process.wait(PATIENCE)


@pytest.fixture
def image() -> np.ndarray:
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    colours = [0.1 + 0.8 * across / WIDTH, 0.9 - 0.7 * down / HEIGHT, 0.2 + 0.6 * ((across // 12 + down // 10) % 2)]
    return np.stack(colours, axis=2)


@pytest.mark.slow
def test_a_job_from_hello_to_an_empty_folder(host, image, tmp_path):
    engine = host()
    assert engine.hello["type"] == "hello" and engine.hello["protocol"] == 1
    assert engine.directory.stat().st_mode & 0o077 == 0
    engine.job(image, preview=True)
    messages = engine.until("result", "error")
    result = messages[-1]
    assert result["type"] == "result" and {message["id"] for message in messages} == {"a"}
    fractions = [message["fraction"] for message in messages if message["type"] == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    kernel = next(message["kernel"] for message in messages if message["type"] == "preview")
    assert len(kernel["taps"]) == kernel["size"] ** 2

    about = result["image"]
    assert (about["width"], about["height"], about["channels"]) == (2 * WIDTH, 2 * HEIGHT, 3)
    large = np.fromfile(engine.directory / about["file"], "<f4").reshape(2 * HEIGHT, 2 * WIDTH, 3)
    small = large.reshape(HEIGHT, 2, WIDTH, 2, 3).mean(axis=(1, 3))
    right = np.abs(small - image).mean()
    for turned in (image[::-1], image[:, ::-1], image[..., ::-1]):
        assert right < 0.5 * np.abs(small - turned).mean()
    size = result["kernel"]["size"]
    taps = np.fromfile(engine.directory / result["kernel"]["file"], "<f4")
    assert taps.size == size * size and taps.sum() == pytest.approx(1, abs=1e-3)
    assert result["report"]["settings"]["scale"] == 2

    # The same engine takes the next job; a kernel alone has no image.
    engine.job(image, "b", task="recover_kernel")
    second = engine.until("result", "error")[-1]
    assert second["id"] == "b" and second["type"] == "result" and "image" not in second
    assert engine.end() == 0
    assert not engine.directory.exists()
    assert engine.process.stdout.read() == b""


@pytest.mark.slow
def test_jobs_that_are_refused(host, image):
    engine = host()

    def refusal(**job) -> dict:
        engine.job(image, **job)
        return engine.until("result", "error")[-1]

    assert refusal(protocol=2)["code"] == "wrong_version"
    assert refusal(settings={"preset": "quick"})["code"].startswith("bad_")
    assert refusal(settings={"sclae": 2})["code"].startswith("bad_")
    assert refusal(settings={"scale": 7})["code"].startswith("bad_")
    assert refusal(settings={"scale": "2"})["code"].startswith("bad_")
    assert refusal(overrides=["recovery.nonsense=1"])["code"] == "bad_setting"
    assert refusal(task="make_coffee")["code"].startswith("bad_")
    about = {"file": "input.f32", "width": WIDTH, "height": HEIGHT, "channels": 3}
    for wrong in (
        {"width": WIDTH + 1},
        {"channels": 5},
        {"file": "../../etc/passwd"},
        {"file": "none"},
        {"width": "x"},
    ):
        error = refusal(input={**about, **wrong})
        assert error["code"].startswith("bad_") and error["message"].endswith("."), wrong
    small = np.zeros((20, 20, 3))
    engine.job(small)
    assert engine.until("result", "error")[-1]["code"] == "too_small"
    engine.job(np.zeros((HEIGHT, WIDTH, 4)))
    assert "transparent" in engine.until("result", "error")[-1]["message"]
    for line in (b"hello?\n", b"[1, 2]\n", b'{"no": "type"}\n', b'{"type": "dance"}\n'):
        engine.process.stdin.write(line)
        engine.process.stdin.flush()
        assert engine.hear()["code"] == "bad_message"


WRONG_TYPES = (
    {"input": "input.f32"},
    {"input": None},
    {"input": {"file": "input.f32", "width": float(WIDTH), "height": HEIGHT, "channels": 3}},
    {"input": {"file": "input.f32", "width": True, "height": HEIGHT, "channels": 3}},
    {"input": {"file": 3, "width": WIDTH, "height": HEIGHT, "channels": 3}},
    {"input": {"file": "input.f32", "width": WIDTH, "height": HEIGHT}},
    {"settings": {"preset": []}},
    {"settings": {"preset": {}}},
    {"settings": {"scale": "2"}},
    {"settings": {"scale": 2.0}},
    {"settings": {"seed": True}},
    {"settings": {"device": 0}},
    {"settings": {"overrides": "finish.steps=2"}},
    {"settings": {"overrides": [1]}},
    {"settings": ["fast"]},
    {"task": 3},
    {"task": ["super_resolve"]},
    {"reduce": "yes"},
    {"preview": 1},
    {"strength": "1"},
    {"strength": True},
    {"strength": 1.5},
    {"seconds": "60"},
    {"task": "recover_kernel", "seconds": 60},
    {"kernel": "kernel.npy"},
    {"kernel": {"file": "kernel.f32"}},
    {"kernel": {"file": "kernel.f32", "size": "12"}},
)


@pytest.mark.slow
def test_wrong_types_are_the_hosts_fault(host, image):
    engine = host()
    for wrong in WRONG_TYPES:
        settings = wrong.get("settings", {})
        if isinstance(settings, dict):
            engine.job(image, **wrong)
        else:
            about = {"file": "input.f32", "width": WIDTH, "height": HEIGHT, "channels": 3}
            engine.say(type="job", protocol=1, id="a", input=about, settings=settings)
        error = engine.until("result", "error")[-1]
        assert (error["type"], error["code"], error["id"]) == ("error", "bad_request", "a"), (wrong, error)
        assert error["message"].endswith(".") and error["hint"].endswith("."), error
    for wrong in ({"width": "x", "height": 5}, {"width": 64}, {"width": 64, "height": 64, "kernel_known": 1}):
        engine.say(type="estimate", protocol=1, id=7, **wrong)
        error = engine.hear()
        assert (error["type"], error["code"], error["id"]) == ("error", "bad_request", 7), (wrong, error)


def test_a_line_that_is_too_long_or_too_deep_is_refused_once(host):
    engine = host()
    for line in (b'{"type": "' + b"x" * (1 << 21) + b'"}\n', b"[" * 200_000 + b"\n"):
        engine.process.stdin.write(line)
        engine.process.stdin.flush()
        assert engine.hear()["code"] == "bad_message"
    engine.say(type="cancel")  # with no job: no answer
    engine.say(type="dance", id=3)
    error = engine.hear()
    assert (error["code"], error["id"]) == ("bad_message", 3)


@pytest.mark.slow
def test_estimates_before_and_between_jobs(host, image):
    engine = host()

    def ask(number, width, height, **settings):
        engine.say(type="estimate", protocol=1, id=number, width=width, height=height, settings=settings)

    ask(1, 64, 64, scale=2, device="cpu")
    ask(2, 640, 640, scale=4, device="cpu")
    ask(3, 640, 640, scale=4, device="cpu", preset="balanced")
    ask(4, 400_000, 400_000, scale=4, device="cpu")
    ask(5, 64, 64, scale=7)
    engine.job(image)  # is begun when the estimates are answered
    answers = [engine.hear() for _ in range(5)]
    assert [answer["id"] for answer in answers] == [1, 2, 3, 4, 5]
    small, large, better, too_large, refused = answers
    assert {answer["type"] for answer in answers[:4]} == {"estimate"}
    assert 0 < small["seconds"] < large["seconds"] < better["seconds"]
    assert small["memory_bytes"] <= large["memory_bytes"] and small["fits"] and small["device"] == "cpu"
    assert not too_large["fits"] and too_large["memory_bytes"] > too_large["free_bytes"]
    assert refused["type"] == "error" and refused["code"] == "bad_setting"
    engine.until("progress")
    ask(6, 64, 64)
    assert engine.until("error")[-1]["code"] == "busy"
    assert engine.until("result", "error")[-1]["id"] == "a"
    began = time.monotonic()
    ask(7, 128, 128, scale=2, device="cpu")
    assert engine.hear()["type"] == "estimate"
    assert time.monotonic() - began < 1

    more = {"width": 640, "height": 640, "settings": {"scale": 4, "device": "cpu"}}
    for number, seconds in enumerate((1e6, 1, 0)):
        engine.say(type="estimate", protocol=1, id=number, seconds=seconds, **more)
    enough, little, none = (engine.hear() for _ in range(3))
    assert enough["loss_db"] == 0 and enough["passes"] == 14 and enough["seconds"] == enough["usual_seconds"]
    assert little["loss_db"] > 0.3 and little["passes"] == 2
    assert little["seconds"] < little["usual_seconds"] == enough["seconds"]
    assert none["code"] == "bad_setting"


@pytest.mark.slow
def test_a_kernel_of_another_photo(host, image):
    engine = host()
    taps = np.zeros((8, 8), "<f4")
    taps[3:5, 2:6] = 1
    taps.tofile(engine.directory / "mine.f32")
    quick = {"overrides": ["finish.steps=1"]}
    for scale, size in ((2, 8), (4, 16)):
        about = {"file": "mine.f32", "size": 8, "scale": 2}
        engine.job(image, kernel=about, settings={"scale": scale, **quick})
        result = engine.until("result", "error")[-1]
        assert result["type"] == "result", result
        assert result["report"]["kernel_source"] == "given" and result["kernel"]["size"] == size
        used = np.fromfile(engine.directory / "kernel.f32", "<f4").reshape(size, size)
        wanted = np.kron(taps / taps.sum(), np.ones((size // 8, size // 8))) / (size // 8) ** 2
        assert used == pytest.approx(wanted, abs=1e-5)
    for wrong in (
        {"file": "mine.f32", "size": 7},
        {"file": "none.f32", "size": 8},
        {"file": "../mine.f32", "size": 8},
        {"file": "mine.f32", "size": 8, "scale": 0},
    ):
        engine.job(image, kernel=wrong, settings=quick)
        assert engine.until("result", "error")[-1]["code"].startswith("bad_"), wrong
    (taps * 0).tofile(engine.directory / "mine.f32")
    engine.job(image, kernel={"file": "mine.f32", "size": 8}, settings=quick)
    assert engine.until("result", "error")[-1]["code"].startswith("bad_")
    engine.job(image, kernel={"file": "mine.f32", "size": 8}, task="recover_kernel")
    assert engine.until("result", "error")[-1]["code"] == "bad_request"


@pytest.mark.slow
def test_a_preview_of_a_spot(host, image):
    """Before a run, during which other settings are asked for, and with alpha at the photo's own size."""
    engine = host()
    np.full((8, 8), 1 / 64, "<f4").tofile(engine.directory / "mine.f32")
    spot = {"x": 30, "y": 4, "width": 10, "height": 8}
    more = {"task": "preview", "spot": spot, "settings": {"overrides": ["finish.steps=1"]}}
    engine.job(image, kernel={"file": "mine.f32", "size": 8}, **more)
    result = engine.until("result", "error")[-1]
    assert result["type"] == "result" and result["approximate"] is False, result
    seen = {}
    for name in ("image", "plain"):
        about = result[name]
        assert (about["width"], about["height"], about["channels"]) == (20, 16, 3)
        seen[name] = np.fromfile(engine.directory / about["file"], "<f4").reshape(16, 20, 3)
    small = seen["plain"].reshape(8, 2, 10, 2, 3).mean(axis=(1, 3))
    assert small == pytest.approx(image[4:12, 30:40], abs=0.15)
    assert np.abs(small - image[4:12, 30:40]).mean() < 0.02 < np.abs(seen["image"] - seen["plain"]).max()

    # Half the strength, reduced to the size of the spot, with alpha.
    full = np.concatenate([image, np.linspace(0.2, 1, WIDTH, dtype="f4")[None, :, None].repeat(HEIGHT, 0)], axis=2)
    shown = {}
    for strength in (0, 0.5, 1):
        engine.job(full, kernel={"file": "mine.f32", "size": 8}, reduce=True, strength=strength, **more)
        about = engine.until("result", "error")[-1]["image"]
        assert (about["width"], about["height"], about["channels"]) == (10, 8, 4)
        shown[strength] = np.fromfile(engine.directory / about["file"], "<f4").reshape(8, 10, 4)
    assert shown[0.5] == pytest.approx(shown[0] / 2 + shown[1] / 2, abs=1e-5)
    assert shown[1][..., 3] == pytest.approx(full[4:12, 30:40, 3], abs=0.02)

    # Without a kernel one is found, once for all spots of a photo.
    phases = []
    for x in (30, 0):
        more["spot"] = {**spot, "x": x}
        engine.job(image, **{**more, "settings": {}}, overrides=[*TINY, "doubt=True"])
        messages = engine.until("result", "error")
        assert messages[-1]["type"] == "result", messages[-1]
        phases.append({message["phase"] for message in messages if message["type"] == "progress"})
    assert "recover_kernel" in phases[0] and phases[1] == {"finish"}
    for wrong in ({}, {"spot": {**spot, "x": 1.5}}, {"spot": {"x": 1}}, {"spot": spot, "task": "super_resolve"}):
        engine.job(image, **{"task": "preview", **wrong})
        assert engine.until("result", "error")[-1]["code"] == "bad_request", wrong
    engine.job(image, task="preview", spot={**spot, "x": WIDTH})
    assert engine.until("result", "error")[-1]["code"] == "bad_input"


@pytest.mark.slow
def test_strength_mixes_with_the_plain_enlargement(host, image):
    engine = host()
    np.full((8, 8), 1 / 64, "<f4").tofile(engine.directory / "mine.f32")
    shown = {}
    for strength in (0, 0.25, 1, None):
        more = {} if strength is None else {"strength": strength}
        engine.job(image, kernel={"file": "mine.f32", "size": 8}, settings={"overrides": ["finish.steps=1"]}, **more)
        assert engine.until("result", "error")[-1]["type"] == "result"
        shown[strength] = np.fromfile(engine.directory / "result.f32", "<f4").reshape(2 * HEIGHT, 2 * WIDTH, 3)
    assert shown[1] == pytest.approx(shown[None], abs=1e-6)
    assert shown[0.25] == pytest.approx(0.25 * shown[1] + 0.75 * shown[0], abs=1e-5)
    small = shown[0].reshape(HEIGHT, 2, WIDTH, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - image).mean() < 0.01 < np.abs(shown[1] - shown[0]).max()


@pytest.mark.slow
def test_python_files_in_the_folder_it_is_started_in_are_not_run(host, image, tmp_path):
    home = tmp_path / "somebody"
    for name in ("random.py", "queue.py", "numpy/__init__.py", "kf_core/__init__.py"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close(); raise SystemExit(9)")
    engine = host(cwd=home)
    engine.job(image, settings={"overrides": [*TINY]})
    assert engine.until("result", "error")[-1]["type"] == "result"
    assert not (tmp_path / "ran").exists()


def test_a_log_that_cannot_be_written_is_said_in_place_of_hello(tmp_path):
    (tmp_path / "file").write_text("no folder")
    command = [sys.executable, "-I", "-m", "kf_core.engine", "--log", str(tmp_path / "file" / "logs" / "x.log")]
    told = subprocess.run(command, input=b"", capture_output=True)
    error = json.loads(told.stdout)
    assert (error["type"], error["code"], told.returncode) == ("error", "cannot_write", 1)
    assert str(tmp_path / "file") in error["message"] + error["hint"]


@pytest.mark.slow
def test_more_memory_than_there_is(host, image):
    engine = host()
    engine.job(image, overrides=[*TINY, "recovery.unet_channels=1000000"])
    error = engine.until("result", "error")[-1]
    assert error["code"] in ("too_large", "out_of_memory") and error["hint"]


@pytest.mark.slow
def test_cancel_and_then_the_next_job(host, image):
    engine = host()
    engine.job(image, overrides=ENDLESS)
    engine.until("progress")
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
    engine = host()
    engine.job(image, overrides=ENDLESS)
    engine.until("progress")
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
    engine = host()
    engine.job(image, overrides=ENDLESS)
    engine.until("progress")
    worker = engine.worker
    engine.process.kill()
    assert gone_within(2, worker)
    assert engine.directory.exists()  # nobody was left to remove it ...
    host()
    assert not engine.directory.exists()  # ... so the next engine did


@pytest.mark.slow
def test_the_worker_is_killed(host, image):
    engine = host()
    engine.job(image, overrides=ENDLESS)
    engine.until("progress")
    os.kill(engine.worker, signal.SIGKILL)
    error = engine.until("error", "result")[-1]
    assert error["code"] == "engine_died" and "memory" in error["message"] and error["id"] == "a"
    engine.job(image, "b")
    assert engine.until("error", "result")[-1]["type"] == "result"


@pytest.mark.slow
def test_two_engines_take_turns_on_a_device(host, image):
    first, second = host(), host()
    first.job(image, overrides=ENDLESS)
    first.until("progress")
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
        "import json, sys\n"
        "from test_engine_process import Host, Path, np\n"
        "engine = Host(Path(sys.argv[1]))\n"
        "engine.job(np.full((60, 60, 3), 0.5))\n"
        "print(json.dumps(engine.until('result', 'error')[-1]))\n"
    )
    told = subprocess.run(
        [*prefix, sys.executable, "-c", program, disk], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    error = json.loads(told.stdout.splitlines()[-1])
    assert error["code"] == "cannot_write" and "full" in error["message"]


class TestPixels:
    """What becomes of transparency and unusual values."""

    def test_hidden_colours_are_those_of_the_surroundings(self):
        raw = np.zeros((40, 61, 4), np.float32)
        raw[:, :20] = (0.8, 0.6, 0.4, 1)
        raw[:, 45:] = (0.2, 0.6, 0.4, 1)
        layer = pixels.prepare(raw)
        assert layer.colour[:, :20] == pytest.approx(raw[:, :20, :3])
        assert layer.colour[:, 20:30, 0].min() > 0.5 and layer.colour[:, 38:45, 0].max() < 0.5
        assert layer.colour[..., 1] == pytest.approx(0.6, abs=1e-4)

    def test_one_visible_pixel_is_enough_and_none_is_too_few(self):
        raw = np.zeros((40, 50, 2), np.float32)
        with pytest.raises(BadInput, match="transparent"):
            pixels.prepare(raw)
        raw[7, 9] = (0.3, 1)
        assert pixels.prepare(raw).colour == pytest.approx(0.3, abs=1e-4)

    def test_values_outside_the_range_come_back(self):
        raw = np.linspace(-0.5, 4, 40 * 50 * 3, dtype=np.float32).reshape(40, 50, 3)
        layer = pixels.prepare(raw)
        assert layer.colour.min() == 0 and layer.colour.max() == 1
        assert pixels.restore(layer.colour, layer, 1) == pytest.approx(raw, abs=1e-5)

    def test_no_number_is_told(self):
        raw = np.full((40, 50, 3), 0.5, np.float32)
        raw[3, 4, 0], raw[3, 5, 1] = np.nan, np.inf
        layer = pixels.prepare(raw)
        assert np.isfinite(layer.colour).all() and len(layer.warnings) == 1

    def test_alpha_is_enlarged_where_it_is(self):
        alpha = np.zeros((40, 50), np.float32)
        alpha[:10, :20] = 1
        for scale in (2, 3, 4):
            large = pixels.enlarge(alpha, scale)
            assert large.shape == (40 * scale, 50 * scale)
            assert (large[: 9 * scale, : 19 * scale] > 0.85).all() and (large[11 * scale :] < 0.15).all()
            assert large.min() >= 0 and large.max() <= 1
            assert large.mean() == pytest.approx(alpha.mean(), rel=0.02)

    def test_reduce_is_the_mean_of_blocks_and_hidden_colours_do_not_count(self):
        large = np.zeros((4, 6, 4), np.float32)
        large[0::2, 0::2] = (0.9, 0.5, 0.1, 1)
        small = pixels.reduce(large, 2)
        assert small.shape == (2, 3, 4)
        assert small[..., 3] == pytest.approx(0.25) and small[..., 0] == pytest.approx(0.9, abs=1e-3)
        assert pixels.reduce(np.arange(16.0).reshape(4, 4, 1), 2)[..., 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]


def test_the_document_names_every_message_and_code():
    text = (Path(__file__).parents[1] / "docs" / "engine-protocol.md").read_text()
    source = "".join(path.read_text() for path in (Path(pixels.__file__).parent).glob("*.py"))
    named = set(re.findall(r'say\(\s*"(\w+)"', source)) | set(re.findall(r'code="(\w+)"', source))
    named |= set(re.findall(r'_refuse\([^"]*"(\w+)"', source))
    assert len(named) > 10
    assert [name for name in sorted(named) if f"`{name}`" not in text] == []


def test_the_document_lists_every_code_and_field_and_the_limits():
    from kf_core import errors
    from kf_core.engine import request
    from kf_core.physics.kernel import default_kernel_size, largest_kernel_size
    from kf_core.settings import SCALES, SMALLEST

    text = (Path(__file__).parents[1] / "docs" / "engine-protocol.md").read_text()
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    codes = {each.code for each in (*classes, request.BadRequest)} - {"failed", "already_there"}
    fields = {*request.JOB, *request.ESTIMATE, *request.SETTINGS, *request.PICTURE, *request.KERNEL, *request.SPOT}
    assert [name for name in sorted(codes | fields) if f"`{name}`" not in text] == []
    assert f"at least {SMALLEST} x {SMALLEST} pixels" in text
    usual = [default_kernel_size(scale) for scale in SCALES]
    assert usual == [25, 12, 19, 24] and "automatic is 25, 12, 19 and 24" in text
    assert [largest_kernel_size(scale) for scale in SCALES] == [63, 32, 47, 64]


@pytest.mark.slow
def test_the_report_has_the_documented_fields(host, image):
    text = (Path(__file__).parents[1] / "docs" / "engine-protocol.md").read_text()
    table = text.split("### The report")[1].split("###")[0]
    engine = host()
    # With more passes than anybody waits for: the time that is given decides how many there are.
    endless = ["doubt=True", "estimator=learned", "varying.regions=4", "finish.steps=100000"]
    engine.job(image, overrides=[*TINY, *endless], seconds=1)
    report = engine.until("result", "error")[-1]["report"]
    assert report["settings"]["finish"]["steps"] <= 14 and "passes in place of 100000" in report["warnings"][0]
    assert set(
        re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    ) == set(report)
