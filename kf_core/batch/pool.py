"""The jobs of a batch in processes of this computer, each on its own graphics card or its share of the processor."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from kf_core.batch.job import Job, run_job
from kf_core.batch.manifest import FAILED, Entry

POLL = 0.5  # seconds between two looks at whether to stop
KILLED = "The process that worked on it ended twice, most likely because the memory ran out. Use a smaller part of it."

Begun = Callable[[Job], None]
Stopping = Callable[[float], bool]  # told how many photos the parts done of those under way are; whether to stop


def in_processes(jobs: Iterable[Job], count: int, device: str, begun: Begun, stopping: Stopping) -> Iterator[Entry]:
    """Runs the jobs, `count` at a time, and yields how each went.

    A process that is killed takes its pool with it. The jobs that were under way are done again one by one, each in a
    pool of its own, so that a photo that kills its process once more is known, and only it fails.

    Args:
        device: of the settings.
        begun: told of a job before it begins.
        stopping: asked all the while; once it says so no further job begins, and those under way are waited for.
    """
    waiting, suspects = deque(jobs), deque[Job]()
    stopped = False
    while (waiting or suspects) and not stopped:
        alone = bool(suspects)
        queue, left = (deque([suspects.popleft()]), suspects) if alone else (waiting, waiting)
        with _Pool(1 if alone else min(count, len(left)), count, device) as pool:
            while (queue or pool.under_way) and not pool.broken:
                while queue and not stopped and len(pool.under_way) < pool.count and not pool.broken:
                    job = queue.popleft()
                    begun(job)
                    pool.submit(job)
                for job, entry in pool.finished():
                    if entry is not None:
                        yield entry
                    elif alone:
                        yield Entry(job.photo, job.result, job.key, FAILED, sentence=KILLED)
                    else:
                        suspects.append(job)
                stopped = stopping(pool.progress()) or stopped
                if stopped:
                    queue.clear()


class _Pool:
    """A pool of processes and what is under way in it.

    Attributes:
        count: processes.
        under_way: the jobs.
        broken: a process was killed; the pool takes no more jobs.
    """

    def __init__(self, count: int, share: int, device: str):
        context = multiprocessing.get_context("spawn")
        self.count, self.broken = count, False
        self.under_way: dict[Future[Entry], Job] = {}
        self._done = context.RawArray("d", count)  # of the job of each process, 0..1
        number = context.Value("i", 0)
        self._executor = ProcessPoolExecutor(count, context, _begin, (number, self._done, share, device))

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, job: Job) -> None:
        try:
            self.under_way[self._executor.submit(_work, job)] = job
        except BrokenProcessPool:
            lost: Future[Entry] = Future()
            lost.set_exception(BrokenProcessPool())
            self.under_way[lost] = job
            self.broken = True

    def finished(self) -> Iterator[tuple[Job, Entry | None]]:
        """The jobs that ended, waiting a moment for one; None of those that were lost with their process."""
        if self.broken:
            wait(self.under_way)  # the others' end is certain by now, one way or the other
        else:
            wait(self.under_way, POLL, FIRST_COMPLETED)
        for future in [each for each in self.under_way if each.done()]:
            job = self.under_way.pop(future)
            try:
                yield job, future.result()
            except BrokenProcessPool:
                self.broken = True
                yield job, None
            except Exception as error:  # what it is to return cannot be sent, for one
                yield job, Entry(job.photo, job.result, job.key, FAILED, sentence=str(error))
        if self.broken and self.under_way:
            yield from self.finished()

    def progress(self) -> float:
        return sum(self._done)


_place: tuple[Any, int] | None = None  # where this process tells how far it is, and its number


def _begin(number: Any, done: Any, share: int, device: str) -> None:
    """Prepares a process for its jobs."""
    global _place
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the process that started this one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with number.get_lock():
        mine = number.value
        number.value += 1
    _place = (done, mine % len(done))
    import torch

    if torch.cuda.is_available() and device in ("auto", "cuda"):
        torch.cuda.set_device(mine % torch.cuda.device_count())
    if share > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // share))


def _end_with(parent: Any) -> None:
    """Ends this process when the one that started it does, however that ends."""
    parent.join()
    os._exit(1)


def _work(job: Job) -> Entry:
    assert _place is not None
    done, mine = _place

    def told(fraction: float) -> None:
        done[mine] = fraction

    told(0.0)
    try:
        return run_job(job, told)
    finally:
        told(0.0)
