"""What the tool puts out. Sheets and kernel pictures: what is shown is what was given, at the size and place it should
have. Then writing itself: a file appears whole or not at all, and a hopeless place is named before the work begins.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kf_core import BadInput
from kf_core.files.atomic import check_writable_folder, write_atomically
from kf_core.files.figure import contact_sheet, kernel_picture, side_by_side
from kf_core.files.picture import Picture, check_writable, write_picture


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def find(sheet: np.ndarray, panel: np.ndarray) -> list[tuple[int, int]]:
    """(row, column) of every place where `panel`, grey or RGB, stands in `sheet` pixel for pixel."""
    if panel.ndim == 2:
        panel = np.stack([panel] * 3, axis=-1)
    height, width = panel.shape[:2]
    inside = sheet[: len(sheet) - height + 1, : sheet.shape[1] - width + 1]
    candidates = np.argwhere((inside == panel[0, 0]).all(-1))
    return [(r, c) for r, c in candidates.tolist() if np.array_equal(sheet[r : r + height, c : c + width], panel)]


def enlarged(pixels: np.ndarray, factor: int) -> np.ndarray:
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 300), st.integers(0, 99))
def test_kernel_picture_has_square_taps_in_proportion(size, side, seed):
    kernel = np.random.default_rng(seed).random((size, size)) ** 3
    shown = kernel_picture(kernel, side)
    factor = shown.shape[0] // size
    assert shown.dtype == np.uint8 and shown.shape == (size * factor, size * factor)
    assert shown.shape[0] <= max(side, size) < shown.shape[0] + size
    np.testing.assert_array_equal(shown, enlarged(shown[::factor, ::factor], factor))
    np.testing.assert_allclose(shown[::factor, ::factor], kernel / kernel.max() * 255, atol=0.51)


@pytest.mark.parametrize(
    "kernel, expected",
    [
        ([[0.0, 0.0], [0.0, 0.0]], [[0, 0], [0, 0]]),
        ([[2.0, 1.0], [1.0, 2.0]], [[255, 128], [128, 255]]),  # black is zero, not the smallest tap
        ([[-1.0, 0.0], [1.0, 3.0]], [[0, 64], [128, 255]]),
        ([[np.nan, 1.0], [0.0, np.inf]], [[0, 255], [0, 0]]),  # of a run that diverges, before it is stopped
    ],
)
def test_kernel_picture_levels(kernel, expected):
    np.testing.assert_array_equal(kernel_picture(np.array(kernel), 2), expected)


@pytest.mark.parametrize("colours", [(), (3,)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_side_by_side_shows_all_four_from_left_to_right(colours, scale):
    lr, kernel = noise(36, 48, *colours, seed=1), np.random.default_rng(2).random((6, 6))
    bicubic, result = (noise(36 * scale, 48 * scale, *colours, seed=seed) for seed in (3, 4))
    sheet = side_by_side(lr, bicubic, result, kernel)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3
    panels = [enlarged(lr, scale), bicubic, result, kernel_picture(kernel, 36 * scale)]
    places = [find(sheet, panel) for panel in panels]
    assert [len(place) for place in places] == [1, 1, 1, 1]
    tops, lefts = zip(*(place[0] for place in places), strict=True)
    assert len(set(tops)) == 1 and list(lefts) == sorted(lefts)
    # Even margins: as much paper at the top and at the left, and a label below every panel.
    assert tops[0] == lefts[0] > 0
    below = sheet[tops[0] + 36 * scale + 1 :]
    for left, panel in zip(lefts, panels, strict=True):
        assert below[:, left : left + panel.shape[1]].min() < 160 and (below[-1] > 240).all()


def test_a_title_takes_room_above_the_panels_and_is_never_cut():
    lr, result, kernel = noise(32, 32), noise(64, 64), np.eye(6)
    plain = side_by_side(lr, result, result, kernel)
    titled = side_by_side(lr, result, result, kernel, title="Chambord")
    long = side_by_side(lr, result, result, kernel, title="A photo of Chambord " * 9)
    assert titled.shape[1] == plain.shape[1] and titled.shape[0] > plain.shape[0]
    top = find(titled, result)[0][0]
    assert (titled[: top - 1] < 100).any()
    assert long.shape[1] > plain.shape[1] and (long[:, -4:] > 240).all()


def test_contact_sheet_is_a_grid_of_cells_of_one_height():
    kernels = np.random.default_rng(5).random((2, 8, 8))
    big, wide = noise(64, 64, 3, seed=6), noise(32, 48, seed=7)
    small = noise(16, 16, 3, seed=8)
    rows = [[small, big, kernels[0]], [wide, None, kernels[1]]]
    sheet = contact_sheet(rows, ["input", "truth", "kernel"], ["first", "second"])
    cells = [[enlarged(small, 4), big, kernel_picture(kernels[0], 64)]]
    cells += [[enlarged(wide, 2), None, kernel_picture(kernels[1], 64)]]
    places = [[None if cell is None else find(sheet, cell) for cell in row] for row in cells]
    assert all(len(place) == 1 for row in places for place in row if place is not None)
    (first, second, third), (below, _, last) = [[place and place[0] for place in row] for row in places]
    assert first[0] == second[0] == third[0] and below[0] == last[0] >= first[0] + 64
    assert first[1] + 32 == below[1] + 48  # both in the middle of their column
    assert first[1] < second[1] < third[1] == last[1]
    assert (sheet[: first[0] - 1, second[1] : second[1] + 64] < 100).any()  # the heading
    assert (sheet[first[0] : first[0] + 64, : below[1] - 1] < 100).any()  # the label
    assert (sheet[below[0] : below[0] + 64, second[1] : second[1] + 64] > 240).all()  # the empty cell


def test_contact_sheet_reduces_large_cells_by_averaging():
    fine = np.indices((64, 64)).sum(0).astype(np.uint8) % 2 * 200
    sheet = contact_sheet([[fine]], ["x"], ["y"], height=32)
    assert len(find(sheet, np.full((32, 32), 100, np.uint8))) == 1


@pytest.mark.parametrize(
    "rows, headings, labels",
    [
        ([], ["a"], []),
        ([[]], [], ["x"]),
        ([[np.zeros((9, 9), np.uint8)]], ["a", "b"], ["x"]),
        ([[np.zeros((9, 9), np.uint8)]], ["a"], ["x", "y"]),
    ],
)
def test_contact_sheet_refuses_what_does_not_fit(rows, headings, labels):
    with pytest.raises(ValueError, match="cells"):
        contact_sheet(rows, headings, labels)


@contextlib.contextmanager
def locked_folder():
    """A folder that we may not write to, even where the tests run as the administrator."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o555)
        administrator = os.geteuid() == 0
        if administrator:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if administrator:
                os.seteuid(0)
            os.chmod(name, 0o755)


