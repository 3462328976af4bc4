"""A run in so many seconds: as many passes as there is time for."""

import json

import numpy as np
import pytest

from kf_core import Settings, pace
from kf_core.errors import BadSetting
from kf_core.files.picture import Picture, write_picture
from kf_core.pace import LOSSES, within
from tests.in_process import Kf

FAST = Settings.preset("fast", device="cpu")


@pytest.fixture(autouse=True)
def ten_seconds_a_pass(monkeypatch):
    monkeypatch.setattr(
        pace, "estimate", lambda width, height, settings, known: {"seconds": 20 + 10 * settings.finish.steps}
    )


@pytest.mark.parametrize(
    ("seconds", "passes", "needed"), [(1000, 14, 160), (130, 10, 120), (100, 6, 80), (50, 3, 50), (5, 2, 40)]
)
def test_as_many_passes_as_there_is_time_for(seconds, passes, needed):
    found = within(seconds, 100, 100, FAST)
    assert (found.settings.finish.steps, found.seconds, found.loss) == (passes, needed, LOSSES[passes])


def test_nobody_gets_more_passes_than_asked_for():
    few = FAST.with_overrides(["finish.steps=3"])
    assert within(1000, 100, 100, few).settings == few
    assert within(45, 100, 100, few).settings.finish.steps == 2


def test_fewer_passes_are_never_said_to_gain():
    losses = [LOSSES[passes] for passes in sorted(LOSSES, reverse=True)]
    assert losses == sorted(losses, reverse=True) and losses[0] == 0


def test_the_image_of_algorithm_1_takes_its_time():
    with pytest.raises(BadSetting, match="cannot be chosen"):
        within(60, 100, 100, Settings.preset("paper"))


def test_the_command_says_what_it_gave_up(tmp_path, capsys, monkeypatch):
    kf, photo, report = Kf(capsys, monkeypatch), tmp_path / "photo.png", tmp_path / "r.json"
    write_picture(photo, Picture(np.zeros((40, 48, 3), np.uint8)))
    assert kf("upscale", photo, "--seconds", 30, "--report", report).status == 0
    assert kf.engine.settings.finish.steps == 2
    assert "2 passes in place of 14" in kf.err and "about 40 seconds" in kf.err
    assert any("2 passes" in warning for warning in json.loads(report.read_text())["warnings"])
    kf("upscale", photo, "-o", tmp_path / "b.png", "--seconds", 500)
    assert kf.engine.settings.finish.steps == 14 and "passes" not in kf.err
