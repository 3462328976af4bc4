"""The engine as its callers meet it: super_resolve, its checkpoints and training a prior."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from kf_core import BadInput, Cancelled, Settings, recover_kernel, super_resolve
from kf_core import device as devices
from kf_core.checkpoints.file import save_prior
from kf_core.checkpoints.load import load_prior
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.physics import grid
from kf_core.physics.grid import informative_crop
from kf_core.physics.kernel import default_kernel_size
from kf_core.training.train_prior import split, train_prior

torch.set_num_threads(1)  # on a busy machine two that wait for each other are many times slower
CPU = torch.device("cpu")
LITTLE = [
    "estimator=algorithm1",
    "recovery.first_iterations=2",
    "recovery.iterations=1",
    "recovery.timesteps=100,1",
    "refine.rounds=1",
]
LITTLE += [
    "refine.steps=2",
    "finish.steps=2",
    "recovery.unet_channels=4",
    "recovery.inr_width=16",
    "device=cpu",
    "doubt=False",
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small network's weights: the phases run with it as with the bundled one, in less time."""
    path = tmp_path_factory.mktemp("prior") / "tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_prior(PatchDiffusion(8), path, {"note": "for tests"})
    return path


@pytest.fixture(scope="module")
def little(checkpoint):
    def make(*overrides: str, **changes) -> Settings:
        overrides = *LITTLE, f"patches.prior={checkpoint}", *overrides
        return Settings.preset("fast", **{"scale": 2, **changes}).with_overrides(overrides)

    return make


def photo(height: int = 34, width: int = 40, colours: int = 3, dtype=np.uint8, seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 3) + np.cos(y / 4), np.sin(x / 5 + y / 2), np.cos((x + y) / 3)]
    values = 0.5 + 0.2 * np.stack(waves, axis=-1) + np.random.default_rng(seed).normal(0, 0.02, (height, width, 3))
    values = values.clip(0, 1) if colours == 3 else values[..., 0].clip(0, 1)
    return (values * 255).astype(np.uint8) if dtype == np.uint8 else values.astype(dtype)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_result_is_scale_times_larger_with_a_kernel_that_sums_to_one(little, scale):
    result = super_resolve(photo(), little(scale=scale))
    assert result.image.shape == (34 * scale, 40 * scale, 3) and result.image.dtype == np.uint8
    assert result.kernel.shape == (default_kernel_size(scale),) * 2 and result.kernel.dtype == np.float32
    assert result.kernel.sum() == pytest.approx(1, abs=1e-4) and abs(result.image.mean() - photo().mean()) < 10
    enlarged = np.asarray(Image.fromarray(photo()).resize((40 * scale, 34 * scale), Image.Resampling.BICUBIC))
    views = [result.image, result.image[::-1], result.image[:, ::-1], result.image[..., ::-1], 255 - result.image]
    alike = [np.corrcoef(view.ravel(), enlarged.ravel())[0, 1] for view in views]
    assert alike[0] > 0.6 and max(alike[1:]) < 0.4  # the same scene, the same way up, in the same colours


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("colours", [1, 3])
def test_grey_stays_grey_and_the_type_is_kept(little, dtype, colours):
    result = super_resolve(photo(colours=colours, dtype=dtype), little())
    assert result.image.shape == ((68, 80) if colours == 1 else (68, 80, 3)) and result.image.dtype == dtype
    assert result.image.min() >= 0 and 0.5 < result.image.max() / (255 if dtype == np.uint8 else 1) <= 1


@pytest.mark.slow
def test_one_seed_gives_one_result_and_leaves_the_callers_random_numbers_alone(little):
    state = torch.random.get_rng_state()
    one = super_resolve(photo(), little(seed=5))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(77)
    again, other = super_resolve(photo(), little(seed=5)), super_resolve(photo(), little(seed=6))
    assert np.array_equal(one.image, again.image) and np.array_equal(one.kernel, again.kernel)
    assert not np.array_equal(one.image, other.image) and not np.array_equal(one.kernel, other.kernel)


