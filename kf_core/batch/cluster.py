"""The jobs of a batch on the workers of a Dask cluster: several computers that see the same folders.

Dask distributed is an optional dependency: its scheduler knows which workers there are, gives the job of a lost worker
to another one, and where some workers have a graphics card, it gives jobs to these alone.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kf_core.batch.job import Job, run_job
from kf_core.batch.manifest import FAILED, Entry
from kf_core.batch.pool import POLL, Begun, Stopping
from kf_core.errors import BadInput, Unavailable
from kf_core.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future

SECONDS_TO_CONNECT = 10
GPU = "GPU"  # the resource by which a worker says that it has a graphics card
LOST = "Every worker that took it was lost, most likely because the memory ran out. Use a smaller part of it."
_one_at_a_time = threading.Lock()  # a worker may have several threads; the engine's random state is its process's


def on_cluster(address: str, jobs: Iterable[Job], begun: Begun, stopping: Stopping) -> Iterator[Entry]:
    """Runs the jobs, one on each worker at a time, and yields how each went; as in_processes does.

    Raises BadInput, Unavailable, before any job begins.
    """
    jobs = deque(jobs)
    client = connect(address)
    try:
        check_workers(client, jobs[0])
        wanted = {GPU: 1} if offers_gpu(client) else {}
        yield from _run(client, jobs, wanted, begun, stopping)
    except (OSError, asyncio.CancelledError, concurrent.futures.CancelledError) as error:
        raise Unavailable(
            "The scheduler of the cluster was lost.", "What is done is kept. Start it again, and then the same batch."
        ) from error
    finally:
        client.close()


def _run(client: Client, jobs: deque[Job], wanted: dict[str, int], begun: Begun, stopping: Stopping) -> Iterator[Entry]:
    import distributed

    under_way: dict[Future, Job] = {}
    stopped = False
    while jobs or under_way:
        while jobs and len(under_way) < max(1, len(client.nthreads())):  # workers may come and go
            job = jobs.popleft()
            begun(job)
            under_way[client.submit(run_on_worker, job, pure=False, resources=wanted or None)] = job
        with contextlib.suppress(distributed.TimeoutError):
            distributed.wait(list(under_way), timeout=POLL, return_when="FIRST_COMPLETED")
        for future in [each for each in under_way if each.done()]:
            job = under_way.pop(future)
            yield _entry_of(future, job)
        if stopping(0.0) and not stopped:
            stopped = True
            jobs.clear()
            for future in [each for each in under_way if each.status == "pending" and not _is_running(client, each)]:
                future.cancel()
                del under_way[future]


def _is_running(client: Client, future: Future) -> bool:
    """Whether a worker has it, and so will end it; others would wait for a worker that may never come."""
    return any(future.key in keys for keys in client.processing().values())


def _entry_of(future: Future, job: Job) -> Entry:
    from distributed import KilledWorker

    try:
        entry: Entry = future.result()
        return entry
    except KilledWorker:
        sentence = LOST
    except concurrent.futures.CancelledError:
        raise
    except Exception as error:
        sentence = f"The worker could not do it: {' '.join(str(error).split()) or type(error).__name__}"
    return Entry(job.photo, job.result, job.key, FAILED, sentence=sentence)


def run_on_worker(job: Job) -> Entry:
    """A job on a worker of the cluster, with as many threads of the processor as the worker was started with."""
    import torch
    from distributed import get_worker

    with _one_at_a_time:
        torch.set_num_threads(max(1, get_worker().state.nthreads))
        return run_job(job)


def connect(address: str) -> Client:
    """Raises BadInput where Dask is missing or the address is none, Unavailable where nobody answers."""
    try:
        from distributed import Client
    except ImportError as error:
        raise BadInput(
            "A cluster needs Dask, which is not installed.", 'Install it: pip install "kernelfusion[cluster]"'
        ) from error
    try:
        return Client(address, timeout=SECONDS_TO_CONNECT)
    except ValueError as error:
        raise BadInput(f"'{address}' is no address of a scheduler.", "Give one such as tcp://office:8786.") from error
    except OSError as error:
        raise Unavailable(
            f"No scheduler answers at '{address}'.", "Start one with 'dask scheduler', or check the address."
        ) from error


def check_workers(client: Client, job: Job) -> None:
    """Raises BadInput, Unavailable where there is no worker, or one that could not do the job."""
    if not client.nthreads():
        raise Unavailable("The cluster has no workers.", "Start some with 'dask worker' and the scheduler's address.")
    try:
        answers = client.run(look, job.source, job.token, on_error="return")
    except Exception as error:  # a worker that cannot even understand the question
        answers = {"of the cluster": error}
    for worker, answer in answers.items():
        if isinstance(answer, Exception):
            raise BadInput(
                f"The worker {worker} cannot run KernelFusion: {' '.join(str(answer).split())[:200]}",
                f"Install KernelFusion {__version__} where it runs.",
            )
        version, sees_source, content = answer
        if version != __version__:
            raise BadInput(
                f"The worker {worker} has KernelFusion {version}, and here is {__version__}.", "Install the same one."
            )
        for folder, seen in ((job.source.parent, sees_source), (job.work.parent, content == job.token.name)):
            if not seen:
                raise BadInput(
                    f"The worker {worker} does not see what is in '{folder}'.",
                    "Put photos and results into a folder that all computers have under the same name.",
                )


def look(source: Path, token: Path) -> tuple[str, bool, str]:
    """On a worker: (its version, whether it sees the photo, what it reads in a file of the folder of the results)."""
    import kf_core

    try:
        content = token.read_text()
    except OSError:
        content = ""
    return kf_core.__version__, source.exists() or source.is_symlink(), content


def offers_gpu(client: Client) -> bool:
    """Whether some worker was started with a graphics card as a resource; then only those get jobs."""
    workers: dict[str, Any] = client.scheduler_info()["workers"]
    return any(each["resources"].get(GPU, 0) >= 1 for each in workers.values())
