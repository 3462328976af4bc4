"""Jobs over the pipe: what docs/engine-protocol.md promises, asked of the real thing."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from engine_host import HEIGHT, TINY, WIDTH


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
