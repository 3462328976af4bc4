"""Progress and cancelling: one event type, and the monitor every long loop reports to once per iteration."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kf_core.errors import Cancelled, Diverged


@dataclass(frozen=True)
class Progress:
    """One report: where the run is.

    Attributes:
        phase: the name of the stage, as in the report's seconds and iterations: "recover_kernel", "finish" ...
        step, total: which iteration of the stage has just ended, of how many; the first is 1.
        label: what the stage does, for people: "recovering the kernel".
        fraction: 0..1 of the whole run; never falls.
        seconds_left: of the whole run, estimated from its pace so far; None: unknown.
        preview: called, it gives {"image": (h, w, 3) float in [0, 1], "kernel": (K, K)} as numpy arrays, and "region":
            (top, left, height, width), the pixels of the photo that the image shows, or None. It costs nothing unless
            called. None where there is nothing to see.

    >>> import kf_core, numpy as np
    >>> reports = []
    >>> settings = kf_core.Settings.preset("fast", scale=2).with_overrides(["finish.steps=2"])
    >>> photo, kernel = np.zeros((32, 32), np.uint8), np.full((8, 8), 1 / 64)
    >>> _ = kf_core.super_resolve(photo, settings, kernel=kernel, progress=reports.append)
    >>> [(each.phase, each.step, each.total, each.fraction) for each in reports]
    [('finish', 1, 2, 0.5), ('finish', 2, 2, 1.0)]
    """

    phase: str
    step: int
    total: int
    label: str = ""
    fraction: float = 0.0
    seconds_left: float | None = None
    preview: Callable[[], dict[str, Any]] | None = None


@dataclass
class Monitor:
    """Passes progress on, raises Cancelled when the caller wants to stop, and keeps the time of each stage.

    Attributes:
        plan: expected work of each stage of the run, in order, in any unit. A stage it lacks counts as the only one.
        labels: what each stage does, for people.
        region: (top, left, height, width) of the photo that the previews show.
        limits: black and white of the photo's file, in the units of the engine's images.
        part: (how many equal parts of the stage are done, of how many); steps are reported within the next.
    """

    progress: Callable[[Progress], None] | None = None
    should_stop: Callable[[], bool] | None = None
    plan: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    region: tuple[int, int, int, int] | None = None
    limits: tuple[float, float] = (-1.0, 1.0)
    part: tuple[int, int] = (0, 1)
    seconds: dict[str, float] = field(default_factory=dict)
    iterations: dict[str, int] = field(default_factory=dict)
    _phase: str = ""
    _began: float = 0.0
    _before: int = 0  # steps that an earlier run had done when this one began the stage
    _reached: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def step(self, phase: str, step: int, total: int, preview: Callable[[], dict[str, Any]] | None = None) -> None:
        """Reports one finished iteration. Raises Cancelled."""
        now, (done, parts) = time.monotonic(), self.part
        step, total = done * total + step, parts * total
        if phase != self._phase:
            self._phase, self._began, self._before = phase, self._last, step - 1  # since the stage before ended
        self._last = now
        self.seconds[phase] = now - self._began
        self.iterations[phase] = step
        self.check()
        if self.progress is not None:
            shown = None
            if preview is not None:
                shown = partial(_shown, preview, self.region, self.limits)
            self._reached = max(self._reached, self._fraction(step, total))
            label = self.labels.get(phase, phase.replace("_", " "))
            self.progress(Progress(phase, step, total, label, self._reached, self._seconds_left(step, total), shown))

    def check(self) -> None:
        """For the parts of an iteration that takes long. Raises Cancelled."""
        if self.should_stop is not None and self.should_stop():
            raise Cancelled()

    @staticmethod
    def finite(value: float) -> None:
        """Raises Diverged if a loss is no longer a finite number."""
        if not math.isfinite(value):
            raise Diverged()

    def _work(self) -> tuple[float, float, float]:
        """Planned work of the stages before this one, of this one, and of those after."""
        if self._phase not in self.plan:
            return 0.0, 1.0, 0.0
        names = list(self.plan)
        at = names.index(self._phase)
        done, later = (sum(self.plan[name] for name in part) for part in (names[:at], names[at + 1 :]))
        return done, self.plan[self._phase], later

    def _fraction(self, step: int, total: int) -> float:
        done, now, later = self._work()
        whole = done + now + later
        return min(1.0, (done + now * step / total) / whole) if whole > 0 else step / total

    def _seconds_left(self, step: int, total: int) -> float:
        """This stage goes on at its own pace; those to come take their planned work at the pace of the run so far."""
        here = self.seconds[self._phase] / (step - self._before) * (total - step)
        done, now, later = self._work()
        worked = done + now * (step - self._before) / total
        spent = sum(self.seconds[name] for name in self.seconds if name in self.plan)
        return here + (later * spent / worked if worked > 0 else 0.0)


def _shown(
    preview: Callable[[], dict[str, Any]], region: tuple[int, int, int, int] | None, limits: tuple[float, float]
) -> dict[str, Any]:
    """A stage's preview as the caller sees it: with the region, and 0 and 1 the black and white of the photo's file."""
    found, (low, high) = preview(), limits
    image = ((2 * found["image"] - 1 - low) / (high - low)).clip(0, 1)
    return {**found, "image": image, "region": region}


def preview(image: Any, kernel: Any) -> dict[str, Any]:
    """The `preview` of a Progress from the current guess: tensors (1, 3, H, W) in [-1, 1] and (K, K)."""
    pixels = ((image.detach()[0] + 1) / 2).clamp(0, 1).permute(1, 2, 0)
    return {"image": pixels.float().cpu().numpy(), "kernel": kernel.detach().float().cpu().numpy()}
