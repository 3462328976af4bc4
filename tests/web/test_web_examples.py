"""The results computed beforehand: there, varied, and made by this engine with the settings that the page says."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import kf_core
from kf_core.trust import fitted
from web_demo import examples, make_cached, plots
from web_demo.fool import score

EVERYTHING = [*examples.EXAMPLES, "puzzle"]


def test_there_are_six_to_eight_and_half_have_a_known_kernel():
    assert 6 <= len(examples.EXAMPLES) <= 8 and 2 * len(examples.HIDDEN) == len(examples.EXAMPLES)


@pytest.mark.parametrize("name", [name for name in EVERYTHING if examples.has(name)])
def test_a_cached_result_is_whole_and_belongs_to_its_photo(name):
    outcome, photo = examples.cached(name), examples.source_of(name)
    assert outcome.image.shape[:2] == tuple(side * examples.SCALE for side in photo.shape[:2])
    assert outcome.kernel.shape == (24, 24) and outcome.report["settings"]["preset_name"] == "fast"
    if name != "puzzle":
        shown = kf_core.read_picture(examples.picture_of(name)).pixels
        assert np.array_equal(shown, photo) and examples.kept(name).scale == examples.SCALE


def test_the_puzzle_is_scored_against_its_truth():
    outcome, puzzle = examples.cached("puzzle"), examples.puzzle()
    told = score(puzzle, plots.bicubic(puzzle.small, 4), outcome.image, outcome.kernel, outcome.report)
    assert "dB against ordinary enlargement" in told


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_cached_result_is_this_engine_s(name):
    assert not examples.stale(name), "rebuild it: python -m web_demo.make_cached"


def test_what_no_longer_is_the_engine_s_is_noticed(tmp_path, monkeypatch):
    name = next(iter(examples.EXAMPLES))
    monkeypatch.setattr(examples, "CACHED", tmp_path)
    assert examples.stale(name) == ["missing"]
    shutil.copytree(make_cached.examples.__file__.replace("examples.py", f"cached/{name}"), tmp_path / name)
    path = tmp_path / name / "made.json"

    def made(**changes):
        path.write_text(json.dumps({**examples.fingerprint(name), "overrides": [], **changes}))
        return examples.stale(name)

    assert made() == []
    assert made(version="0.0.1") == ["version"]
    assert made(fitted="other numbers") == ["fitted"]
    assert made(photo="another photo") == ["photo"]
    now = examples.fingerprint(name)["settings"]
    assert made(settings={**now, "seed": 7}) == ["settings"]
    assert made(overrides=["finish.steps=1"]) != []
    path.unlink()
    assert examples.stale(name) == ["missing"]


def test_fitted_numbers_count_and_what_is_said_of_them_does_not(monkeypatch):
    name = next(iter(examples.EXAMPLES))
    now = examples.fingerprint(name)["fitted"]
    monkeypatch.setattr(fitted, "FITTED", replace(fitted.FITTED, date="2000-01-01", commit="0", split="another"))
    assert examples.fingerprint(name)["fitted"] == now
    monkeypatch.setattr(fitted, "FITTED", replace(fitted.FITTED, largest_share=0.5))
    assert examples.fingerprint(name)["fitted"] != now


def test_one_command_makes_what_is_stale_and_nothing_else(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(make_cached, "make", lambda name, overrides: made.append((name, overrides)))
    monkeypatch.setattr(examples, "stale", lambda name: ["version"] if name in ("windmill", "puzzle") else [])
    monkeypatch.setattr("sys.argv", ["make_cached"])
    make_cached.main()
    assert made == [("windmill", ()), ("puzzle", ())]
    monkeypatch.setattr("sys.argv", ["make_cached", "hats_ring", "--set", "finish.steps=1"])
    make_cached.main()
    assert made[2:] == [("hats_ring", ("finish.steps=1",))]


def test_an_example_made_anew_carries_its_fingerprint(tmp_path, monkeypatch):
    from tiny import TINY

    monkeypatch.setattr(examples, "CACHED", tmp_path)
    make_cached.make("hats_ring", (*TINY, "finish.steps=2"))
    assert (tmp_path / "hats_ring" / "photo.png").exists() and examples.stale("hats_ring") == ["overrides"]
