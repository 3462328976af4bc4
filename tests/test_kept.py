"""Large photos that were not finished: the same job finds what is done, and nothing lies about for ever."""

import errno
import os
import time

import numpy as np
import pytest
from filelock import FileLock

import kf_core
from kf_core import kept as keeping
from kf_core import stages
from kf_core.cli import console
from kf_core.cli.main import app
from kf_core.errors import Cancelled, CannotWrite
from kf_core.files.picture import Picture, read_picture, write_picture
from kf_core.kept import DAYS, kept
from kf_core.unfinished import DONE, PIXELS, Unfinished

SETTINGS = kf_core.Settings.preset("fast", scale=2, device="cpu").with_overrides(["memory=0.005"])
LARGE = np.zeros((200, 200, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "unfinished"


def begun(folder):
    Unfinished.begin(folder, "job", (4, 4), np.dtype("u1")).add((0, 0, 2, 2), 0.5, None)


def test_a_folder_is_found_again_by_the_same_job_only():
    with pytest.raises(Cancelled, match="kept"), kept(LARGE, SETTINGS) as folder:
        begun(folder)
        raise Cancelled()
    assert (folder / DONE).exists()
    other = SETTINGS.with_overrides(["finish.steps=3"])
    for different in ((LARGE + 1, SETTINGS), (LARGE, other), (LARGE, SETTINGS, np.ones((12, 12)) / 144)):
        with kept(*different) as elsewhere:
            assert elsewhere not in (None, folder)
    with kept(LARGE.copy(), SETTINGS) as again:
        assert again == folder and (folder / DONE).exists()
    assert not folder.exists()  # it was finished


def test_where_nothing_was_done_nothing_is_left_or_said(cache):
    with pytest.raises(Cancelled, match="nothing was written"), kept(LARGE, SETTINGS) as folder:
        raise Cancelled()
    assert not folder.exists()


def test_an_error_keeps_what_is_done():
    with pytest.raises(CannotWrite), kept(LARGE, SETTINGS) as folder:
        begun(folder)
        raise CannotWrite("The disk is full.")
    assert (folder / DONE).exists()


def test_a_photo_that_is_made_at_once_needs_none(cache):
    with kept(LARGE[:32, :32], SETTINGS) as folder:
        assert folder is None
    assert not cache.exists()


def test_two_at_the_same_job_do_not_share_a_folder():
    with kept(LARGE, SETTINGS) as folder, kept(LARGE, SETTINGS) as second:
        assert folder is not None and second is None


def test_where_nothing_can_be_kept_the_work_goes_on(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder would be")
    with kept(LARGE, SETTINGS) as folder:
        assert folder is None


def test_what_nobody_came_back_for_is_deleted(cache):
    old, new = cache / "old", cache / "new"
    for folder in (old, new):
        begun(folder)
    (cache / "old.lock").touch()
    long_ago = time.time() - (DAYS + 1) * 86_400
    for path in (old, old / DONE, old / PIXELS, cache / "old.lock"):
        os.utime(path, (long_ago, long_ago))
    with kept(LARGE, SETTINGS):
        pass
    assert new.exists() and not old.exists() and not (cache / "old.lock").exists()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve room")
def test_a_full_disk_is_told_before_the_work(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CannotWrite, match="cannot be kept"):
        Unfinished.begin(tmp_path / "a", "job", (4, 4), np.dtype("u1"))
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: full_of_another_kind())
    Unfinished.begin(tmp_path / "b", "job", (4, 4), np.dtype("u1"))


def full_of_another_kind():
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


def test_room_is_really_claimed(tmp_path):
    Unfinished.begin(tmp_path / "a", "job", (1000, 1000), np.dtype("u1"))
    assert os.stat(tmp_path / "a" / PIXELS).st_blocks * 512 >= 1_000_000


@pytest.mark.slow
def test_the_command_stopped_and_given_again_makes_only_what_is_missing(tmp_path, monkeypatch, capsys, cache):
    monkeypatch.setattr(stages, "tile_side", lambda scale, memory: 80)
    photo, kernel, out, whole = (tmp_path / name for name in ("photo.png", "k.npy", "out.png", "whole.png"))
    pixels = np.random.default_rng(0).integers(0, 256, (150, 160, 3), dtype=np.uint8)
    write_picture(photo, Picture(pixels))
    np.save(kernel, np.full((12, 12), 1 / 144))
    made = []
    usual = stages.RestoreImage.at_once

    def counted(self, state, run, **how):
        if len(made) == 2 and console.stop.asked is None:
            console.stop.asked = True
        made.append(state.photo.place)
        return usual(self, state, run, **how)

    monkeypatch.setattr(stages.RestoreImage, "at_once", counted)

    def upscale(to, asked):
        made.clear()
        monkeypatch.setattr(console.stop, "asked", asked)
        words = ["upscale", photo, "-o", to, "--scale", 2, "--kernel", kernel, "--quiet"]
        words += ["--set", "finish.steps=1", "--set", "memory=0.005", "--device", "cpu"]
        import typer

        try:
            typer.main.get_command(app).main([str(word) for word in words], prog_name="kf", standalone_mode=False)
        except Exception as error:
            return console.complain(error)
        return 0

    assert upscale(whole, False) == 0 and len(made) == 4
    assert upscale(out, None) == 130 and not out.exists()
    assert "goes on from there" in capsys.readouterr().err and len(list(cache.glob(f"*/{DONE}"))) == 1
    assert upscale(out, False) == 0 and len(made) == 2
    assert np.array_equal(read_picture(out).pixels, read_picture(whole).pixels)
    assert not list(cache.glob(f"*/{DONE}"))


def test_a_folder_in_use_by_another_process_is_left_alone(cache):
    with kept(LARGE, SETTINGS) as folder:
        pass
    with FileLock(folder.with_suffix(".lock")), kept(LARGE, SETTINGS) as second:
        assert second is None