def test_the_report_says_what_was_done_in_json(little):
    result = super_resolve(photo(), little(seed=5))
    report = json.loads(json.dumps(result.report, allow_nan=False))
    assert set(report) == {
        "versions", "settings", "seed", "device", "input_size", "output_size", "frame", "sharpening", "patch_prior",
        "kernel_source", "kernel_name", "seconds", "iterations", "consistency_rms_grey_levels", "kernel",
    }  # fmt: skip
    assert (report["seed"], report["input_size"], report["output_size"]) == (5, [40, 34], [80, 68])
    assert report["kernel_source"] == "recovered" and report["device"]["type"] == "cpu"
    assert report["settings"]["recovery"]["timesteps"] == [100, 1] and report["settings"]["kernel_size"] == 12
    assert report["iterations"] == {"recover_kernel": 3, "refine_kernel": 2, "finish": 2}
    assert set(report["seconds"]) == set(report["iterations"]) and 0 < report["consistency_rms_grey_levels"] < 100
    assert np.allclose(report["kernel"], result.kernel) and report["patch_prior"]["channels"] == 8


@pytest.mark.slow
@pytest.mark.parametrize("method", ["plug_and_play", "none"])
def test_a_known_kernel_is_normalised_used_and_returned(little, method):
    given, settings = np.random.default_rng(0).random((10, 10)), little(f"finish.method={method}")
    result = super_resolve(photo(), settings, kernel=given)
    np.testing.assert_allclose(result.kernel, given / given.sum(), rtol=1e-5)
    assert result.report["kernel_source"] == "given" and result.image.shape == (68, 80, 3)
    phases = {"plug_and_play": "finish", "none": "recover_kernel"}
    assert set(result.report["iterations"]) == {phases[method]}
    for change, other in [({"seed": 9}, given), ({}, given[::-1, ::-1])]:
        assert not np.array_equal(super_resolve(photo(), replace(settings, **change), kernel=other).image, result.image)


def test_the_papers_way_learns_from_the_photo_alone_and_ends_with_algorithm_1(little):
    way = ["patches.prior=none", "patches.channels=8", "patches.steps=3", "finish.method=none", "refine.rounds=0"]
    result = super_resolve(photo(), little(*way, "recovery.scale=None", "recovery.prior_gradient=True"))
    assert result.report["iterations"] == {"learn_patches": 3, "recover_kernel": 3}
    assert result.report["patch_prior"]["loss"] > 0 and result.image.shape == (68, 80, 3)


@pytest.mark.slow
def test_only_the_kernel_can_be_asked_for(little):
    alone = recover_kernel(photo(), little())
    assert alone.image is None and "finish" not in alone.report["iterations"]
    assert np.array_equal(alone.kernel, super_resolve(photo(), little()).kernel)
    assert not np.array_equal(alone.kernel, recover_kernel(photo(), little(kernel_crop=32)).kernel)


BAD_PICTURES = {
    "too small": photo(31, 40), "too narrow": photo(40, 31), "not finite": photo(dtype=np.float32) + np.float32("nan"),
    "infinite": photo(dtype=np.float32) / np.float32(0),
    "32 bits": photo().astype(np.uint32), "bool": photo() > 100, "flat list": photo()[0, :, 0],
    "four colours": np.zeros((40, 40, 4), np.uint8), "one colour": photo()[..., :1], "complex": photo() * 1j,
}  # fmt: skip
BAD_KERNELS = {
    "not square": np.ones((10, 12)), "three axes": np.ones((10, 10, 1)), "parity": np.ones((11, 11)),
    "empty": np.zeros((10, 10)), "not finite": np.full((10, 10), np.nan), "text": np.full((10, 10), "a"),
    "too large": np.ones((34, 34)), "negative": -np.ones((10, 10)),
}  # fmt: skip
BAD_SETTINGS = [{"scale": 1}, {"scale": 5}, {"kernel_size": 13}, {"kernel_size": 0}, {"kernel_size": 34}]
BAD_SETTINGS += [{"device": "tpu"}, {"device": "cuda:9"}]
BAD_CHOICES = [
    "recovery.kernel_model=spline", "recovery.padding=mirror", "recovery.method=magic", "diffusion.schedule=sigmoid",
    "finish.method=magic", "recovery.posterior_noise=some", "recovery.precision=fp7", "kernel_size=large",
    "recovery.timesteps=1001,1", "recovery.timesteps=()", "recovery.first_iterations=0", "recovery.timesteps=('a',1)",
    "recovery.unet_depth=0", "recovery.unet_depth=9", "kernel_crop=4", "kernel_crop=-5", "finish.start=2000",
    "refine.start=5000", "finish.noise=2.0", "seed=99999999999999999999", "recovery.border=30",
]  # fmt: skip


