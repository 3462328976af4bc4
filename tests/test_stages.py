"""The list of stages: what runs, its progress and its memory; and the seams: another estimator, another denoiser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TINY

import kf_core
from kf_core.cost import Cost
from kf_core.errors import BadSetting
from kf_core.kernels.base import Estimate
from kf_core.kernels.corrnet import CorrNet
from kf_core.kernels.learned import LearnedKernel
from kf_core.physics.kernel import cosine_similarity, default_kernel_size, gaussian_kernel
from kf_core.restore.plug_and_play import kernel_area, prior_weight_for
from kf_core.settings import Settings

torch.set_num_threads(1)
PAPER = [*TINY, "patches.channels=4", "patches.steps=3", "patches.crop=16", "kernel_crop=0", "refine.rounds=0"]


class FixedEstimator:
    """A kernel estimator in ten lines: the same Gaussian for every photo."""

    def cost(self, height, width):
        return Cost(work=1.0)

    def __call__(self, photo, run):
        return Estimate(gaussian_kernel(12, 1.5).to(run.device), "recovered")


class BoxDenoiser:
    """A denoiser in ten lines: the mean of 3 x 3 pixels, the more of it the stronger the noise."""

    reach, multiple = 1, 1

    def __call__(self, noisy, sigma):
        mean = torch.nn.functional.avg_pool2d(noisy, 3, stride=1, padding=1, count_include_pad=False)
        return torch.lerp(noisy, mean, sigma / (sigma + 0.1)).clamp(-1, 1)


@pytest.fixture(scope="module")
def photo():
    rows, columns = np.mgrid[:40, :48]
    waves = 128 + 90 * np.sin(rows * columns / 40)[..., None] * np.array([1, 0.8, 0.6])
    return waves.clip(0, 255).astype(np.uint8)


def tiny(*overrides, preset="fast", scale=2):
    return Settings.preset(preset, scale=scale, device="cpu").with_overrides([*TINY, "finish.steps=3", *overrides])


def test_a_toy_estimator_runs_through_super_resolve(photo):
    settings = tiny("refine.rounds=0")
    found = kf_core.super_resolve(photo, settings, estimator=FixedEstimator())
    np.testing.assert_allclose(found.kernel, gaussian_kernel(12, 1.5), rtol=1e-5)
    assert set(found.report["iterations"]) == {"finish"}
    area = kernel_area(torch.from_numpy(found.kernel), 2)
    weight = prior_weight_for("recovered", 0.0, settings.finish, area=area)
    given = kf_core.super_resolve(photo, tiny(f"finish.prior_weight_known={weight}"), kernel=found.kernel)
    assert np.array_equal(found.image, given.image)  # nothing but the weight of the prior tells them apart
    alone = kf_core.recover_kernel(photo, settings, estimator=FixedEstimator())
    assert alone.image is None and np.array_equal(alone.kernel, found.kernel)


@pytest.mark.slow
def test_what_follows_a_toy_estimator_works_on_its_kernel(photo):
    whole = kf_core.super_resolve(photo, tiny("doubt=True"), estimator=FixedEstimator())
    assert list(whole.report["iterations"]) == ["refine_kernel", "weigh_kernel", "finish"]
    assert whole.report["kernel_source"] in ("recovered", "simple") and 0 <= whole.report["confidence"] <= 1


@pytest.mark.slow
def test_a_toy_denoiser_runs_through_super_resolve_and_pd_is_not_even_loaded(photo):
    settings = tiny("patches.prior=/nowhere/there.safetensors")
    kernel = gaussian_kernel(12, 1.5).numpy()
    found = kf_core.super_resolve(photo, settings, kernel=kernel, denoiser=BoxDenoiser())
    usual = kf_core.super_resolve(photo, tiny(), kernel=kernel)
    assert found.image.shape == (80, 96, 3) and not np.array_equal(found.image, usual.image)
    assert found.report["patch_prior"] == {"prior": "none"}
    both = kf_core.super_resolve(photo, settings, estimator=FixedEstimator(), denoiser=BoxDenoiser())
    assert set(both.report["iterations"]) == {"refine_kernel", "finish"}
    tiled = kf_core.super_resolve(photo, tiny("finish.tile=17"), kernel=kernel, denoiser=BoxDenoiser())
    assert np.abs(tiled.image.astype(int) - found.image).max() <= 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_learned_estimator_gives_a_kernel_for_every_scale_without_any_search(photo, scale):
    network = CorrNet(width=4, maps=2, mixed=8, narrow=4, odd=4, hidden=16).eval().requires_grad_(False)
    settings = replace(tiny("refine.rounds=0", scale=scale), kernel_size=default_kernel_size(scale))
    found = kf_core.super_resolve(photo, settings, estimator=LearnedKernel(network, settings))
    assert found.kernel.shape == (default_kernel_size(scale),) * 2 and found.kernel.sum() == pytest.approx(1, abs=1e-4)
    assert set(found.report["iterations"]) == {"recover_kernel", "finish"}
    turned = kf_core.recover_kernel(
        np.ascontiguousarray(photo[::-1, ::-1]), settings, estimator=LearnedKernel(network, settings)
    )
    np.testing.assert_allclose(turned.kernel[::-1, ::-1], found.kernel, atol=1e-5)


COMBINATIONS = {
    "paper, a crop": ["kernel_crop=32"],
    "paper, doubt": ["doubt=True"],
    "paper, walked on a coarser grid": ["recovery.scale=2"],
    "paper, refined": ["refine.rounds=1", "refine.steps=2"],
    "paper": [],
}


@pytest.mark.slow
@pytest.mark.parametrize("overrides", COMBINATIONS.values(), ids=COMBINATIONS)
def test_the_bar_is_full_only_at_the_end_and_every_stage_has_words(photo, overrides):
    events = []
    settings = tiny(*PAPER, *overrides, preset="paper", scale=4)
    found = kf_core.super_resolve(photo, settings, progress=events.append)
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)
    assert all(fraction < 1 for fraction in fractions[:-1])
    assert list(found.report["iterations"]) == list(dict.fromkeys(event.phase for event in events))
    assert ("finish" in found.report["iterations"]) == bool(overrides)
    assert all(event.label and "_" not in event.label for event in events)
    assert len({event.label for event in events}) == len(found.report["iterations"])


@pytest.mark.parametrize(
    "ignored",
    [
        "patches.channels=32",
        "patches.activation=gelu",
        "recovery.scale=3",
        "patches.prior=none",
        "recovery.method=dip recovery.separate_unets=True",
    ],
)
def test_a_setting_that_would_be_ignored_is_refused(photo, ignored):
    with pytest.raises(BadSetting) as caught:
        kf_core.super_resolve(photo, tiny(*ignored.split()))
    assert "no effect" in caught.value.message and caught.value.hint


def test_a_given_kernel_of_another_size_than_was_asked_for_is_refused(photo):
    with pytest.raises(BadSetting, match="10 taps"):
        kf_core.super_resolve(photo, tiny("kernel_size=12"), kernel=gaussian_kernel(10, 1.5).numpy())


def test_a_kernel_and_an_estimator_at_once_are_refused(photo):
    with pytest.raises(kf_core.BadInput, match="estimator"):
        kf_core.super_resolve(photo, tiny(), kernel=gaussian_kernel(12, 1.5).numpy(), estimator=FixedEstimator())


def test_the_noise_of_a_given_kernels_photo_can_be_cancelled(photo):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == 3  # while the noise is measured: no stage has reported anything yet

    reports = []
    with pytest.raises(kf_core.Cancelled):
        kf_core.super_resolve(
            photo, tiny(), kernel=gaussian_kernel(12, 1.5).numpy(), progress=reports.append, should_stop=stop
        )
    assert not reports


@pytest.mark.slow
def test_the_consistency_error_is_that_of_the_kernels_own_picture(photo):
    doubted = kf_core.super_resolve(
        photo, tiny("doubt=True", "refine.rounds=0", "kernel_crop=0"), estimator=FixedEstimator()
    ).report
    assert doubted["kernel_source"] == "simple"
    weight, kernel = doubted["settings"]["finish"]["prior_weight_simple"], np.array(doubted["kernel"])
    own = kf_core.super_resolve(photo, tiny(f"finish.prior_weight_known={weight}"), kernel=kernel).report
    assert doubted["confidence"] <= 0.8  # so the picture that is shown is a mixture
    expected = own["consistency_rms_grey_levels"]
    assert doubted["consistency_rms_grey_levels"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("preset", ["fast", "balanced"])
def test_no_hint_names_the_preset_in_use(photo, preset, monkeypatch):
    monkeypatch.setattr("kf_core.device.memory_available", lambda device: 2**20)
    with pytest.raises(kf_core.BadInput) as caught:
        kf_core.super_resolve(photo, tiny("patches.prior=bundled", preset=preset))
    assert ("'fast'" in caught.value.hint) == (preset != "fast")


def test_the_preset_fast_finds_the_kernel_without_any_training_and_says_how(photo):
    settings = Settings.preset("fast", scale=2, device="cpu").with_overrides(["refine.rounds=1", "finish.steps=1"])
    found = kf_core.super_resolve(photo, settings)
    report = found.report
    assert set(report["iterations"]) == {"recover_kernel", "refine_kernel", "weigh_kernel", "finish"}
    assert report["iterations"]["recover_kernel"] == 1
    assert report["kernel_network"]["source"] == "bundled" and len(report["kernel_network"]["sha256"]) == 64
    others = report["other_kernels"]
    assert {other["source"] for other in others} <= {"recovered", "simple"} and len(others) == 3
    weights = [report["kernel_weight"], *(other["weight"] for other in others)]
    assert weights == sorted(weights, reverse=True) and 0 < sum(weights) <= 1.002
    for other in others:
        assert np.shape(other["kernel"]) == found.kernel.shape and np.sum(other["kernel"]) == pytest.approx(1, abs=1e-4)


def test_balanced_starts_algorithm_1_from_the_learned_kernel(photo):
    settings = replace(Settings.preset("balanced", scale=2, device="cpu"), patches=Settings.preset("fast").patches)
    settings = settings.with_overrides([*TINY, "estimator=both", "refine.rounds=0", "recovery.timesteps=(1,)"])
    settings = settings.with_overrides(["recovery.learning_rate=1e-9", "recovery.final_learning_rate=1e-9"])
    learned = kf_core.recover_kernel(photo, settings.with_overrides(["estimator=learned"]))
    both = kf_core.recover_kernel(photo, settings)
    assert both.report["iterations"]["recover_kernel"] > 1 and "kernel_network" in both.report
    begun, anew = (
        cosine(run.kernel, learned.kernel)
        for run in (both, kf_core.recover_kernel(photo, settings.with_overrides(["estimator=algorithm1"])))
    )
    assert begun > 0.9 and begun > anew


def cosine(one, other):
    return float(cosine_similarity(torch.from_numpy(one), torch.from_numpy(other)))


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_a_photo_turned_or_mirrored_has_its_kernel_turned_or_mirrored(photo, axes):
    settings = Settings.preset("fast", device="cpu").with_overrides(["refine.rounds=0", "doubt=False"])
    kernel = kf_core.recover_kernel(photo, settings).kernel
    turned = kf_core.recover_kernel(np.ascontiguousarray(np.flip(photo, axes)), settings).kernel
    assert cosine(np.ascontiguousarray(np.flip(turned, axes)), kernel) > 0.999


def test_one_and_two_threads_give_the_same_kernel(photo):
    settings = Settings.preset("fast", device="cpu").with_overrides(["refine.rounds=2", "doubt=False"])
    threads, kernels = torch.get_num_threads(), []
    for count in (1, 2):
        torch.set_num_threads(count)
        try:
            kernels.append(kf_core.recover_kernel(photo, settings).kernel)
        finally:
            torch.set_num_threads(threads)
    assert np.abs(kernels[0] - kernels[1]).max() < 1e-3 * kernels[0].max()


def test_a_flat_photo_gets_a_simple_kernel_and_no_confidence():
    flat = np.random.default_rng(0).integers(126, 130, (48, 48, 3), dtype=np.uint8)
    report = kf_core.super_resolve(
        flat, Settings.preset("fast", device="cpu").with_overrides(["finish.steps=1"])
    ).report
    assert report["kernel_source"] == "simple" and report["confidence"] < 0.1


def test_of_the_kernel_before_the_refinement_as_much_is_kept_as_is_asked_for(photo):
    few = ["refine.rounds=1", "refine.steps=1", "finish.steps=1"]
    kernels = {}
    for keep in (0.0, 0.5, 1.0):
        settings = Settings.preset("fast", device="cpu", doubt=False).with_overrides([*few, f"refine.keep={keep}"])
        kernels[keep] = kf_core.recover_kernel(photo, settings).kernel
    before = kf_core.recover_kernel(
        photo, Settings.preset("fast", device="cpu", doubt=False).with_overrides(["refine.rounds=0"])
    ).kernel
    np.testing.assert_allclose(kernels[1.0], before, atol=1e-6)
    assert np.abs(kernels[0.0] - before).max() > 1e-3
    np.testing.assert_allclose(kernels[0.5], (kernels[0.0] + before) / 2, atol=1e-5)
