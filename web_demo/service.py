"""What both tabs share: the waiting line, the engine, its settings, and what a run will take."""

from __future__ import annotations

import contextlib
import functools
import html
import math
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

import kf_core
from kf_core import BadInput, Cancelled, KernelFusionError, SuperResolution
from kf_core.estimate import estimate
from kf_core.pace import Pace, within
from kf_core.same_size import check_same_size
from kf_core.settings import MOST_REGIONS
from web_demo import runner
from web_demo.limits import Limits, on_zero_gpu
from web_demo.line import Line
from web_demo.live import live, waiting
from web_demo.shelf import Shelf
from web_demo.verdict import roughly

COMFORTABLE = 90.0  # seconds that the part which is proposed takes at most, where that is possible
NEWS_EVERY = 4.0  # seconds between two messages to somebody who waits
SECONDS_TO_END = 5.0  # that Stop waits at most for a job to end
SIDES = (512, 384, 320, 256, 192, 160, 128, 112)  # pixels of parts that may be proposed


def owner_of(request: gr.Request | None) -> str:
    """The visitor's session; a caller without one is somebody new every time."""
    return getattr(request, "session_hash", None) or uuid.uuid4().hex


def seconds_of(value: Any) -> float:
    """That a run may take; 0: as long as it needs. Raises BadInput."""
    if value is None or value == "":
        return 0.0
    if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise BadInput(f"A time of {str(value)[:20]} seconds makes no sense.", "Give a number of seconds, or 0.")
    return float(value)


def whole_number(value: Any) -> int:
    """Of a field or a program; an empty one is 0. Raises BadInput."""
    if value is None or value == "":
        return 0
    try:
        if float(value) == int(float(value)):
            return int(float(value))
    except (ValueError, TypeError, OverflowError):
        pass
    raise BadInput(f"'{str(value)[:20]}' is not a whole number.", "Give one without a fraction.")


@dataclass(eq=False)
class Task:
    """A button's work, from the moment it is pressed until it has ended.

    Attributes:
        owner: whose it is.
        stopped: the owner does not want it any more.
        ended: it is over.
    """

    owner: str
    stopped: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


