"""What a run will take, told before anything of it is loaded."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY

import kf_core
from kf_core import adjust
from kf_core import estimate as estimates
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.errors import BadSetting, TooLarge
from kf_core.estimate import estimate, stages_of
from kf_core.pipeline import super_resolve
from kf_core.pixels import bicubic_enlargement
from kf_core.settings import Settings

FAST = Settings.preset("fast", scale=2, device="cpu")


@pytest.fixture(autouse=True)
def steady_speed(monkeypatch):
    monkeypatch.setattr(estimates, "speed", lambda device: 1e5)


def test_more_work_takes_longer():
    def seconds(width, height, settings=FAST, known=False):
        return estimate(width, height, settings, known)["seconds"]

    assert seconds(64, 64) < seconds(128, 128) < seconds(1000, 128)
    assert seconds(1000, 128) == pytest.approx(seconds(128, 1000))
    assert seconds(128, 128, known=True) < seconds(128, 128) / 2
    assert seconds(128, 128) < seconds(128, 128, Settings.preset("balanced", scale=2, device="cpu"))
    assert seconds(512, 512) < seconds(512, 512, Settings.preset("fast", scale=4, device="cpu"))


@pytest.mark.parametrize("preset", ["fast", "balanced", "paper"])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("side", [96, 300])
def test_the_stages_are_those_of_the_run(monkeypatch, preset, known, side):
    """Also where the crop makes a difference: what the run itself decides on is what is told."""
    told = {}

    class Enough(Exception):
        pass

    def listen(costs, photo, settings, device):
        told["memory"] = max(cost.memory for cost in costs)
        told["work"] = sum(cost.work for cost in costs)
        raise Enough

    settings = Settings.preset(preset, scale=2, device="cpu")
    expected = estimate(side + 8, side, settings, known)
    monkeypatch.setattr("kf_core.pipeline.check_memory", listen)
    photo = np.random.default_rng(0).random((side, side + 8), dtype=np.float32)
    with pytest.raises(Enough):
        super_resolve(photo, settings, kernel=np.full((12, 12), 1 / 144) if known else None)
    assert expected["memory_bytes"] == pytest.approx(told["memory"], abs=1)
    assert expected["seconds"] == pytest.approx(told["work"] / 1e5)


def test_what_does_not_fit_is_what_the_run_refuses(monkeypatch):
    for module in ("kf_core.device", "kf_core.pipeline.devices"):
        monkeypatch.setattr(f"{module}.memory_available", lambda device: 300 << 20)
    assert estimate(32, 32, FAST)["fits"] and not estimate(900, 900, FAST)["fits"]
    with pytest.raises(TooLarge):
        super_resolve(np.zeros((900, 900), np.uint8), FAST)
    hopeless = FAST.with_overrides(["estimator=algorithm1", "patches.prior=bundled", "recovery.unet_channels=1000000"])
    told = estimate(64, 64, hopeless)
    assert (told["fits"], told["memory_bytes"], told["free_bytes"]) == (False, None, 300 << 20)


def test_nothing_is_loaded_downloaded_or_changed(monkeypatch):
    monkeypatch.setenv("KF_CHECKPOINTS", "somebody/checkpoints@0123456789012345678901234567890123456789")
    monkeypatch.setattr("kf_core.checkpoints.hub.pull", lambda *_, **__: pytest.fail("downloads"))
    monkeypatch.setattr("kf_core.checkpoints.networks.build", lambda *_, **__: pytest.fail("builds a network"))
    state = torch.get_rng_state()
    assert estimate(128, 128, Settings.preset("balanced", scale=2, device="cpu"))["seconds"] > 0
    assert torch.equal(torch.get_rng_state(), state)
    began = time.monotonic()
    for size in range(64, 84):
        estimate(size, size, FAST)
    assert time.monotonic() - began < 4


def test_what_no_run_can_use_is_refused():
    with pytest.raises(BadSetting):
        estimate(128, 128, Settings.preset("fast", scale=7))
    with pytest.raises(kf_core.BadInput):
        estimate(128, 128, Settings.preset("fast", scale=2, kernel_size=7))


def test_the_network_is_the_one_of_the_prior():
    def widths(settings):
        found = {getattr(stage, "denoiser", None) for stage in stages_of(64, 64, settings, False)} - {None}
        return {each.network.config["channels"] for each in found}

    assert widths(FAST) == {64}
    assert widths(Settings.preset("paper", scale=2)) == {128}
    narrow = Settings.preset("paper", scale=2).with_overrides(
        [*TINY, "patches.channels=8", "finish.method=plug_and_play"]
    )
    assert widths(narrow) == {8}


def test_the_speed_is_measured_on_this_computer(monkeypatch):
    monkeypatch.undo()
    device = torch.device("cpu")
    estimates.speed.cache_clear()
    first = estimates.speed(device)
    began = time.monotonic()
    assert estimates.speed(device) == first and time.monotonic() - began < 0.05
    network, image = PatchDiffusion(64).eval(), torch.zeros(1, 3, 192, 192)
    with torch.no_grad():
        times = []
        for _ in range(4):
            began = time.monotonic()
            network(image, torch.ones(1, dtype=torch.long))
            times.append(time.monotonic() - began)
    assert 0.1 < min(times) * first / (0.41 * 192**2) < 10


def test_a_kernel_for_another_scale_is_the_same_blur():
    kernel = np.zeros((12, 12), np.float32)
    kernel[2:6, 3:9] = 1 / 24
    for target, size in ((2, 12), (3, 19), (4, 24)):
        other = adjust.kernel_at(kernel, 2, target)
        assert other.shape == (size, size) and other.sum() == pytest.approx(1, abs=1e-5)
        for axis in (0, 1):
            profiles = [each.sum(axis) for each in (kernel, other)]
            places = [
                (np.arange(len(each)) - (len(each) - 1) / 2) / scale
                for each, scale in zip(profiles, (2, target), strict=True)
            ]
            means = [(profile * place).sum() for profile, place in zip(profiles, places, strict=True)]
            assert means[0] == pytest.approx(means[1], abs=0.01)  # in pixels of the photo


def test_weaken_is_between_the_image_and_the_plain_enlargement():
    photo = np.random.default_rng(0).random((20, 24, 3), dtype=np.float32)
    image = np.random.default_rng(1).random((40, 48, 3), dtype=np.float32)
    assert adjust.weaken(image, photo, 1.0) == pytest.approx(image)
    plain = adjust.weaken(image, photo, 0.0)
    theirs = [Image.fromarray(photo[..., c]).resize((48, 40), Image.Resampling.BICUBIC) for c in range(3)]
    assert plain == pytest.approx(np.stack(theirs, axis=2).clip(0, 1), abs=1e-4)
    assert adjust.weaken(image, photo, 0.3) == pytest.approx(0.3 * image + 0.7 * plain, abs=1e-6)
    grey = adjust.weaken(image[..., 0], photo[..., 0], 0.0)
    assert grey == pytest.approx(plain[..., 0], abs=1e-6)


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_whole_numbers_are_mixed_before_they_are_rounded(dtype, shape):
    white = int(np.iinfo(dtype).max)
    photo = np.random.default_rng(0).integers(0, white, (20, 24, *shape), dtype=dtype, endpoint=True)
    image = np.random.default_rng(1).integers(0, white, (40, 48, *shape), dtype=dtype, endpoint=True)
    plain = adjust.weaken(image / white, photo / white, 0.0) * white
    for strength in (0.0, 0.3, 1.0):
        mixed = adjust.weaken(image, photo, strength)
        assert mixed.dtype == dtype and mixed.shape == image.shape
        wanted = strength * image.astype(float) + (1 - strength) * plain
        assert np.abs(mixed - wanted).max() <= 0.5 + 1e-6
    assert np.array_equal(adjust.weaken(image, photo, 1.0), image)


def test_a_plain_enlargement_stays_within_its_limits_and_keeps_its_kind():
    edge = np.zeros((8, 8), np.uint8)
    edge[:, 4:] = 200
    free, held = bicubic_enlargement(edge, 32, 32), bicubic_enlargement(edge, 32, 32, (0.0, 200.0))
    assert free.dtype == held.dtype == np.uint8 and free.shape == (32, 32)
    assert free.max() > 200 and held.max() == 200 and np.array_equal(free.clip(0, 200), held)
    theirs = np.asarray(Image.fromarray(edge).resize((32, 32), Image.Resampling.BICUBIC))
    assert np.abs(free.astype(int) - theirs).max() <= 1
    for dtype in (np.float32, np.float64):
        values = bicubic_enlargement(edge.astype(dtype) / 255, 32, 32)
        assert values.dtype == dtype and np.abs(values * 255 - free).max() <= 0.5 + 1e-4
