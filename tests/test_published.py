"""README's figures are those of committed results, and benchmarks.publish knows what is still to be made."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import publish

ROOT = Path(__file__).parents[1]


def rows(part: str) -> list[dict]:
    return json.loads((ROOT / "benchmarks" / "results" / f"kernels_{part}_fast.json").read_text("utf-8"))["rows"]


def readme() -> str:
    return " ".join((ROOT / "README.md").read_text("utf-8").split())


def quoted(pattern: str) -> str:
    found = re.search(pattern, readme())
    assert found, f"README no longer says {pattern}"
    return found[1]


def test_the_figures_of_readmes_first_screen_are_those_of_the_final_split():
    split = rows("fresh")
    gains = [row["gain"] for row in split]
    assert quoted(r"On (\d+) photos and kernels") == str(len(split))
    assert quoted(r"gains \*\*(\+[\d.]+) dB\*\* over bicubic") == f"{np.mean(gains):+.1f}"
    assert quoted(r"\*\*([+-][\d.]+) dB\*\* in the worst case") == f"{min(gains):+.2f}"
    assert quoted(r"cosine similarity of \*\*([\d.]+)\*\*") == f"{np.mean([r['chosen cosine'] for r in split]):.2f}"[1:]
    assert quoted(r"about \*\*(\d+) seconds\*\* a photo") == f"{np.mean([row['seconds'] for row in split]):.0f}"
    assert quoted(r"one of the 24, with (\+[\d.]+) dB") in {f"{gain:+.2f}" for gain in gains}


def test_the_final_split_was_not_drawn_by_a_seed_that_was_looked_at_before():
    from benchmarks import split

    assert [row["case"] for row in rows("fresh")] == [split.fresh(number, 8).name for number in range(24)]
    assert split.FRESH_SEED not in (split.SEED, split.SEEN_SEED)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "FOLDER", tmp_path / "published")
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "STEPS", {"good": ["good.py", "7"], "bad": ["bad.py"]})
    (tmp_path / "good.py").write_text("import sys\nprint('gain', sys.argv[1])\n")
    (tmp_path / "bad.py").write_text("raise SystemExit(3)\n")
    return tmp_path


def test_a_step_is_made_once_and_anew_when_the_engine_is_another(elsewhere, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["publish", "good"])
    publish.main()
    assert (elsewhere / "published" / "good.txt").read_text() == "gain 7\n"
    about = json.loads((elsewhere / "published" / "made.json").read_text())["good"]
    assert about["engine"] == publish.engine() and about["command"] == ["good.py", "7"] and about["date"]
    assert not publish.is_missing("good") and publish.is_missing("bad")
    monkeypatch.setattr(publish, "engine", lambda: {"version": "another"})
    assert publish.is_missing("good")


def test_a_step_that_fails_does_not_count_and_does_not_stop_the_rest(elsewhere, monkeypatch, capsys):
    monkeypatch.setattr(publish, "STEPS", {"bad": ["bad.py"], "good": ["good.py", "8"]})
    monkeypatch.setattr(sys, "argv", ["publish"])
    with pytest.raises(SystemExit, match="bad"):
        publish.main()
    assert publish.is_missing("bad") and not publish.is_missing("good")
    monkeypatch.setattr(sys, "argv", ["publish", "--list"])
    capsys.readouterr()
    publish.main()
    assert capsys.readouterr().out == "bad\n"


def test_every_step_is_a_command_there_is():
    for command in publish.STEPS.values():
        path = command[0] if command[0].endswith(".py") else command[0].replace(".", "/") + ".py"
        assert (ROOT / path).is_file() or (ROOT / command[0].replace(".", "/") / "__main__.py").is_file(), path
