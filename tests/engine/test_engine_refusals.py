"""What the engine refuses: jobs, types and lines, each with a code that docs/engine-protocol.md has."""

from __future__ import annotations

import numpy as np
import pytest
from engine_host import HEIGHT, WIDTH


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
