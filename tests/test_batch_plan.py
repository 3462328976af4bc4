"""What a batch would do: which photos it finds, how it names their results, and what it refuses."""

import os
from pathlib import Path

import numpy as np
import pytest
from batch_photos import make_photo, make_photos, quick

from kf_core.batch.manifest import DONE, STARTED, Entry, Manifest, make_key
from kf_core.batch.plan import check_batch, check_room, name_results
from kf_core.batch.sources import MANIFEST, WORK, find_photos
from kf_core.errors import BadInput, CannotWrite
from kf_core.settings import Settings


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


# Which photos there are


def test_photos_are_found_by_their_suffix_in_order_and_hidden_ones_are_not(tmp_path):
    folder = touch(tmp_path / "in", "b.JPG", "a.png", "notes.txt", ".hidden.png", "sub/c.tif", ".trash/d.png")
    alone, all_of_them = (find_photos(folder, tmp_path / "out", recursive) for recursive in (False, True))
    assert alone.photos == ("a.png", "b.JPG") and alone.deeper
    assert all_of_them.photos == ("a.png", "b.JPG", "sub/c.tif")


def test_the_folder_of_the_results_is_not_read_under_any_name(tmp_path):
    folder = touch(tmp_path / "in", "a.png", "out/b.png", "other/c.png")
    (folder / "link").symlink_to("out")
    assert find_photos(folder, folder / "out", True).photos == ("a.png", "other/c.png")


def test_links_in_a_circle_end(tmp_path):
    folder = touch(tmp_path / "in", "a.png", "sub/b.png")
    (folder / "sub" / "up").symlink_to("..")
    (folder / "again").symlink_to("sub")
    found = find_photos(folder, tmp_path / "out", True)
    assert found.photos == ("a.png", "again/b.png")  # each folder once


def test_a_link_that_leads_nowhere_is_told_as_a_photo_rather_than_left_out(tmp_path):
    folder = touch(tmp_path / "in", "a.png")
    (folder / "lost.png").symlink_to("nowhere.png")
    assert find_photos(folder, tmp_path / "out", False).photos == ("a.png", "lost.png")


def test_a_folder_that_cannot_be_read_is_said_and_skipped(tmp_path, monkeypatch):
    folder, scan = touch(tmp_path / "in", "a.png", "locked/b.png", "z/c.png"), os.scandir

    def scandir(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_photos(folder, tmp_path / "out", True)
    assert found.photos == ("a.png", "z/c.png")
    assert found.notes == ("The folder 'locked' could not be read and was left out: permission denied.",)


def test_the_results_of_another_batch_are_left_out_and_said(tmp_path):
    folder = touch(tmp_path / "in", "a.png", "large/a.png", f"large/{WORK}/{MANIFEST}", f"large/{WORK}/x.jpg")
    found = find_photos(folder, tmp_path / "out", True)
    assert found.photos == ("a.png",) and "'large'" in found.notes[0]
    assert find_photos(folder / "large", tmp_path / "out", True).photos == ("a.png",)  # asked for by name


# What the results are called


def test_photos_of_one_name_get_results_of_different_names(tmp_path):
    batch = quick(tmp_path / "in", tmp_path / "out")
    names = name_results(["a.jpg", "a.png", "a.png.png", "B.png", "b.jpg", "sub/a.png"], batch, {})
    assert names == {
        "a.jpg": "a.png",
        "a.png": "a.png.png",
        "a.png.png": "a.png.png.png",
        "B.png": "B.png",
        "b.jpg": "b.jpg.png",  # some disks do not tell b from B
        "sub/a.png": "sub/a.png",
    }


def test_a_photo_keeps_the_name_of_its_result_when_others_come(tmp_path):
    batch = quick(tmp_path / "in", tmp_path / "out")
    before = {"a.png": Entry("a.png", "a.png", state=STARTED)}
    assert name_results(["a.jpg", "a.png"], batch, before) == {"a.jpg": "a.jpg.png", "a.png": "a.png"}


def test_files_that_are_not_the_batchs_own_are_never_replaced(tmp_path):
    batch = quick(tmp_path / "in", tmp_path / "out")
    touch(tmp_path / "out", "a.png")
    assert name_results(["a.png"], batch, {}) == {"a.png": "a.png.png"}
    touch(tmp_path / "out", "a.png.png", "a_2.png")
    assert name_results(["a.png"], batch, {}) == {"a.png": "a_3.png"}


def test_no_result_takes_the_place_of_a_photo(tmp_path):
    folder = make_photos(tmp_path / "x", "x/a.png", "a.png")
    batch = quick(folder / "x", folder)
    assert name_results(["a.png"], batch, {}) == {"a.png": "a.png.png"}
    above = quick(folder, tmp_path)  # x/a.png would become the photo x/a.png itself
    assert name_results(["a.png", "x/a.png"], above, {})["x/a.png"] == "x/a.png.png"


@pytest.mark.parametrize(("form", "suffix"), [("same", ".jpg"), ("tif", ".tif"), ("webp", ".webp")])
def test_the_format_decides_the_suffix(tmp_path, form, suffix):
    batch = quick(tmp_path / "in", tmp_path / "out", form=form)
    assert name_results(["a.JPG"], batch, {}) == {"a.JPG": f"a{suffix}"}
    if form == "same":
        assert name_results(["a.bmp"], batch, {}) == {"a.bmp": "a.png"}


# What is refused before any work


def test_results_between_the_photos_are_refused(tmp_path):
    make_photos(tmp_path / "in", "a.png")
    (tmp_path / "link").symlink_to("in")
    for output in (tmp_path / "in", tmp_path / "link", tmp_path / "in" / ".." / "in"):
        with pytest.raises(CannotWrite, match="between the photos"):
            check_batch(quick(tmp_path / "in", output))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"form": "gif"}, "no format 'gif'"),
        ({"form": "png", "quality": 80}, "no quality"),
        ({"shared": True}, "Choose one"),
        ({"cluster": "tcp://x:1", "workers": 2}, "own workers"),
        ({"workers": 0}, "0 processes"),
        ({"source": Path("no such folder")}, "is not there"),
        ({"seconds": 0.5}, "cannot be done in 0.5 seconds"),
    ],
)
def test_what_no_batch_can_do_is_refused(tmp_path, changes, words):
    make_photos(tmp_path / "in", "a.png")
    with pytest.raises(BadInput, match=words):
        check_batch(quick(**{"source": tmp_path / "in", "output": tmp_path / "out", **changes}))
    assert not (tmp_path / "out").exists()


