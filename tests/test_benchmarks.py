"""The benchmark's own arithmetic: what it scores must be what it says it scores."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import gpu_prior, kf12, prior
from benchmarks.kf12 import table
from benchmarks.kf144 import BORDER, KERNELS, PHOTOS, case_name, frame, pair, ssim
from kf_core import Settings
from kf_core.scores import luma, psnr
from kf_core.settings import FinishSettings


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


def test_the_prior_benchmark_keeps_what_is_done_and_adds_the_whole_method_where_asked(tmp_path, monkeypatch):
    asked = []

    def run_variant(case, patches, settings, blind):
        asked.append((patches.prior, patches.steps, blind))
        row = {"phase1_seconds": 1.0, "error_on_truth": float(patches.steps), "gain_known": 1.0}
        return row | ({"gain": 2.0, "cosine": 0.5} if blind else {})

    monkeypatch.setattr(prior, "run_variant", run_variant)

    def run(*extra):
        arguments = ["prior", "--cases", "0", "--adapted", "0", "--resume", "--out", str(tmp_path), *extra]
        monkeypatch.setattr("sys.argv", arguments)
        prior.main()

    run("--scratch", "5", "7")
    run("--scratch", "7", "--blind")
    assert asked == [
        ("none", 5, False),
        ("none", 7, False),
        ("bundled", 0, False),
        ("none", 7, True),
        ("bundled", 0, True),
    ]
    lines = (tmp_path / "prior.md").read_text().splitlines()
    assert len(lines) == 5
    assert next(line for line in lines if "| 5 |" in line).endswith("| 5.00 | +1.00 | – | – |")
    assert next(line for line in lines if "| 7 |" in line).endswith("| 7.00 | +1.00 | +2.00 | 0.500 |")


@pytest.mark.slow
def test_a_row_of_the_prior_benchmark_uses_the_network_that_phase_one_learned(monkeypatch):
    case = pair(0, 0, 32)
    settings = Settings.preset("fast", finish=FinishSettings(method="plug_and_play", steps=2))
    rows = [
        prior.run_variant(case, patches, settings, False)
        for patches in (prior.ADAPTED.__class__(prior="bundled", steps=0), prior.ADAPTED.__class__(channels=4, steps=1))
    ]
    assert rows[0]["error_on_truth"] < 0.6 * rows[1]["error_on_truth"]
    assert rows[0]["gain_known"] > rows[1]["gain_known"] + 0.5


def test_training_for_the_gpu_stops_in_time_and_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for i in range(2):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (70, 70, 3), dtype=np.uint8)).save(
            photos / f"{i}.png"
        )
    usual = ["gpu_prior", str(photos), str(out), "--steps", "3", "--channels", "4", "--batch", "2", "--device", "cpu"]
    monkeypatch.setattr("sys.argv", [*usual, "--seconds", "0"])
    with pytest.raises(SystemExit, match="0"):
        gpu_prior.main()
    assert "not finished" in capsys.readouterr().out and (out / "pd-4.training").exists()
    monkeypatch.setattr("sys.argv", usual)
    gpu_prior.main()
    assert capsys.readouterr().out.endswith("finished\n")
    assert json.loads((out / "pd-4.json").read_text())["recipe"]["steps"] == 3
