"""Progress and cancelling: one event type, and the monitor every long loop reports to once per iteration."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kf_core.errors import Cancelled, Diverged


@dataclass(frozen=True)
class Progress:
    """One report: where the run is.

    Attributes:
        phase: what is being done, in words.
        step, total: 1..total within the phase.
        seconds_left: estimate for this phase.
        preview: called, it gives {"image": (H, W, 3) float in [0, 1], "kernel": (K, K)} as numpy arrays; None
            where there is nothing to see. It costs nothing unless called.
    """

    phase: str
    step: int
    total: int
    seconds_left: float | None = None
    preview: Callable[[], dict[str, Any]] | None = None


@dataclass
class Monitor:
    """Passes progress on, raises Cancelled when the caller wants to stop, and keeps the time of each phase."""

    progress: Callable[[Progress], None] | None = None
    should_stop: Callable[[], bool] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    iterations: dict[str, int] = field(default_factory=dict)
    _phase: str = ""
    _began: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def step(self, phase: str, step: int, total: int, preview: Callable[[], dict[str, Any]] | None = None) -> None:
        """Reports one finished iteration. Raises Cancelled."""
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._began = phase, self._last  # since the phase before ended
        self._last = now
        self.seconds[phase] = now - self._began
        self.iterations[phase] = step
        if self.should_stop is not None and self.should_stop():
            raise Cancelled()
        if self.progress is not None:
            left = (now - self._began) / step * (total - step)
            self.progress(Progress(phase, step, total, left, preview))

    @staticmethod
    def finite(value: float) -> None:
        """Raises Diverged if a loss is no longer a finite number."""
        if not math.isfinite(value):
            raise Diverged(
                "The computation ran away and has no result.",
                "Try another --seed, or the 'balanced' preset; please report the photo if it happens again.",
            )


def preview(image: Any, kernel: Any) -> dict[str, Any]:
    """The `preview` of a Progress from the current guess: tensors (1, 3, H, W) in [-1, 1] and (K, K)."""
    pixels = ((image.detach()[0] + 1) / 2).clamp(0, 1).permute(1, 2, 0)
    return {"image": pixels.float().cpu().numpy(), "kernel": kernel.detach().float().cpu().numpy()}
