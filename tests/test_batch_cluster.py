"""Batches on a cluster: real workers of Dask, one of which is killed."""

import sys
import threading
from pathlib import Path

import psutil
import pytest
from batch_photos import KERNEL, make_photo, make_photos, quick
from test_batch_processes import eventually, states

from kf_core.batch import cluster
from kf_core.batch.job import Job
from kf_core.batch.plan import check_batch
from kf_core.batch.run import run_batch
from kf_core.errors import BadInput, Unavailable

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """Two processes of one thread on this computer."""
    folder = tmp_path_factory.mktemp("dask")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=folder, silence_logs=50
    ) as running:
        yield running


@pytest.mark.slow
def test_a_batch_on_a_cluster_survives_a_killed_worker(workers, tmp_path):
    output = tmp_path / "out"
    batch = quick(make_photos(tmp_path / "in", "a.png", "b.png", "c.png"), output, cluster=workers.scheduler_address)
    (tmp_path / "in" / "bad.png").write_bytes(b"not a photo")
    nannies, killed = list(workers.workers.values()), []

    def kill_one():
        eventually(lambda: states(output, "a.png") == ["started"] and states(output, "b.png") == ["started"])
        victim = psutil.Process(nannies[0].pid)
        victim.kill()
        killed.append(victim.pid)

    thread = threading.Thread(target=kill_one, daemon=True)
    thread.start()
    summary = run_batch(batch)
    thread.join()
    assert killed and summary.done == 3
    assert [entry.photo for entry in summary.failed] == ["bad.png"]
    assert states(output, "a.png")[-1] == states(output, "b.png")[-1] == "done"
    (tmp_path / "in" / "bad.png").unlink()
    assert run_batch(quick(batch.source, output)).before == 3  # and this computer agrees that they are done


def job(tmp_path, token="running-x"):
    photo = make_photo(tmp_path / "in" / "a.png")
    work = tmp_path / "out" / "kf-batch"
    work.mkdir(parents=True, exist_ok=True)
    (work / "running-x").write_text("running-x")
    settings = quick(tmp_path, tmp_path).settings
    return Job("a.png", "a.png", "k", photo, tmp_path / "out" / "a.png", work, work / token, settings, KERNEL)


class Answering:
    """A client whose only worker answers as told."""

    def __init__(self, answer):
        self.answer = answer

    def nthreads(self):
        return {} if self.answer is None else {"tcp://other:1": 1}

    def run(self, function, *arguments, on_error):
        return {"tcp://other:1": self.answer(function(*arguments)) if callable(self.answer) else self.answer}


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (None, Unavailable, "no workers"),
        (ModuleNotFoundError("No module named 'kf_core'"), BadInput, "cannot run KernelFusion"),
        (lambda told: ("0.0.1", *told[1:]), BadInput, "has KernelFusion 0.0.1"),
        (lambda told: (told[0], False, told[2]), BadInput, "does not see what is in .*in'"),
        (lambda told: (*told[:2], "of another folder"), BadInput, "does not see what is in .*out'"),
    ],
)
def test_a_worker_that_could_not_do_it_is_told_before_the_work(tmp_path, answer, error, words):
    with pytest.raises(error, match=words):
        cluster.check_workers(Answering(answer), job(tmp_path))


def test_a_worker_that_sees_the_folders_is_taken(tmp_path):
    cluster.check_workers(Answering(lambda told: told), job(tmp_path))
    with pytest.raises(BadInput, match="out'"):
        cluster.check_workers(Answering(lambda told: told), job(tmp_path, token="gone"))


def test_without_dask_the_sentence_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BadInput, match=r"kernelfusion\[cluster\]"):
        cluster.connect("tcp://127.0.0.1:1")


def test_a_scheduler_that_does_not_answer_is_a_sentence(monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 0.2)
    with pytest.raises(Unavailable, match="No scheduler answers"):
        cluster.connect("tcp://127.0.0.1:9")
    with pytest.raises(BadInput, match="no address"):
        cluster.connect("nonsense://x")


def test_an_address_and_a_number_of_processes_are_not_given_together(tmp_path):
    make_photos(tmp_path / "in", "a.png")
    with pytest.raises(BadInput, match="own workers"):
        check_batch(quick(tmp_path / "in", Path(tmp_path / "out"), cluster="tcp://x:1", workers=1))
