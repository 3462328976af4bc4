"""Large photos: in tiles as at once, whatever the tiles, and with what was done kept."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

import kf_core
from kf_core import stages
from kf_core.physics.kernel import gaussian_kernel
from kf_core.physics.noise_field import NoiseField
from kf_core.tiled import OVERLAP, fits_at_once, tile_side, tiles, widened

SCALE = 2
KERNEL = gaussian_kernel(12, 1.5).numpy()
FEW = ["finish.steps=3"]
TILED = [*FEW, "memory=0.008"]


def settings(*overrides, **changes):
    return kf_core.Settings.preset("fast", scale=SCALE, device="cpu", **changes).with_overrides(overrides)


class Soft:
    """A denoiser that costs nothing."""

    reach, multiple = 2, 1

    def __call__(self, noisy, sigma):
        return functional.avg_pool2d(functional.pad(noisy, (2,) * 4, mode="replicate"), 5, 1)


def sharpened(photo, *overrides, **more):
    asked = {"kernel": KERNEL, "denoiser": Soft()} | more
    return kf_core.super_resolve(photo, settings(*(overrides or FEW)), **asked)


@pytest.fixture(scope="module")
def photo():
    """Waves of many lengths and directions, a gradient, and an edge."""
    y, x = np.mgrid[:150, :190] / 30
    waves = np.sin(x * y) + np.cos(3 * x - 5 * y) + (x > 3) + x / 4
    colours = np.stack([waves, np.roll(waves, 7, 0), waves[::-1]], 2)
    return ((colours - colours.min()) / np.ptp(colours) * 235 + 10).astype(np.uint8)


@pytest.fixture(scope="module")
def at_once(photo):
    return sharpened(photo)


def small_tiles(monkeypatch, side=48):
    monkeypatch.setattr(stages, "tile_side", lambda scale, memory: side)
    monkeypatch.setattr(stages, "fits_at_once", lambda *photo: False)


def test_a_field_of_noise_is_white_and_the_same_in_every_part():
    field = NoiseField(2**60 + 1)
    whole = field(4, -70, -3, 200, 260)
    assert torch.equal(field(4, -10, 61, 50, 130), whole[:, :, 60:110, 64:194])
    assert abs(float(whole.mean())) < 0.02 and abs(float(whole.std()) - 1) < 0.02
    for other in (NoiseField(2**60)(4, -70, -3, 200, 260), field(5, -70, -3, 200, 260), field(4, -6, 61, 200, 260)):
        assert abs(float((whole * other).mean())) < 0.02  # another seed, step, place
    assert NoiseField.drawn(torch.Generator().manual_seed(1)).seed == NoiseField.drawn(torch.manual_seed(1)).seed


@pytest.mark.parametrize(("height", "width", "side"), [(100, 100, 33), (33, 97, 200), (64, 65, 32)])
def test_tiles_cover_every_pixel_once(height, width, side):
    count = np.zeros((height, width), int)
    for top, left, rows, columns in tiles((0, 0, height, width), side):
        assert rows <= side and columns <= side
        count[top : top + rows, left : left + columns] += 1
        outer = widened((top, left, rows, columns), height, width)
        assert outer[0] == max(0, top - OVERLAP) and outer[1] + outer[3] == min(width, left + columns + OVERLAP)
    assert (count == 1).all()


def test_a_tile_with_its_surroundings_fits_into_the_memory_that_is_set():
    for scale, memory in ((2, 2.0), (4, 2.0), (4, 0.5)):
        side = tile_side(scale, memory) + 2 * OVERLAP
        assert fits_at_once(side, side, scale, memory) and not fits_at_once(side + 1, side + 1, scale, memory)


def test_in_tiles_the_result_is_what_it_is_at_once(photo, at_once, monkeypatch):
    small_tiles(monkeypatch)
    found = sharpened(photo)
    difference = np.abs(found.image.astype(int) - at_once.image)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01  # of rounding
    assert found.report["output_size"] == at_once.report["output_size"]
    assert found.report["consistency_rms_grey_levels"] == pytest.approx(
        at_once.report["consistency_rms_grey_levels"], rel=0.2
    )


@pytest.mark.parametrize("denoiser", [Soft(), None], ids=["soft", "prior"])
def test_in_tiles_values_agree_to_a_thousandth(photo, monkeypatch, denoiser):
    values = photo[:70, :120].astype(np.float32) / 255
    exact = ("finish.steps=2", "finish.precision=fp32")  # a processor's bfloat16 rounds to 4e-3
    whole = sharpened(values, *exact, denoiser=denoiser).image
    small_tiles(monkeypatch, 64)
    assert np.abs(sharpened(values, *exact, denoiser=denoiser).image - whole).max() < 1e-3


def test_no_seam_shows_on_a_gradient(monkeypatch):
    small_tiles(monkeypatch)
    slope = np.repeat(np.linspace(60, 200, 160)[None], 120, 0).astype(np.float32) / 255
    found = sharpened(slope).image
    jumps = {
        axis: np.abs(np.diff(found, axis=axis)).mean(1 - axis)[30:-30] for axis in (0, 1)
    }  # of grey noise that the walk leaves
    seams = {0: [80 - 31, 160 - 31], 1: [80 - 31, 160 - 31, 240 - 31]}
    for axis, jump in jumps.items():
        assert jump[seams[axis]].max() < jump.mean() + 4 * jump.std()


def test_tiles_are_made_by_memory_and_a_frame_stays(photo):
    framed = np.full((photo.shape[0] + 40, photo.shape[1] + 40, 3), 255, np.uint8)
    framed[20:-20, 20:-20] = photo
    one = sharpened(framed)
    told = []
    found = sharpened(framed, *TILED, progress=told.append)
    assert found.report["frame"] == [20, 20, 20, 20]
    assert np.abs(found.image.astype(int) - one.image).max() <= 1
    finish = [each for each in told if each.phase == "finish"]
    assert len(finish) == finish[-1].total > 3 and finish[-1].step == finish[-1].total
    regions = {each.preview()["region"] for each in finish}
    assert len(regions) > 1 and all(top >= 20 and left >= 20 for top, left, _, _ in regions)
    fractions = [each.fraction for each in told]
    assert fractions == sorted(fractions)


def test_a_recovered_kernel_is_doubted_alike_in_every_tile(photo, monkeypatch):
    blind = settings("refine.rounds=0", *FEW, kernel_crop=64)
    small_tiles(monkeypatch)
    found = kf_core.super_resolve(photo, blind, denoiser=Soft())
    assert 0 < found.report["confidence"] <= 1 and found.image.shape == (300, 380, 3)


def test_where_memory_runs_out_the_tile_is_halved(photo, at_once, monkeypatch):
    small_tiles(monkeypatch, 100)
    usual, sizes = stages.restore, []

    def scarce(tile, *rest):
        sizes.append(tile.size)
        if max(tile.size) > 110:
            raise MemoryError
        return usual(tile, *rest)

    monkeypatch.setattr(stages, "restore", scarce)
    found = sharpened(photo)
    assert np.abs(found.image.astype(int) - at_once.image).max() <= 1 and max(max(size) for size in sizes) > 110

    def scarcer(*everything):
        raise MemoryError

    monkeypatch.setattr(stages, "restore", scarcer)
    with pytest.raises(kf_core.OutOfMemory):
        sharpened(photo)


def test_what_is_done_is_kept_and_gone_on_with(photo, at_once, monkeypatch, tmp_path):
    small_tiles(monkeypatch)
    usual, made = stages.restore, []

    def counted(tile, *rest):
        made.append(tile.place)
        return usual(tile, *rest)

    monkeypatch.setattr(stages, "restore", counted)
    folder = tmp_path / "unfinished"
    with pytest.raises(kf_core.Cancelled):
        sharpened(photo, unfinished=folder, should_stop=lambda: len(made) > 4)
    before = len(made) - 1  # the last was not finished
    assert len(json.loads((folder / "done.json").read_text())["done"]) == before
    found = sharpened(photo, unfinished=folder)
    assert np.abs(found.image.astype(int) - at_once.image).max() <= 1
    assert len(made) - 1 - before == 4 * 4 - before
    made.clear()
    again = sharpened(photo, unfinished=folder)
    assert not made  # all is there, and what is told of it
    told = "consistency_rms_grey_levels"
    assert np.array_equal(again.image, found.image) and again.report[told] == pytest.approx(found.report[told])
    sharpened(photo, "finish.steps=2", unfinished=folder)
    assert len(made) == 16  # another job


def test_a_damaged_folder_is_begun_anew_and_a_missing_one_is_told(photo, monkeypatch, tmp_path):
    small_tiles(monkeypatch)
    (tmp_path / "done.json").write_text("{")
    assert sharpened(photo, unfinished=tmp_path).image.shape == (300, 380, 3)
    (tmp_path / "file").write_text("")
    with pytest.raises(kf_core.BadInput, match="unfinished"):
        sharpened(photo, unfinished=tmp_path / "file" / "folder")
