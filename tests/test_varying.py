"""Blur that varies over the frame: the map of kernels, the fall back to one, and what is told of it."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

import kf_core
from kf_core import regions, stages
from kf_core.cost import Cost
from kf_core.errors import BadSetting
from kf_core.estimate import estimate
from kf_core.files.figure import kernels_picture
from kf_core.kernels.base import Estimate
from kf_core.physics.kernel import gaussian_kernel
from kf_core.physics.varying import KernelMap, VaryingBlur

torch.set_num_threads(1)


@pytest.mark.parametrize(("length", "count"), [(95, 1), (112, 1), (167, 1), (168, 2), (224, 3), (4000, 4)])
def test_regions_overlap_by_half_and_none_is_small(length, count):
    found = regions.sides(length, 112, 4)
    assert len(found) == count and found[0][0] == 0 and sum(found[-1]) == length
    assert all(side >= min(112, length) for _, side in found)
    for (start, side), (following, _) in zip(found, found[1:], strict=False):
        assert start + side // 3 < following < start + side * 2 // 3


# The stage, in a run. Estimators that read the photo cost seconds; these know where a region lies by its brightness.

SCALE = 2
QUICK = ("finish.steps=1", "finish.prior_weight_recovered=0.3", "refine.rounds=0", "doubt=False")
VARYING = ("varying.regions=4", "varying.least_side=96")


def settings(*more):
    return kf_core.Settings.preset("fast", scale=SCALE, device="cpu").with_overrides([*QUICK, *more])


class Soft:
    reach, multiple = 2, 1

    def __call__(self, noisy, sigma):
        return functional.avg_pool2d(functional.pad(noisy, (2,) * 4, mode="replicate"), 5, 1)


@pytest.fixture
def photo():
    y, x = np.mgrid[:100, :200]
    waves = np.sin(x * y / 900) + np.cos(x / 3 - y / 5) + (x % 40 > 20)
    return ((waves - waves.min()) / np.ptp(waves) * 235 + 10).astype(np.uint8)


def line(angle, size=12):
    """A stroke through the middle, at an angle in radians from the columns' axis."""
    at = torch.arange(size) - (size - 1) / 2
    y, x = at[:, None], at[None]
    across, along = y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)
    taps = torch.exp(-0.5 * (across / 0.8) ** 2) * (along.abs() < 4.5)
    return taps / taps.sum()


class Turning:
    """In place of LearnedKernel: kernels that turn from the left edge to the right, `turn` radians in all."""

    turn, calls = 0.0, 0

    def __init__(self, network, settings):
        pass

    def cost(self, height, width):
        return Cost(1.0)

    def __call__(self, photo, run):
        Turning.calls += 1
        middle = photo.place[1] + photo.size[1] / 2
        return Estimate(line(0.3 + self.turn * middle / 200), "recovered", agreement=0.999)


@pytest.fixture
def turning(monkeypatch):
    monkeypatch.setattr("kf_core.pipeline.LearnedKernel", Turning)
    monkeypatch.setattr(Turning, "calls", 0)

    def by(turn):
        monkeypatch.setattr(Turning, "turn", turn)

    return by


def run(photo, *more, **asked):
    return kf_core.super_resolve(photo, settings(*more), denoiser=Soft(), **asked)


def test_where_regions_agree_the_result_is_that_of_one_kernel_bit_by_bit(photo, turning):
    turning(0.1)
    one, many = run(photo), run(photo, *VARYING)
    assert Turning.calls == 1 + 1 + 3
    assert np.array_equal(one.image, many.image) and np.array_equal(one.kernel, many.kernel)
    assert many.kernels is None and many.report["regions"]["kernels"] is None
    assert 0 < many.report["regions"]["unlike"] < 0.021
    assert "One kernel" in many.report["regions"]["sentence"] and "regions" not in one.report


def test_where_they_do_not_the_kernels_turn_over_the_photo(photo, turning):
    turning(1.5)
    one, many = run(photo), run(photo, *VARYING)
    grid = many.kernels
    assert grid.kernels.shape == (1, 3, 12, 12) and np.allclose(grid.kernels.sum((2, 3)), 1, atol=1e-5)
    assert np.allclose(grid.rows, [49.5]) and np.allclose(grid.columns, [49.5, 99.5, 149.5])
    assert not np.array_equal(one.image, many.image)
    for column, place in enumerate(grid.columns):  # nearer to its own place's kernel than any other is
        own = line(0.3 + 1.5 * (place + 0.5) / 200).numpy()
        scores = [(grid.kernels[0, other] * own).sum() / np.linalg.norm(grid.kernels[0, other]) for other in range(3)]
        assert int(np.argmax(scores)) == column
    told = many.report["regions"]
    assert (told["rows"], told["columns"]) == (1, 3) and told["unlike"] > 0.021 and "varies" in told["sentence"]
    assert np.allclose(told["kernels"]["kernels"], grid.kernels, atol=1e-6)
    json.dumps(many.report)


@pytest.mark.slow
def test_the_map_explains_a_photo_that_was_blurred_by_it_better_than_one_kernel(turning):
    turning(1.5)
    sharp = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 42, 82)))
    sharp = functional.interpolate(sharp.clamp(-2, 2) / 2, (210, 410)).expand(1, 3, -1, -1).float()
    places = torch.arange(0, 200.0, 10)
    taps = torch.stack([line(0.3 + 1.5 * float(place + 0.5) / 200) for place in places])[None]
    truth = VaryingBlur(KernelMap(torch.zeros(1), places, taps), SCALE, taps[0, 0], (0, 0, 100, 200))
    lr = ((truth.A(sharp)[0].permute(1, 2, 0).numpy() * 0.5 + 0.5) * 255).round().clip(0, 255).astype(np.uint8)
    exact = "finish.prior_weight_recovered=0.03"
    one, many = run(lr, exact), run(lr, *VARYING, exact)
    errors = [found.report["consistency_rms_grey_levels"] for found in (one, many)]
    assert many.kernels is not None and errors[1] < 0.8 * errors[0]


