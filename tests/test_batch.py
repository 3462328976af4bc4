"""Whole batches: real processes, which are stopped, killed and resumed."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from batch_photos import KERNEL, make_photo, make_photos, quick
from in_process import Kf
from PIL import Image

from kf_core import pace
from kf_core.batch import job as jobs
from kf_core.batch.run import run_batch
from kf_core.batch.sources import WORK
from kf_core.errors import AlreadyThere, BadInput, Cancelled

torch.set_num_threads(1)  # two that wait for each other on a busy machine are many times slower


@pytest.fixture
def here(monkeypatch):
    """The jobs of a batch run in this process: for what does not depend on processes."""
    from kf_core.batch import pool

    made = []

    def in_this_process(todo, count, device, begun, stopping):
        for job in todo:
            if stopping(0.0):
                return
            begun(job)
            made.append(job.photo)
            yield jobs.run_job(job)
        stopping(0.0)

    monkeypatch.setattr(pool, "in_processes", in_this_process)
    monkeypatch.setattr("kf_core.stages.noise_level", lambda *_: 0.0)  # most of the work of so small a photo
    return made


def table(output):
    with open(output / "kf-batch.csv", encoding="utf-8", newline="") as file:
        return {row["photo"]: row for row in csv.DictReader(file)}


def results(output):
    return sorted(
        path.relative_to(output).as_posix()
        for path in output.rglob("*")
        if path.is_file() and WORK not in path.parts and not path.name.startswith("kf-batch.")
    )


def stray(folder):
    return [path.name for path in folder.rglob(".*") if path.is_file()]


# What comes of a folder


def test_a_batch_keeps_the_tree_and_one_bad_file_stops_nothing(tmp_path, here):
    source, output = make_photos(tmp_path / "in", "a.jpg", "a.png", "sub/deep/b.png"), tmp_path / "out"
    (source / "bad.png").write_bytes(b"not a photo")
    summary = run_batch(quick(source, output, recursive=True))
    assert summary.done == 3 and [entry.photo for entry in summary.failed] == ["bad.png"]
    assert results(output) == ["a.png", "a.png.png", "sub/deep/b.png"]
    assert Image.open(output / "sub/deep/b.png").size == (96, 80)
    rows = table(output)
    assert rows["bad.png"]["status"] == "failed" and "not a photo" in rows["bad.png"]["sentence"]
    made = rows["a.jpg"]
    assert (made["status"], made["kernel"], made["result"]) == ("done", "given", "a.png") and float(made["seconds"]) > 0
    for kind in ("plain", "result", "kernel"):
        assert Image.open(output / WORK / jobs.picture_name("a.jpg", kind)).size[0] == 96
    assert not stray(output) and not list((output / WORK).glob("running-*"))


def test_the_result_is_that_of_a_single_run(tmp_path, here):
    from kf_core.files.picture import read_picture
    from kf_core.pipeline import super_resolve

    photo = make_photo(tmp_path / "in" / "a.png")
    batch = quick(tmp_path / "in", tmp_path / "out")
    run_batch(batch)
    alone = super_resolve(read_picture(photo).pixels, batch.settings, kernel=KERNEL).image
    assert np.array_equal(read_picture(tmp_path / "out" / "a.png").pixels, alone)


def test_what_is_done_is_not_done_again_unless_something_changed(tmp_path, here):
    source, output = make_photos(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    (source / "bad.png").write_bytes(b"not a photo")
    batch = quick(source, output)
    run_batch(batch)
    del here[:]
    summary = run_batch(batch)
    assert here == ["bad.png"] and (summary.done, summary.before) == (0, 2)  # what failed is tried again

    make_photo(source / "bad.png", 5)
    make_photo(source / "b.png", 6, width=50)
    (output / "a.png").unlink()
    make_photo(source / "new.jpg")
    del here[:]
    assert run_batch(batch).done == 4 and here == ["a.png", "b.png", "bad.png", "new.jpg"]
    assert Image.open(output / "b.png").size[0] == 100
    del here[:]
    run_batch(replace(batch, settings=replace(batch.settings, seed=1)))
    assert len(here) == 4
    assert results(output) == ["a.png", "b.png", "bad.png", "new.png"]


def test_a_stopped_batch_says_what_is_done_and_goes_on(tmp_path, here):
    batch = quick(make_photos(tmp_path / "in", "a.png", "b.png", "c.png"), tmp_path / "out")
    events = []
    with pytest.raises(Cancelled, match="1 of 3 photos are done"):
        run_batch(batch, progress=events.append, should_stop=lambda: len(events) > 1)
    assert table(batch.output)["a.png"]["status"] == "done" and table(batch.output)["c.png"]["status"] == "waiting"
    assert (events[0].step, events[0].total) == (0, 3)
    assert run_batch(batch).before == 1
    assert results(batch.output) == ["a.png", "b.png", "c.png"]


def test_a_photo_under_way_ends_when_the_batch_does(tmp_path):
    photo = make_photo(tmp_path / "a.png")
    batch = quick(tmp_path, tmp_path / "out")
    job = jobs.Job(
        "a.png", "b.png", "k", photo, tmp_path / "b.png", tmp_path, tmp_path / "gone", batch.settings, KERNEL
    )
    assert jobs.run_job(job).state == "stopped"
    assert not (tmp_path / "b.png").exists()


def test_other_errors_than_ours_fail_one_photo_too(tmp_path, here, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("by zero")

    batch = quick(make_photos(tmp_path / "in", "a.png"), tmp_path / "out")
    monkeypatch.setattr("kf_core.pipeline.super_resolve", broken)
    (entry,) = run_batch(batch).failed
    assert "should not: by zero" in entry.sentence


def test_no_photo_is_a_sentence(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    with pytest.raises(BadInput, match="no photos in") as told:
        run_batch(quick(tmp_path / "in", tmp_path / "out"))
    assert "folders inside" in told.value.hint and not (tmp_path / "out").exists()


# What the command asks of every photo


@pytest.fixture
def kf(capsys, monkeypatch, here):
    return Kf(capsys, monkeypatch)


def test_every_photo_is_done_in_about_so_many_seconds(tmp_path, kf, here, monkeypatch):
    from kf_core.files.picture import read_picture
    from kf_core.pipeline import super_resolve

    def ten_seconds_a_pass(width, height, settings, known):
        return {"seconds": 10 * settings.finish.steps * (width > 48) + known}

    monkeypatch.setattr(pace, "estimate", ten_seconds_a_pass)
    source, output = make_photos(tmp_path / "in", "small.png"), tmp_path / "out"
    large = make_photo(source / "large.png", width=60)
    np.save(tmp_path / "k.npy", KERNEL)
    asked = ("batch", source, "--out", output, "--scale", 2, "--kernel", tmp_path / "k.npy", "--device", "cpu")
    asked = (*asked, "--set", "doubt=False", "--set", "finish.steps=7")
    assert kf(*asked, "--seconds", 50).status == 0
    rows = table(output)
    assert "4 passes in place of 7" in rows["large.png"]["sentence"] and "0.2 dB" in rows["large.png"]["sentence"]
    assert "passes" not in rows["small.png"]["sentence"]
    settings = quick(source, output).settings.with_overrides(["finish.steps=4"])
    alone = super_resolve(read_picture(large).pixels, settings, kernel=KERNEL).image
    assert np.array_equal(read_picture(output / "large.png").pixels, alone)

    del here[:]
    assert kf(*asked, "--seconds", 50).status == 0 and not here
    assert kf(*asked, "--seconds", 70).status == 0 and len(here) == 2  # another time may give another picture
    assert kf(*asked, "--seconds", 70, "--preset", "paper").status == 2 and "time cannot be chosen" in kf.err


@pytest.mark.slow
def test_the_blur_of_a_photo_may_vary_and_the_sheet_shows_the_map(tmp_path, kf):
    source, output = tmp_path / "in", tmp_path / "out"
    make_photo(source / "a.png", width=150)
    asked = ("batch", source, "--out", output, "--scale", 2, "--device", "cpu", "--varying")
    quickly = ("doubt=False", "refine.rounds=0", "finish.steps=1", "varying.least_side=96", "varying.threshold=0")
    asked = (*asked, *(part for each in quickly for part in ("--set", each)))
    assert kf(*asked).status == 0, kf.err
    assert "varies over the photo: it has 1 x 2 kernels" in table(output)["a.png"]["sentence"]
    width, height = Image.open(output / WORK / jobs.picture_name("a.png", "kernel")).size
    assert width > 1.8 * height
    np.save(tmp_path / "k.npy", KERNEL)
    for kernel, words in (("shared", "one kernel for all photos"), (tmp_path / "k.npy", "a kernel that is given")):
        refused = kf(*asked, "--kernel", kernel)
        assert refused.status == 2 and words in refused.err and "do not go together" in refused.err


def test_two_batches_into_one_folder_are_refused(tmp_path, here):
    from filelock import FileLock

    batch = quick(make_photos(tmp_path / "in", "a.png"), tmp_path / "out")
    run_batch(batch)
    with FileLock(tmp_path / "out" / WORK / "lock"), pytest.raises(AlreadyThere, match="Another batch"):
        run_batch(batch)