def test_too_little_room_for_all_results_together_is_said_before_the_work(tmp_path, monkeypatch):
    photos = [make_photo(tmp_path / f"{name}.png") for name in "abc"]
    results = {photo: tmp_path / f"{photo.stem}_large.png" for photo in photos}
    one = 40 * 48 * 4 * 3
    monkeypatch.setattr("kf_core.files.atomic.free_space", lambda path: 3 * one)
    check_room(results, 2, None)
    monkeypatch.setattr("kf_core.files.atomic.free_space", lambda path: 3 * one - 1)
    with pytest.raises(CannotWrite, match="results of 3 photos"):
        check_room(results, 2, None)


# What is done already


def done_entry(photo, key="k", **changes):
    about = photo.stat()
    return Entry(**{**vars(Entry(photo.name, "r.png", key, DONE, about.st_size, about.st_mtime_ns)), **changes})


def test_what_is_done_is_known_by_photo_settings_and_result(tmp_path):
    photo, result = make_photo(tmp_path / "a.png"), touch(tmp_path, "r.png") / "r.png"
    manifest = Manifest(tmp_path / "m.jsonl")
    assert not manifest.is_done("a.png", photo, "k", result)
    manifest.add(done_entry(photo))
    assert manifest.is_done("a.png", photo, "k", result)
    assert not manifest.is_done("a.png", photo, "other settings", result)
    assert not manifest.is_done("a.png", photo, "k", tmp_path / "gone.png")
    make_photo(photo, seed=3)
    os.utime(photo, ns=(1, 1))
    assert not manifest.is_done("a.png", photo, "k", result)


def test_a_photo_that_was_only_copied_again_is_still_done(tmp_path):
    from kf_core.batch.manifest import sha256_of

    photo, result = make_photo(tmp_path / "a.png"), touch(tmp_path, "r.png") / "r.png"
    manifest = Manifest(tmp_path / "m.jsonl")
    manifest.add(done_entry(photo, sha256=sha256_of(photo)))
    os.utime(photo, ns=(1, 1))
    assert manifest.is_done("a.png", photo, "k", result)


def test_a_manifest_whose_last_line_was_torn_is_read_and_goes_on(tmp_path):
    path = tmp_path / "m.jsonl"
    first = Manifest(path)
    first.add(Entry("\udcff.png", "r.png", state=DONE))  # a name that is no text
    first.add(Entry("b.png", "b.png"))
    first.close()
    path.write_bytes(path.read_bytes()[:-20])
    again = Manifest(path)
    assert set(again.entries) == {"\udcff.png"}
    again.add(Entry("c.png", "c.png"))
    again.close()
    assert set(Manifest(path).entries) == {"\udcff.png", "c.png"}


def test_the_key_tells_what_changes_the_result_and_nothing_else():
    settings = Settings.preset("fast", scale=2)
    usual = make_key(settings, b"", ".png", None)
    assert usual == make_key(settings.with_overrides(["memory=1", "device=cpu"]), b"", ".png", None)
    kernel = np.full((4, 4), 1 / 16).tobytes()
    others = [
        make_key(settings.with_overrides(["seed=1"]), b"", ".png", None),
        make_key(settings, kernel, ".png", None),
        make_key(settings, b"", ".jpg", None),
        make_key(settings, b"", ".jpg", 80),
        make_key(settings, b"", ".png", None, 60.0),
    ]
    assert len({usual, *others}) == 6
