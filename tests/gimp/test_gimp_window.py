"""The dialog and whole runs in a real GIMP window under Xvfb, driven by xdotool (inside/window.py has the steps)."""

from __future__ import annotations

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def seen(driven):
    return driven("window.py", (20, 30, 68, 70))


def test_dialog_and_result(seen):
    home, what = seen
    assert "48x40" in what["title"] and "1 layer)" in what["title"]
    assert "192x160" in what["result"] and "2 layers" in what["result"]  # the photo and its kernel
    for name in ("dialog_alone.png", "result.png"):
        with Image.open(home / name) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


def colours(path) -> set:
    with Image.open(path) as picture:
        return {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}


def test_what_a_run_takes_is_said_before_it_and_a_smaller_one_is_offered(seen):
    home, _ = seen
    warning = (0xCC, 0x6A, 0x00)
    assert warning in colours(home / "warned.png")  # the slowest preset, with a button that leads to ...
    assert warning not in colours(home / "smaller.png")
    assert warning not in colours(home / "dialog_alone.png")
    # So many passes that the run would take hours, until a time is chosen, which the results below were made in.
    assert warning in colours(home / "endless.png")
    assert warning not in colours(home / "details.png")


def test_help_is_the_guide(seen):
    home, what = seen
    assert what["guide"] == "shown"
    assert len(colours(home / "guide.png")) > 20


def test_success_is_said_without_a_box(seen):
    _, what = seen
    for titles in (what["windows"], what["windows_later"]):
        assert [title for title in titles if "GIMP Message" in title or title == "Message"] == []


def test_the_notice_over_a_new_image_goes_by_itself(seen):
    _, what = seen
    assert "KernelFusion notice" in what["windows"]
    assert "KernelFusion notice" not in what["windows_later"]


def test_the_result_is_named_after_its_source_and_not_closed_without_a_question(seen):
    _, what = seen
    assert what["result"].startswith("*mill ×4.xcf-")
    assert "mill ×4" in what["question"]


def test_repeat_last_asks_nothing_and_does_the_same(seen):
    _, what = seen
    assert what["dialog_at_repeat"] is False
    assert what["repeated"].split("(")[1] == what["result"].split("(")[1]  # precision, layers and size


def test_one_undo_takes_everything_back(seen):
    _, what = seen
    assert "3 layers" in what["changed"]
    assert what["undone"] == what["title"]


def test_cancel_ends_the_engine_within_2_seconds(seen):
    _, what = seen
    assert what["cancelled_within"] < 2.5  # the key press included
    assert what["pixels_left"] == []
    assert what["after_cancel"] == what["title"]