def assert_refused(settings, picture, *, kernel=None):
    """BadInput with a hint, before any work is done."""
    with pytest.raises(BadInput) as caught:
        super_resolve(picture, settings, kernel=kernel, progress=(reports := []).append)
    assert not reports and caught.value.message.endswith(".") and caught.value.hint.endswith(".")
    return caught.value


@pytest.mark.parametrize("picture", BAD_PICTURES.values(), ids=BAD_PICTURES)
def test_what_is_not_a_picture_is_refused(little, picture):
    assert_refused(little(), picture)


@pytest.mark.parametrize("kernel", BAD_KERNELS.values(), ids=BAD_KERNELS)
def test_what_is_not_a_kernel_is_refused_before_any_work(little, kernel):
    assert_refused(little("patches.steps=1"), photo(), kernel=kernel)


@pytest.mark.parametrize("changes", BAD_SETTINGS, ids=str)
def test_settings_that_do_not_fit_are_refused(little, changes):
    assert_refused(replace(little(), **changes), photo())


@pytest.mark.parametrize("override", BAD_CHOICES)
def test_a_value_no_run_can_use_is_refused_and_never_ignored(little, override):
    with pytest.raises(BadInput):
        super_resolve(photo(), little("refine.rounds=0", "recovery.scale=None", override))


def test_a_picture_too_large_for_the_memory_is_refused_with_the_numbers(little, monkeypatch):
    monkeypatch.setattr(devices, "memory_available", lambda device: 2**20)
    refusal = assert_refused(little(), photo())
    assert "40 x 34" in refusal.message and "GiB" in refusal.message and "'fast'" in refusal.message
    monkeypatch.setattr(devices, "memory_available", lambda device: None)
    assert super_resolve(photo(), little()).image is not None


