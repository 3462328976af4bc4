"""The engine behind a page: a run as a generator of frames, which ends when nobody listens any more.

The engine computes in a thread of its own and reports after every iteration. The generator hands its latest report on
about twice a second; closing it (the visitor pressed Stop, or left) makes the engine stop after the iteration at hand.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import kf_core
from kf_core import Cancelled, KernelFusionError, Progress, Settings
from web_demo.housekeeping import give_memory_back
from web_demo.judge import judge
from web_demo.limits import on_zero_gpu

HEARTBEAT = 0.5  # seconds between two frames: how soon a closed page is noticed
PREVIEW_EVERY = 0.7  # seconds between two live pictures, which the engine has to stop and make


class OutOfTime(KernelFusionError):
    """The run took longer than the page allows."""


@dataclass(frozen=True)
class Job:
    """Args:
    pixels: (H, W) or (H, W, 3), uint8 or uint16.
    settings: of the engine.
    kernel: (K, K) where it is known: then only the photo is restored.
    prior: what load_prior takes; None: what the settings say.
    seconds: after that the run is stopped.
    owner: whose job it is, for Stop.
    judged: a given kernel is compared with simple ones, which takes a few seconds.
    """

    pixels: np.ndarray
    settings: Settings
    kernel: np.ndarray | None = None
    prior: str | None = None
    seconds: float = math.inf
    owner: str = ""
    judged: bool = True


@dataclass(frozen=True)
class Frame:
    """What is known now. The last frame of a run has a result.

    Attributes:
        waiting: the device is still busy with the job before.
        progress: of the engine, without its preview.
        preview: {"image": (h, w, 3) float, "kernel": (K, K), "region": ...}; the latest there is.
        seconds: since the run began.
        result: of the engine.
    """

    waiting: bool = False
    progress: Progress | None = None
    preview: dict[str, Any] | None = None
    seconds: float = 0.0
    result: Any = None


_device = threading.Lock()  # one job per device
_stops: dict[str, threading.Event] = {}  # of the running jobs, by owner


@functools.lru_cache(maxsize=4)
def _load_prior(source: str, device: str) -> Any:
    return kf_core.load_prior(source, device)


def prior_for(job: Job) -> Any:
    """The network, kept between runs; None where the settings learn one from scratch."""
    source = job.prior or job.settings.patches.prior
    return None if source == "none" else _load_prior(source, job.settings.device)


def stop(owner: str) -> bool:
    """Asks the engine to stop the job of this owner. Returns whether there was one."""
    event = _stops.get(owner)
    if event:
        event.set()
    return event is not None


def busy() -> bool:
    """Whether the engine computes for anyone."""
    return _device.locked()


def seconds_needed(job: Job) -> int:
    """What a lent GPU is asked for."""
    return int(min(job.seconds, seconds_for(job.pixels.shape[0] * job.pixels.shape[1], job.settings.scale)))


def seconds_for(pixels: int, scale: int) -> float:
    """On a lent GPU: it grows with the pixels of the result; the search for the kernel does not."""
    return 35 + 25 * pixels * scale**2 / 1024**2


@functools.lru_cache(maxsize=1)
def _engine_thread(process: int) -> queue.SimpleQueue[Callable[[], None]]:
    """Where to put what the engine is to do. One thread for all runs: torch keeps memory for each that ever computed.

    Args:
        process: the number of this one; a Space that lends its GPU runs every job in a fork, which has no threads.
    """
    jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def work() -> None:
        while True:
            jobs.get()()

    threading.Thread(target=work, name="engine", daemon=True).start()
    return jobs


class _Run:
    """One run of the engine."""

    def __init__(self, job: Job):
        self.job, self.stop = job, threading.Event()
        self.began, self.last_preview = time.monotonic(), -math.inf
        self.news = threading.Event()
        self.frame = Frame()
        self.outcome: Any = None
        self.error: BaseException | None = None
        self.finished = threading.Event()

    def compute(self) -> None:
        try:
            self.outcome = kf_core.super_resolve(
                self.job.pixels,
                self.job.settings,
                kernel=self.job.kernel,
                prior=prior_for(self.job),
                progress=self._note,
                should_stop=self._should_stop,
            )
            if self.job.kernel is not None and self.job.judged:
                self.outcome.report["given_kernel"] = judge(self.job.pixels, self.outcome.kernel, self.job.settings)
        except BaseException as error:
            self.error = error
        finally:
            _device.release()
            give_memory_back()
            self.finished.set()
            self.news.set()

    def _should_stop(self) -> bool:
        return self.stop.is_set() or time.monotonic() - self.began > self.job.seconds

    def _note(self, progress: Progress) -> None:
        now, preview = time.monotonic(), self.frame.preview
        if progress.preview and now - self.last_preview >= PREVIEW_EVERY:
            preview, self.last_preview = progress.preview(), now
        plain = replace(progress, preview=None)
        self.frame = Frame(progress=plain, preview=preview, seconds=now - self.began)
        self.news.set()


def frames(job: Job) -> Iterator[Frame]:
    """Runs the job and yields frames, the last one with the result.

    Raises KernelFusionError: what the engine raised, Cancelled after Stop, OutOfTime.
    """
    while not _device.acquire(timeout=HEARTBEAT):  # the job before may need one more iteration to stop
        yield Frame(waiting=True)
    run = _Run(job)
    _stops[job.owner] = run.stop
    started = False
    try:
        _engine_thread(os.getpid()).put(run.compute)
        started = True
        while not run.finished.is_set():
            run.news.wait(HEARTBEAT)
            run.news.clear()
            if not run.finished.is_set():
                yield run.frame
                time.sleep(min(0.2, HEARTBEAT))  # what comes meanwhile is not worth a message to the page
        if isinstance(run.error, Cancelled) and not run.stop.is_set():
            raise OutOfTime(
                f"This took longer than the {job.seconds:.0f} seconds that this page allows, and was stopped.",
                "Use a smaller part of the photo"
                + ("." if job.settings.preset_name == "fast" else ", or the fast quality."),
            )
        if run.error:
            raise run.error
        yield replace(run.frame, seconds=time.monotonic() - run.began, result=run.outcome)
    finally:
        run.stop.set()
        if not started:
            _device.release()
        if _stops.get(job.owner) is run.stop:
            with contextlib.suppress(KeyError):
                del _stops[job.owner]


def engine() -> Callable[[Job], Iterator[Frame]]:
    """`frames`, on a Space that lends its GPU by the call wrapped so that it is asked for."""
    if not on_zero_gpu():
        return frames
    import spaces

    return spaces.GPU(duration=seconds_needed)(frames)


def make_settings(
    quality: str, scale: int, kernel_size: int | None, seed: int, overrides: tuple[str, ...], device: str = "auto"
) -> Settings:
    """Raises BadInput for what a visitor can get wrong."""
    settings = Settings.preset(quality, scale=scale, kernel_size=kernel_size, seed=seed, device=device)
    return settings.with_overrides(overrides).checked()
