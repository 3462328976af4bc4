"""The waiting line by itself: order, places, minutes, and who is let in."""

import threading
import time

import pytest

from web_demo import line as lines
from web_demo.line import Line, LineFull, OneAtATime
from web_demo.live import waiting


def test_the_first_computes_and_the_others_know_their_place_and_their_time():
    line = Line(5)
    first, second, third = (line.join(name, seconds) for name, seconds in (("a", 100), ("b", 50), ("c", 10)))
    assert line.wait(first, 0) and not line.wait(second, 0) and not line.wait(third, 0)
    assert [line.before(turn)[0] for turn in (first, second, third)] == [0, 1, 2]
    assert line.before(third)[1] == pytest.approx(150, abs=1) and line.before()[0] == 3
    line.leave(first)
    assert line.wait(second, 0) and line.before(third) == (1, pytest.approx(50, abs=1))
    assert "number 2 in the line" in waiting(*line.before(third))


def test_the_time_left_falls_while_the_first_computes():
    line = Line(5)
    first, second = line.join("a", 2), line.join("b", 1)
    assert line.wait(first, 0)
    time.sleep(0.3)
    assert 1.0 <= line.before(second)[1] < 1.8


def test_who_waits_is_woken_at_once():
    line = Line(5)
    first, second = line.join("a", 1), line.join("b", 1)
    threading.Timer(0.1, line.leave, (first,)).start()
    began = time.monotonic()
    assert line.wait(second, 30) and time.monotonic() - began < 5


def test_one_job_for_every_page_and_no_more_than_fit():
    line = Line(2)
    line.join("a", 1)
    with pytest.raises(OneAtATime):
        line.join("a", 1)
    line.join("b", 200)
    with pytest.raises(LineFull, match="2 people are waiting already"):
        line.check("c")
    assert not line.stop("c") and line.stop("b")
    line.check("c")


def test_a_job_that_gives_way_ends_when_its_owner_comes_with_another():
    line = Line(2)
    other, small = line.join("b", 1), line.join("a", 1, gives_way=True)
    line.check("a")  # its own place does not count against it, although the line is full
    newer = line.join("a", 1, gives_way=True)
    assert small.stopped.is_set() and line.wait(small, 0) and len(line) == 2
    whole = line.join("a", 1)
    assert newer.stopped.is_set() and not whole.stopped.is_set() and not other.stopped.is_set()
    with pytest.raises(OneAtATime):
        line.join("a", 1, gives_way=True)
    assert line.before(whole)[0] == 1 and not whole.stopped.is_set()


def test_a_stopped_job_leaves_the_line_and_is_told():
    line = Line(2)
    first, second = line.join("a", 1), line.join("b", 1)
    assert line.stop("b") and second.stopped.is_set() and line.wait(second, 0)
    assert line.stop("a")
    line.check("a")  # and may come again
    line.leave(first)


def test_a_page_that_is_gone_holds_nobody_up(monkeypatch):
    line = Line(3)
    lost, other = line.join("a", 1), line.join("b", 1)
    assert not line.wait(other, 0)
    monkeypatch.setattr(lines, "LOST_AFTER", 0.05)
    time.sleep(0.1)
    other.touch()
    assert line.wait(other, 0) and len(line) == 1 and not lost.stopped.is_set()