def assert_refused(path, word):
    """By the check and by writing, so that a long run does not end at a place that the first look has passed."""
    for call in (check_writable, lambda path: write_picture(path, Picture(noise(40, 36)))):
        with pytest.raises(BadInput, match=word) as caught:
            call(path)
        assert caught.value.hint


def test_a_folder_without_permission_is_refused():
    with locked_folder() as folder:
        assert_refused(folder / "a.png", "may not be written")
        with pytest.raises(BadInput, match="may not be written"):
            check_writable_folder(folder / "a.npy")
        assert os.listdir(folder) == []


@pytest.mark.parametrize(
    "name, word",
    [
        ("none/a.png", "no folder"),
        ("folder.png", "is a folder"),
        ("pipe.png", "ordinary"),
        ("a", "format"),
        ("a.bmp", "format"),
    ],
)
def test_places_that_cannot_be_written_are_refused(tmp_path, name, word):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    assert_refused(tmp_path / name, word)
    assert sorted(os.listdir(tmp_path)) == ["folder.png", "pipe.png"]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp", ".PNG"])
def test_check_writable_accepts_what_can_be_written_and_changes_nothing(tmp_path, suffix):
    (tmp_path / "old.png").write_bytes(b"old")
    check_writable(tmp_path / "old.png")
    check_writable(tmp_path / f"new{suffix}")
    check_writable_folder(tmp_path / "new.npy")
    assert os.listdir(tmp_path) == ["old.png"] and (tmp_path / "old.png").read_bytes() == b"old"


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize(
    "error, expected, word",
    [
        (RuntimeError("stop"), RuntimeError, "stop"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
        (OSError(errno.ENOSPC, "x"), BadInput, "disk is full"),
        (OSError(errno.EIO, "I/O trouble"), BadInput, "i/o trouble"),
    ],
)
def test_a_failed_write_leaves_what_was_there(tmp_path, old, error, expected, word):
    if old is not None:
        (tmp_path / "a.png").write_bytes(old)
    before = os.listdir(tmp_path)

    def write(file):
        file.write(b"half")
        raise error

    with pytest.raises(expected, match=word):
        write_atomically(tmp_path / "a.png", write)
    assert os.listdir(tmp_path) == before
    assert old is None or (tmp_path / "a.png").read_bytes() == old


def test_a_written_file_replaces_the_old_one_obeys_the_umask_and_keeps_links(tmp_path):
    (tmp_path / "a").write_bytes(b"a longer old content")
    (tmp_path / "link").symlink_to("a")
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "link", lambda file: file.write(b"new"))
    finally:
        os.umask(old)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["a", "link"]


def test_a_picture_too_large_for_the_format_is_refused(tmp_path):
    with pytest.raises(BadInput, match="16384 x 1 pixels"):
        write_picture(tmp_path / "a.webp", Picture(np.zeros((1, 16384), np.uint8)))
    assert os.listdir(tmp_path) == []
