"""The dialog and whole runs in a real GIMP window under Xvfb, driven by xdotool (inside/window.py has the steps)."""

from __future__ import annotations

import ast
import json

import pytest
from PIL import Image

from kf_core.examples import example

SECONDS = 150  # that one run at the tiny setting may take on a busy machine


def tiny(inside) -> str:
    """The setting of the checks inside GIMP, which cannot be imported outside."""
    tree = ast.parse((inside / "kit.py").read_text())
    return next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "TINY"
    )


@pytest.fixture(scope="module")
def seen(testbed, inside_folder, tmp_path_factory):
    """What window.py saw, and the folder with its pictures. A home of its own: no settings are remembered yet."""
    for _ in range(2):  # keys sent from outside are now and then lost on a busy machine: one failure is none
        home = tmp_path_factory.mktemp("window")
        assert testbed(home, "kf", "install-gimp").returncode == 0
        with Image.open(example("windmill")) as photo:
            photo.crop((20, 30, 68, 70)).save(home / "mill.png")
        script = inside_folder / "window.py"
        told = testbed(home, "python3", script, home / "mill.png", SECONDS, tiny(inside_folder), timeout=500)
        if told.returncode == 0:
            break
    assert told.returncode == 0, told.stderr[-2000:]
    return home, json.loads((home / "window.json").read_text())


def test_dialog_and_result(seen):
    home, what = seen
    assert "48x40" in what["title"] and "1 layer)" in what["title"]
    assert "192x160" in what["result"] and "2 layers" in what["result"]  # the photo and its kernel
    for name in ("dialog_alone.png", "result.png"):
        with Image.open(home / name) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


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
