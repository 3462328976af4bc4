"""Previews of a spot in the dialog of a real GIMP window, driven by xdotool (inside/spot.py has the steps)."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def spot(driven):
    return driven("spot.py", (0, 0, 128, 128))


def test_a_preview_takes_seconds_and_the_dialog_goes_on(spot):
    """That it goes on, that the strength is followed, and that OK ends a preview, is waited for in the script."""
    _, what = spot
    assert what["changes"]
    assert 0 < what["seconds"] < 150  # the start of the engine included; a run takes minutes


def test_the_frame_chooses_the_spot_of_the_preview(spot):
    _, what = spot
    assert what["kept"] and what["another"]


def test_a_preview_can_be_stopped_and_says_what_is_wrong(spot):
    _, what = spot
    assert what["kept_engine"]
    assert what["kept_after_stop"]
    assert what["recovered"]
    assert "512x512" in what["result"]