class Service:
    """Args:
    limits: of the page.
    overrides: engine settings as NAME=VALUE that hold for every run, for tests and for hosts.
    shelf: where results are kept.
    """

    def __init__(self, limits: Limits, overrides: tuple[str, ...], shelf: Shelf):
        self.limits, self.overrides, self.shelf = limits, overrides, shelf
        self.line = Line(limits.waiting)
        self.engine = runner.engine()
        self._tasks: list[Task] = []
        self._measuring = threading.Lock()
        self._taken = functools.lru_cache(maxsize=500)(estimate)
        self._within = functools.lru_cache(maxsize=500)(within)

    def settings(
        self,
        quality: str,
        scale: int,
        kernel_size: float | None,
        seed: float | None,
        varying: bool = False,
        known: bool = False,
    ) -> kf_core.Settings:
        """`varying`: blur that varies is looked for; `known`: a kernel is given. Raises BadInput."""
        size, overrides = whole_number(kernel_size) or None, self.overrides
        if varying:
            if known:
                raise BadInput(
                    "A kernel is given, and blur that varies over the photo is to be looked for.",
                    "Leave out one of both.",
                )
            if quality == "paper":
                raise BadInput("The paper's settings know one kernel for the whole photo.", "Leave out one of both.")
            overrides = (f"varying.regions={MOST_REGIONS}", *overrides)
        settings = runner.make_settings(quality, whole_number(scale), size, whole_number(seed), overrides)
        if varying and settings.scale == 1:
            check_same_size(settings, blind=True)
        return settings

    def pace(
        self, width: int, height: int, settings: kf_core.Settings, known: bool = False, seconds: Any = 0
    ) -> Pace | None:
        """The settings that do it in about so many seconds, and what they cost. None: as long as it needs, or on a lent
        GPU, of which this process knows no speed. Raises BadInput."""
        wanted = seconds_of(seconds)
        if not wanted or on_zero_gpu():
            return None
        with self._measuring:
            return self._within(wanted, width, height, settings, known)

    def taken(self, width: int, height: int, settings: kf_core.Settings, known: bool = False) -> dict[str, Any]:
        """Seconds and memory of a run, as kf_core.estimate has them. Raises BadInput."""
        with self._measuring:
            found = dict(self._taken(width, height, settings, known))
        if on_zero_gpu():  # this process has no GPU to measure
            found["seconds"], found["fits"] = float(runner.seconds_for(width * height, settings.scale)), True
        return found

    def check_taken(self, width: int, height: int, settings: kf_core.Settings, known: bool = False) -> None:
        """Raises BadInput for a run that cannot fit this computer's memory."""
        taken = self.taken(width, height, settings, known)
        if not taken["fits"]:
            raise BadInput(
                f"{width} x {height} pixels at {settings.scale}x need more memory than this page's computer has free.",
                "Choose a smaller part or a smaller enlargement.",
            )

    def proposed_pixels(self, quality: str, scale: int) -> int:
        """How large a part of a large photo to propose: the largest that is done in comfortable time."""
        with contextlib.suppress(KernelFusionError):
            settings = self.settings(quality, scale, 0, 0)
            for side in SIDES:
                if side <= self.limits.side:
                    taken = self.taken(side, side, settings)
                    if taken["fits"] and taken["seconds"] <= min(COMFORTABLE, self.limits.seconds / 2):
                        return side**2
        return min(SIDES[-1], self.limits.side) ** 2

    def forecast(
        self, width: int, height: int, settings: kf_core.Settings, known: bool = False, seconds: Any = 0
    ) -> str:
        """What stands beside Run, as HTML: how long, how much memory, who comes first. `seconds`: that it may take, as
        for `pace`. Raises BadInput."""
        pace = self.pace(width, height, settings, known, seconds)
        settings = pace.settings if pace else settings
        taken, scale = self.taken(width, height, settings, known), settings.scale
        before, seconds = self.line.before()
        words = [f"{width} x {height} to {width * scale} x {height * scale} pixels"]
        if taken["memory_bytes"]:
            words.append(f"{max(0.1, taken['memory_bytes'] / 2**30):.1f} GB of memory")
        if pace and pace.loss:
            words.append(f"the picture loses about {max(0.1, -pace.loss):.1f} dB for the time")
        if before:
            words.append(f"{before} in the line before you: {roughly(seconds)}")
        time, warning = taken["seconds"], ""
        if not taken["fits"]:
            warning = "This computer has too little free memory for it: choose a smaller part or enlargement."
        elif time and time > self.limits.seconds:
            warning = (
                f"This page stops a run after {roughly(self.limits.seconds).removeprefix('about ')}: choose a smaller "
                "part" + ("." if settings.preset_name == "fast" else ", or the fast quality.")
            )
        head = f"<strong>{roughly(time).capitalize()}</strong>" if time else "<strong>Too large</strong>"
        told = f"<p>{head} <span>{html.escape(' · '.join(words))}</span></p>"
        if warning:
            told += f"<p class='kf-warning' role='alert'>{html.escape(warning)}</p>"
        return f"<div class='kf-forecast'>{told}</div>"

    @contextlib.contextmanager
    def task(self, owner: str) -> Iterator[Task]:
        """Lets Stop reach what is done inside, also before a job is in the line: reading a photo can take a while."""
        task = Task(owner)
        self._tasks.append(task)
        try:
            yield task
        finally:
            self._tasks.remove(task)
            task.ended.set()

    def run(
        self, task: Task, job: runner.Job, seconds: float, about: Any = lambda: "", gives_way: bool = False
    ) -> Iterator[str | SuperResolution]:
        """Waits in line and runs the job: HTML of how it stands, and at last the result.

        Args:
            task: that the job is part of.
            seconds: that the job is expected to take.
            about: called for a word on what the run is about, where the page shows something else by now.
            gives_way: it ends when the same owner comes with another job.

        Raises KernelFusionError.
        """
        turn = self.line.join(job.owner, seconds, gives_way)
        try:
            pause = 0.0  # the place is told at once, then now and then: every message costs the page's processor
            while not self.line.wait(turn, pause):
                yield waiting(*self.line.before(turn))
                pause = NEWS_EVERY
            if turn.stopped.is_set() or task.stopped.is_set():
                raise Cancelled()
            for frame in self.engine(job):
                turn.touch()
                if turn.stopped.is_set() or task.stopped.is_set():
                    raise Cancelled()
                yield live(frame, about()) if frame.result is None else frame.result
        finally:
            self.line.leave(turn)

    def stop(self, owner: str) -> bool:
        """Ends the owner's jobs, also those that are not in the line yet, and waits for that. Returns whether there was
        one."""
        tasks = [task for task in self._tasks if task.owner == owner]
        for task in tasks:
            task.stopped.set()
        self.line.stop(owner)
        runner.stop(owner)
        for task in tasks:
            task.ended.wait(SECONDS_TO_END)
        return bool(tasks)
