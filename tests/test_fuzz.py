"""The fuzzer: what it makes is refused or read, and it tells of what is neither."""

import collections
import itertools
import random

import pytest

from benchmarks import fuzz, fuzz_inputs

pytestmark = pytest.mark.slow

FAMILIES = {each.name.split(":")[0] for each in itertools.islice(fuzz_inputs.inputs(1), 300)}


def test_the_same_seed_gives_the_same_inputs():
    first, again = (list(itertools.islice(fuzz_inputs.inputs(5), 20)) for _ in range(2))
    assert first == again and len(FAMILIES) == 11


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_files_are_read_or_refused_with_a_hint(tmp_path, capfd):
    outcomes = collections.Counter()
    for each in itertools.islice(fuzz_inputs.inputs(7), 300):
        (tmp_path / each.file).write_bytes(each.content)
        outcomes[fuzz.judge(tmp_path / each.file, each.kind, engine=False)] += 1
    assert outcomes["read"] > 50 and outcomes["BadPicture"] > 50 and outcomes["BadKernel"] > 5
    capfd.readouterr()


@pytest.mark.slow
def test_a_worker_that_crashes_or_hangs_is_told_and_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "ALLOWED", 60.0)
    worker = fuzz.Worker()
    sound = fuzz_inputs.Input("sound", "a.png", fuzz_inputs.picture(random.Random(0), "PNG"))
    path = tmp_path / sound.file
    path.write_bytes(sound.content)
    assert worker.ask(path, "picture", False)[0] == "read" and worker.peak > 2**24
    outcome, trace = worker.ask(path, "array", False)  # not a file of numpy's: an error that is none of ours
    assert outcome == "crash: ValueError" and "Traceback" in trace
    worker._process.kill()
    assert worker.ask(path, "picture", False)[0].startswith("crash: the process ended")
    monkeypatch.setattr(fuzz, "ALLOWED", 0.0)
    assert worker.ask(path, "picture", False)[0] == "hang"
    monkeypatch.setattr(fuzz, "ALLOWED", 60.0)
    assert worker.ask(path, "picture", False)[0] == "read"
    worker.stop()


def test_what_went_wrong_makes_it_fail(capsys):
    outcomes = {"sound": collections.Counter(read=3, BadPicture=1)}
    assert fuzz.tell(outcomes, [], 2**28, (0.1, "sound"), 1.0) == 0
    said = capsys.readouterr().out
    assert "inputs 4: read 3, refused 1" in said and "crashes 0, hangs 0" in said and "0.25 GiB" in said
    assert fuzz.tell(outcomes, [], 2**31, (0.1, "sound"), 1.0) == 1  # too much memory
    bad = [(fuzz_inputs.Input("sound", "a.png", b""), "hang", "")]
    outcomes["sound"]["hang"] += 1
    assert fuzz.tell(outcomes, bad, 2**28, (0.1, "sound"), 1.0) == 1 and "hangs 1" in capsys.readouterr().out