@pytest.mark.slow
def test_in_tiles_the_map_is_the_same_and_no_seam_shows(photo, turning, monkeypatch):
    turning(1.5)
    whole = run(photo, *VARYING).image
    monkeypatch.setattr(stages, "tile_side", lambda scale, memory: 64)
    monkeypatch.setattr(stages, "fits_at_once", lambda *photo: False)
    difference = np.abs(run(photo, *VARYING).image.astype(int) - whole)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_it_can_be_cancelled_between_regions(photo, turning):
    turning(1.5)
    phases = []

    def stop():
        return phases.count("map_kernels") == 2

    with pytest.raises(kf_core.Cancelled):
        run(photo, *VARYING, progress=lambda at: phases.append(at.phase), should_stop=stop)
    assert phases.count("map_kernels") == 2 and "finish" not in phases and Turning.calls <= 1 + 3


@pytest.mark.slow
def test_progress_never_falls_and_ends_full(photo, turning):
    turning(1.5)
    events = []
    run(photo, *VARYING, progress=events.append)
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)
    assert {event.phase for event in events} == {"map_kernels", "finish"}  # the estimator here reports nothing
    assert len({event.label for event in events}) == 2


@pytest.mark.slow
def test_refinement_of_every_region_is_asked_for_by_name(photo, turning):
    turning(1.5)
    asked = [*VARYING, "refine.rounds=1", "kernel_crop=40"]
    plain, refined = (run(photo, *asked, f"varying.refine={each}") for each in (False, True))
    assert plain.report["iterations"]["map_kernels"] == 3 and refined.report["iterations"]["map_kernels"] == 6
    assert np.abs(plain.kernels.kernels - refined.kernels.kernels).max() > 1e-3


def test_a_small_photo_has_one_kernel_and_says_so(turning):
    turning(1.5)
    small = np.random.default_rng(0).integers(0, 256, (48, 60), dtype=np.uint8)
    found = run(small, *VARYING)
    assert found.kernels is None and found.report["regions"]["unlike"] is None
    assert "small" in found.report["regions"]["sentence"]


def test_what_it_costs_is_said_before(monkeypatch):
    monkeypatch.setattr("kf_core.estimate.speed", lambda device: 1e5)
    one, many, refined = (
        estimate(400, 300, kf_core.Settings.preset("fast", device="cpu").with_overrides(overrides))
        for overrides in ([], ["varying.regions=4"], ["varying.regions=4", "varying.refine=True"])
    )
    assert one["seconds"] < many["seconds"] < refined["seconds"]
    assert one["memory_bytes"] < many["memory_bytes"]


def test_a_given_kernel_and_a_preset_without_its_own_image_are_refused(photo):
    kernel = gaussian_kernel(12, 1.5).numpy()
    with pytest.raises(BadSetting, match="kernel is given") as caught:
        kf_core.super_resolve(photo, settings(*VARYING), kernel=kernel)
    assert "varying.regions" in caught.value.hint
    with pytest.raises(BadSetting, match=r"varying\.regions would have no effect"):
        kf_core.super_resolve(photo, kf_core.Settings.preset("paper").with_overrides(["varying.regions=4"]))


@pytest.mark.parametrize("preset", ["fast", "balanced", "paper"])
def test_no_preset_has_it_on(preset):
    assert kf_core.Settings.preset(preset).varying.regions == 1


def test_the_picture_of_a_map_has_every_kernel_in_its_place():
    taps = np.zeros((2, 3, 12, 12), np.float32)
    taps[1, 2, 6, 6], taps[0, 0, 6, 6] = 1.0, 0.5
    picture = kernels_picture(taps, 300)
    height, width = picture.shape
    assert picture.dtype == np.uint8 and 200 < width <= 300 and height < width
    assert picture[height // 2 :, 2 * width // 3 :].max() == 255  # the brightest of all
    assert picture[: height // 2, : width // 3].max() == 128
    assert picture[: height // 2, 2 * width // 3 :].max() == 96  # nothing but the lines between


def test_the_command_writes_the_map_beside_the_kernel_and_tells_of_it(kf, tmp_path, photo, monkeypatch):
    from PIL import Image

    from kf_core.kernel_grid import KernelGrid
    from kf_core.result import SuperResolution

    Image.fromarray(photo).save(tmp_path / "photo.png")
    plain, grid = kf.engine, KernelGrid(np.array([9.0]), np.array([5.0, 50.0]), np.full((1, 2, 12, 12), 1 / 144))

    def engine(*given, **asked):
        made = plain(*given, **asked)
        varies = plain.settings.varying.regions > 1
        told = {"regions": {"sentence": "The blur varies."}} if varies else {}
        return SuperResolution(made.image, made.kernel, {**made.report, **told}, grid if varies else None)

    monkeypatch.setattr(kf_core, "super_resolve", engine, raising=False)
    asked = ("upscale", tmp_path / "photo.png", "--scale", 2, "-o", tmp_path / "out.png")
    asked = (*asked, "--save-kernel", tmp_path / "k.npy", "--force")
    assert kf(*asked).status == 0 and not (tmp_path / "k_map.png").exists()
    assert kf(*asked, "--varying").status == 0 and "The blur varies." in kf.err
    assert "k_map.png" in kf.out and Image.open(tmp_path / "k_map.png").width > 100
