"""What one open page has before it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Desk:
    """What one open page has before it.

    Attributes:
        key: under which its last result is kept.
        turns: how often the photo was exchanged; a run that began before belongs to another photo.
        result_of: the turn that the last result belongs to.
        example: the one that is shown, or empty.
    """

    key: str = ""
    turns: int = 0
    result_of: int = -1
    example: str = ""

    def turn(self, example: str = "") -> None:
        self.turns, self.example = self.turns + 1, example
