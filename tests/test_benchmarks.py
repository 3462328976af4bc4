"""The benchmark's own arithmetic: what it scores must be what it says it scores."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import kf12
from benchmarks.kf12 import table
from benchmarks.kf144 import BORDER, KERNELS, PHOTOS, case_name, frame, luma, pair, psnr, ssim


def test_there_are_twelve_photographs_and_twelve_kernels_of_sum_one():
    assert len(PHOTOS) == len(KERNELS) == 12
    for path in KERNELS:
        taps = np.load(path)
        assert taps.shape == (24, 24)
        assert taps.sum() == pytest.approx(1, abs=1e-5)
        assert taps.min() >= 0


def test_a_pair_is_cut_from_the_whole_photograph_so_that_nothing_at_its_edges_is_invented():
    whole, centre = pair(2, 5), pair(2, 5, 112)
    top, left = (whole.lr.shape[0] - 112) // 2, (whole.lr.shape[1] - 112) // 2
    assert np.array_equal(centre.lr, whole.lr[top : top + 112, left : left + 112])
    assert centre.hr.shape == (448, 448, 3)
    assert np.array_equal(centre.hr, whole.hr[4 * top : 4 * top + 448, 4 * left : 4 * left + 448])


def test_lr_is_hr_through_the_kernel_at_one_pixel_worked_out_by_hand():
    case = pair(4, 0)
    row, column = 30, 70
    window = case.hr[4 * row - 10 : 4 * row + 14, 4 * column - 10 : 4 * column + 14].astype(np.float64)
    expected = np.tensordot(case.kernel.astype(np.float64), window, axes=2)
    assert np.abs(case.lr[row, column] - expected).max() <= 0.501


def test_luma_is_that_of_pillow_within_its_studio_range():
    colours = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    full = np.asarray(Image.fromarray(colours).convert("YCbCr"))[:, :, 0].astype(np.float64)
    assert np.abs(luma(colours) - (16 + full * 219 / 255)).max() < 0.9  # Pillow cuts off fractions


def test_psnr_of_a_known_error_and_where_it_is_looked_for():
    truth = np.full((80, 80, 3), 100, dtype=np.uint8)
    off = truth + np.uint8(10)
    assert psnr(off, truth) == pytest.approx(20 * np.log10(255 / (10 * 219 / 255)), abs=0.01)
    only_edge = truth.copy()
    only_edge[:5] += 50
    assert psnr(only_edge, truth) > 100  # shaved off
    assert psnr(only_edge, truth, frame(truth.shape)) < 40
    assert frame(truth.shape).sum() == 80**2 - (80 - 2 * BORDER) ** 2


def test_ssim_is_one_only_for_the_same_picture():
    pytest.importorskip("torchmetrics")
    truth = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert ssim(truth, truth) == pytest.approx(1)
    assert ssim(truth[::-1], truth) < 0.5


def test_the_table_ends_with_the_mean():
    row = {c: 1.0 for c in ("psnr", "ssim", "gain", "cosine", "seconds", "border", "middle")}
    row |= {"case": "a", "bicubic_border": 1.0, "bicubic_middle": 1.0}
    lines = table([row, {**row, "case": "b", "gain": 3.0}]).splitlines()
    assert len(lines) == 5
    assert "+2.00" in lines[-1] and "mean" in lines[-1]


def test_a_resumed_run_does_the_cases_that_are_missing_and_no_others(tmp_path, monkeypatch):
    row = {**dict.fromkeys(kf12.COLUMNS, 1.0), "case": case_name(3, 3)}
    (tmp_path / "run.json").write_text(json.dumps({"rows": [row]}))
    done = []

    def run_case(index, *_):
        done.append(index)
        return {**row, "case": case_name(index, index)}, [np.zeros((8, 8), dtype=np.uint8)] * 6

    monkeypatch.setattr(kf12, "run_case", run_case)
    arguments = ["kf12", "--cases", "2", "3", "--resume", "--name", "run", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    kf12.main()
    rows = json.loads((tmp_path / "run.json").read_text())["rows"]
    assert done == [2] and [r["case"] for r in rows] == [case_name(3, 3), case_name(2, 2)]
