"""The waiting line: who computes, who comes next, and how long that will take. One job at a time for every page."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

from kf_core import KernelFusionError

LOST_AFTER = 90.0  # seconds in which nobody asked for a job that waits: its page is gone


class LineFull(KernelFusionError):
    """As many wait as are let in."""


class OneAtATime(KernelFusionError):
    """This page has a job in the line already."""


@dataclass(eq=False)
class Turn:
    """A place in the line.

    Attributes:
        owner: whose job it is.
        seconds: that it is expected to take.
        gives_way: it ends when the same owner comes with another job.
        stopped: the owner does not want it any more.
    """

    owner: str
    seconds: float
    gives_way: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)
    began: float | None = None
    seen: float = field(default_factory=time.monotonic)

    def touch(self) -> None:
        """Somebody still asks for it."""
        self.seen = time.monotonic()

    def left(self, now: float) -> float:
        """Seconds that it still takes, as far as one can tell."""
        return self.seconds if self.began is None else max(1.0, self.seconds - (now - self.began))


class Line:
    """Args:
    most: how many may be in it, the one that computes included.
    """

    def __init__(self, most: int):
        self.most = most
        self._turns: list[Turn] = []
        self._changed = threading.Condition()

    def check(self, owner: str) -> None:
        """Raises LineFull or OneAtATime where `join` would."""
        with self._changed:
            self._tidy()
            if any(turn.owner == owner and not turn.gives_way for turn in self._turns):
                raise OneAtATime("Your last job is still waiting or running.", "Wait for it, or press Stop.")
            others = [turn for turn in self._turns if turn.owner != owner]
            if len(others) >= self.most:
                wait = math.ceil(others[0].left(time.monotonic()) / 60)
                raise LineFull(
                    f"{len(others)} people are waiting already, as many as this page takes.",
                    f"Please try again in about {wait} minute{'s' * (wait > 1)}.",
                )

    def join(self, owner: str, seconds: float, gives_way: bool = False) -> Turn:
        """The last place. The owner's jobs that give way are stopped. Raises LineFull, OneAtATime."""
        with self._changed:
            self.check(owner)
            self.stop(owner)
            turn = Turn(owner, seconds, gives_way)
            self._turns.append(turn)
            return turn

    def wait(self, turn: Turn, seconds: float) -> bool:
        """Waits at most so long. Returns whether it is this one's turn, or it was stopped."""
        until = time.monotonic() + seconds
        with self._changed:
            while True:
                now = turn.seen = time.monotonic()
                self._tidy()
                if turn.stopped.is_set():
                    return True
                if turn not in self._turns:  # it was taken for lost
                    self._turns.append(turn)
                if self._turns[0] is turn:
                    turn.began = turn.began or now
                    return True
                if now >= until:
                    return False
                self._changed.wait(until - now)

    def before(self, turn: Turn | None = None) -> tuple[int, float]:
        """(how many jobs come before this one, or before one that joins now; the seconds they take)."""
        with self._changed:
            self._tidy()
            end = self._turns.index(turn) if turn in self._turns else len(self._turns)
            now = time.monotonic()
            return end, sum(each.left(now) for each in self._turns[:end])

    def leave(self, turn: Turn) -> None:
        with self._changed:
            if turn in self._turns:
                self._turns.remove(turn)
            self._changed.notify_all()

    def stop(self, owner: str) -> bool:
        """The owner's jobs are not wanted any more. Returns whether there was one."""
        with self._changed:
            found = [turn for turn in self._turns if turn.owner == owner]
            for turn in found:
                turn.stopped.set()
            self._turns = [turn for turn in self._turns if turn not in found]
            self._changed.notify_all()
            return bool(found)

    def _tidy(self) -> None:
        now = time.monotonic()
        self._turns = [turn for turn in self._turns if now - turn.seen < LOST_AFTER]

    def __len__(self) -> int:
        return len(self._turns)
