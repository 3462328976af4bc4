"""Whose turn it is: one job at a time for every visitor, so that nobody fills the queue alone."""

from __future__ import annotations

import threading
import time


class Visits:
    """Remembers which visitors have a job waiting or running.

    Args:
        forget_after: seconds after which a job that was never heard of again (its page was closed while it waited) no
            longer counts.
    """

    def __init__(self, forget_after: float):
        self.forget_after = forget_after
        self._since: dict[str, float] = {}
        self._withdrawn: set[str] = set()
        self._lock = threading.Lock()

    def admit(self, visitor: str) -> bool:
        """Whether the visitor may queue a job; if so it counts from now on."""
        now = time.monotonic()
        with self._lock:
            self._since = {who: since for who, since in self._since.items() if now - since < self.forget_after}
            if visitor in self._since:
                return False
            self._since[visitor] = now
            self._withdrawn.discard(visitor)
            return True

    def withdraw(self, visitor: str) -> bool:
        """The visitor's job is not wanted any more, should it still wait. Returns whether there was one."""
        with self._lock:
            known = self._since.pop(visitor, None) is not None
            if known:
                self._withdrawn.add(visitor)
            return known

    def is_withdrawn(self, visitor: str) -> bool:
        with self._lock:
            return visitor in self._withdrawn

    def done(self, visitor: str) -> None:
        with self._lock:
            self._since.pop(visitor, None)
            self._withdrawn.discard(visitor)