def test_a_cancelled_run_leaves_nothing(little, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state, reports = torch.random.get_rng_state(), []
    with pytest.raises(Cancelled):
        super_resolve(photo(), little(), progress=reports.append, should_stop=lambda: len(reports) == 4)
    assert len(reports) == 4 and torch.equal(torch.random.get_rng_state(), state) and not list(tmp_path.iterdir())


@hypothesis_settings(max_examples=30, deadline=None)
@given(top=st.integers(0, 40), left=st.integers(0, 60), side=st.integers(16, 24))
def test_the_informative_crop_finds_the_texture_and_stays_inside(top, left, side):
    picture = np.zeros((1, 3, 56, 76), np.float32)
    picture[..., ::5, :] = 1  # stripes: edges, but all of one direction
    picture[..., top : top + 16, left : left + 16] = np.random.default_rng(0).random((1, 3, 16, 16))
    y, x, *found = informative_crop(torch.from_numpy(picture), side)
    assert found == [side, side] and 0 <= y <= 56 - side and 0 <= x <= 76 - side
    assert y - 8 <= top <= y + side - 8 and x - 8 <= left <= x + side - 8  # most of it is in
    assert informative_crop(torch.from_numpy(picture), 0) == (0, 0, 56, 76)
    assert informative_crop(torch.from_numpy(picture), 60)[2:] == (56, 60)


@pytest.mark.parametrize("side", [17, 40])
def test_in_a_large_picture_the_crop_is_as_telling_to_within_the_grid(monkeypatch, side):
    lr = torch.zeros(1, 3, 61, 83)
    lr[..., 61 - side :, 83 - side :] = torch.from_numpy(np.random.default_rng(0).random((3, side, side), np.float32))
    monkeypatch.setattr(grid, "LARGE", 1000)
    top, left, *size = informative_crop(lr, side)
    assert 61 - side - grid.COARSE <= top <= 61 - side and 83 - side - grid.COARSE <= left <= 83 - side
    assert size == [side, side]


def test_a_checkpoint_gives_back_the_same_network(tmp_path):
    network = PatchDiffusion(12, activation="gelu", residual=False)
    save_prior(network, tmp_path / "a.safetensors", {"steps": 3})
    loaded, about = load_prior(str(tmp_path / "a.safetensors"), CPU)
    x, t = torch.randn(2, 3, 20, 20), torch.tensor([3, 900])
    torch.testing.assert_close(loaded(x, t), network(x, t).detach(), rtol=1e-5, atol=1e-6)
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    assert about["channels"] == 12 and len(about["sha256"]) == 64 and about["file"] == "a.safetensors"


@pytest.mark.parametrize("fault", ["missing", "folder", "truncated", "other network", "other file", "pickle", "empty"])
def test_what_is_not_a_checkpoint_is_refused(tmp_path, checkpoint, fault):
    path, network = tmp_path / "x.safetensors", PatchDiffusion(8)
    if fault in ("folder", "empty"):
        path.mkdir() if fault == "folder" else path.touch()
    elif fault == "truncated":
        path.write_bytes(checkpoint.read_bytes()[:-100])
    elif fault == "other network":
        network.config = {**network.config, "channels": 16}
        save_prior(network, path, {})
    elif fault == "other file":
        save_file(network.state_dict(), path)
    elif fault == "pickle":
        path.write_bytes(pickle.dumps(pytest.fail))  # were it unpickled, this alone would do no harm
    with pytest.raises(BadInput) as caught:
        load_prior(str(path), CPU)
    assert path.name in caught.value.message and caught.value.hint


@pytest.mark.parametrize("sizes", [[(70, 80), (64, 64), (90, 66)], [(40, 48), (64, 64), (50, 90)]], ids=str)
def test_a_prior_is_trained_from_a_folder_of_photographs(tmp_path, sizes):
    for i, size in enumerate(sizes):
        Image.fromarray(photo(*size, seed=i)).convert("L" if i == 1 else "RGB").save(tmp_path / f"{i}.png")
    out, reports = tmp_path / "out.safetensors", []
    report = train_prior(tmp_path, out, steps=2, channels=8, progress=reports.append)
    network, about = load_prior(str(out), CPU)
    assert about["channels"] == 8 and report["trained_on"] == ["0.png", "1.png", "2.png"] and len(reports) == 2
    assert json.loads(json.dumps(report))["loss_first"] > 0 and report["loss_held_out"] is None
    assert train_prior(tmp_path, out, steps=2, channels=8) == report
    assert all(map(torch.equal, network.parameters(), load_prior(str(out), CPU)[0].parameters()))
    with pytest.raises(Cancelled):
        train_prior(tmp_path, tmp_path / "no.safetensors", steps=2, channels=8, should_stop=lambda: True)
    assert not (tmp_path / "no.safetensors").exists()


def test_a_folder_without_photographs_is_refused_and_every_tenth_is_held_out(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BadInput, match="photographs"):
            train_prior(folder, tmp_path / "out.safetensors", steps=2)
    for i in range(11):
        (tmp_path / f"{i:02}.PNG").touch()
    assert [path.name for path in split(tmp_path)[1]] == ["00.PNG", "10.PNG"] and len(split(tmp_path)[0]) == 9
