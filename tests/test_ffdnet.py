"""The denoiser that makes images: what it sees, what it says untrained, where it may be used, how it is trained."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import kf_core
from benchmarks.kf144 import PHOTOS, pair
from kf_core.checkpoints.file import FFDNET, PRIOR, save_prior
from kf_core.checkpoints.load import load_prior
from kf_core.denoisers.base import denoise_tiled, turned, turned_back
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.denoisers.ffdnet import VARIANCE, FFDNet
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.errors import BadInput, BadPrior, BadSetting
from kf_core.pixels import to_tensor
from kf_core.progress import Monitor
from kf_core.training.error_table import errors_by_noise
from kf_core.training.train_prior import RECIPE, as_tensor, train_prior

SCHEDULE = NoiseSchedule()


@pytest.fixture
def lively():
    """A network whose every weight matters."""
    network = FFDNet(8, depth=2).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for weights in network.parameters():
        weights.copy_(0.3 * torch.randn(weights.shape, generator=generator))
    return network


def noisy(height, width):
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 40), (37, 35)])
def test_untrained_it_is_the_wiener_filter_of_a_white_image(height, width):
    image, t = noisy(height, width), torch.tensor([100])
    signal, _ = SCHEDULE.signal_and_noise(t)
    clean = SCHEDULE.clean_from_velocity(image, FFDNet(8, 1)(image, t), t)
    assert torch.allclose(clean, VARIANCE / (VARIANCE + SCHEDULE.variance(100)) * image / signal, atol=1e-5)


def test_it_depends_on_what_is_in_its_reach_and_on_nothing_else(lively):
    t, far = torch.tensor([50]), lively.reach
    image = noisy(80, 80)
    changed = image.clone()
    changed[..., 40, 40] += 1
    rows = (lively(image, t) != lively(changed, t)).any(1)[0].any(1).nonzero()[:, 0]
    assert 40 - far <= rows.min() <= 40 - far + 2 and 40 + far - 2 <= rows.max() <= 40 + far


@pytest.mark.parametrize(("tile", "turn"), [(24, 0), (31, 0), (64, 0), (24, 3), (31, 6)])
def test_tiles_are_the_whole(lively, tile, turn):
    image, denoiser = noisy(71, 58), DiffusionDenoiser(lively, SCHEDULE)
    whole = denoise_tiled(denoiser, image, 0.3, 1000, Monitor(), turn)
    tiled = denoise_tiled(denoiser, image, 0.3, tile, Monitor(), turn)
    assert whole.std() > 0.1 and torch.allclose(tiled, whole, atol=1e-5)


def test_each_of_the_eight_turns_shows_another_side_and_is_turned_back(lively):
    image, denoiser = noisy(20, 14), DiffusionDenoiser(lively, SCHEDULE)
    assert all(torch.equal(turned_back(turned(image, turn), turn), image) for turn in range(9))
    corners = {tuple(turned(image, turn)[0, 0, (0, 0, -1), (0, -1, -1)].tolist()) for turn in range(8)}
    assert len(corners) == 8
    assert torch.equal(turned(image, 8), image)
    found = [denoise_tiled(denoiser, image, 0.3, 1000, Monitor(), turn) for turn in range(8)]
    assert not torch.allclose(found[0], found[1], atol=1e-3)
    # What it makes of the turned image, turned back
    assert torch.allclose(found[6], turned_back(denoiser(turned(image, 6), 0.3), 6), atol=1e-6)


def test_its_checkpoint_says_what_it_is(lively, tmp_path):
    save_prior(lively, tmp_path / "a.safetensors", {}, FFDNET)
    network, about = load_prior(str(tmp_path / "a.safetensors"), "cpu")
    assert isinstance(network, FFDNet) and about["depth"] == 2 and about["latest"] == 250
    t = torch.tensor([9])
    assert torch.allclose(network(noisy(32, 32), t), lively(noisy(32, 32), t), atol=1e-2)


@pytest.mark.parametrize(
    "lie", [{"channels": 10**9}, {"depth": 0}, {"latest": 2000}, {"timesteps": 10**12}, {"schedule": "none"}, {"x": 1}]
)
def test_a_checkpoint_that_lies_is_refused_before_it_costs_memory(lively, tmp_path, lie):
    lively.config |= lie
    save_prior(lively, tmp_path / "a.safetensors", {}, FFDNET)
    with pytest.raises(BadPrior, match="does not fit"):
        load_prior(str(tmp_path / "a.safetensors"), "cpu")


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["estimator=algorithm1"], "recovery.timesteps"),
        (["finish.start=300"], "finish.start"),
        (["refine.start=600"], "refine.start"),
    ],
)
def test_more_noise_than_it_knows_is_refused_before_the_work(overrides, named):
    settings = kf_core.Settings.preset("fast").with_overrides(["patches.prior=ffdnet", *overrides])
    with pytest.raises(BadPrior, match=named) as refused:
        kf_core.super_resolve(np.zeros((32, 32), np.uint8), settings)
    assert "'bundled'" in refused.value.hint


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    for i in range(10):
        Image.fromarray(random.integers(0, 256, (52, 50, 3), dtype=np.uint8)).save(photos / f"{i}.png")
    return photos


@pytest.mark.slow
def test_one_is_trained_and_goes_on_from_there(folder, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    told = train_prior(folder, first, network="ffdnet", steps=3, channels=4, batch=2)
    assert "--network ffdnet" in told["command"] and max(row["t"] for row in told["errors"]) == 200
    more = train_prior(folder, second, network="ffdnet", start=str(first), steps=2, batch=2)
    with safe_open(second, "pt") as file:
        assert FFDNET in file.metadata()["kernelfusion"]
    assert more["begun_from"] == load_prior(str(first), "cpu").about["sha256"]
    assert more["recipe"]["channels"] == 4 and math.isfinite(more["loss_held_out"])


@pytest.mark.parametrize(("kind", "format"), [(PatchDiffusion, PRIOR), (FFDNet, FFDNET)])
def test_a_training_begins_from_a_prior_of_its_own_kind(folder, tmp_path, kind, format):
    save_prior(kind(4), tmp_path / "a.safetensors", {}, format)
    other = {PRIOR: "ffdnet", FFDNET: "pd"}[format]
    with pytest.raises(BadInput, match=f"network '{other}'"):
        train_prior(folder, tmp_path / "b.safetensors", network=other, start=str(tmp_path / "a.safetensors"))
    with pytest.raises(BadInput, match="has 4 channels, not 8"):
        own = {PRIOR: "pd", FFDNET: "ffdnet"}[format]
        train_prior(folder, tmp_path / "b.safetensors", network=own, start=str(tmp_path / "a.safetensors"), channels=8)


def test_it_adapts_to_a_photo_only_as_a_whole():
    overrides = ["patches.prior=ffdnet", "patches.steps=1", "patches.layers=last"]
    settings = kf_core.Settings.preset("fast").with_overrides(overrides)
    photo = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    with pytest.raises(BadSetting, match="no layers 'last'"):
        kf_core.super_resolve(photo, settings)


@pytest.mark.slow
def test_the_bundled_one_is_about_as_good_as_pd_at_the_noise_it_is_for():
    picture = as_tensor(PHOTOS[0])
    errors = [
        errors_by_noise(
            load_prior(name, "cpu").network, [picture], [picture], SCHEDULE, replace(RECIPE, crop=40), Monitor()
        )
        for name in ("ffdnet", "bundled")
    ]
    for own, patches in zip(*errors, strict=False):
        if 5 <= own["t"] <= 100:
            assert own["prior"] < 1.1 * patches["prior"], own


@pytest.mark.parametrize("photo", [2, 6, 10])
def test_the_bundled_one_knows_colours(photo):
    """One that learned from grey photographs takes colours for noise, which the luma does not show."""
    clean, sigma = to_tensor(pair(photo, 0, 32).hr), math.sqrt(SCHEDULE.variance(20))
    noise = sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    denoised = DiffusionDenoiser(load_prior("ffdnet", "cpu").network, SCHEDULE)(clean + noise, sigma)
    colours = (error - error.mean(1, keepdim=True) for error in (denoised - clean, noise))
    left, put = (float(each.square().mean().sqrt()) for each in colours)
    assert left < 0.45 * put
