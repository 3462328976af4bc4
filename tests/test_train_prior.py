"""A prior from a folder: what is held out, what is measured, and stopping and going on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from benchmarks.kf144 import PHOTOS
from kf_core.checkpoints.load import load_prior
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.errors import BadInput, Cancelled
from kf_core.progress import Monitor
from kf_core.training.error_table import blur, errors_by_noise
from kf_core.training.train_prior import RECIPE, as_tensor, state_file, train_prior

torch.set_num_threads(1)


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(11):
        pixels = random.integers(0, 256, (40 + i, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{i:02}.png")
    return photos


def stop_after(steps: int):
    asked = []
    return lambda: asked.append(1) or len(asked) >= steps


@pytest.mark.slow
def test_held_out_photographs_smaller_than_the_crop_are_scored_too(folder, tmp_path):
    report = train_prior(folder, tmp_path / "out.safetensors", steps=1, channels=8)
    assert report["held_out"] == ["00.png", "10.png"]
    assert 0 < report["loss_held_out"] < 10


@pytest.mark.slow
def test_an_interrupted_training_goes_on_to_the_same_weights_and_curve(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("kf_core.training.train_prior.RECIPE", RECIPE.__class__(**{**vars(RECIPE), "check_every": 2}))
    usual, halting = tmp_path / "usual.safetensors", tmp_path / "halting.safetensors"
    once = train_prior(folder, usual, steps=7, channels=4, batch=2)
    for _ in range(2):  # stopped twice, after three steps each time
        with pytest.raises(Cancelled, match="kept"):
            train_prior(folder, halting, steps=7, channels=4, batch=2, resume=True, should_stop=stop_after(3))
        assert not halting.exists() and state_file(halting).exists()
    again = train_prior(folder, halting, steps=7, channels=4, batch=2, resume=True)
    assert again["curve"] == once["curve"] and [row["step"] for row in once["curve"]] == [0, 2, 4, 6]
    one, other = load_file(usual), load_file(halting)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not state_file(halting).exists()


@pytest.mark.slow
def test_without_resume_training_starts_anew(folder, tmp_path):
    out = tmp_path / "out.safetensors"
    with pytest.raises(Cancelled):
        train_prior(folder, out, steps=4, channels=4, batch=2, should_stop=stop_after(2))
    counted = []
    train_prior(folder, out, steps=4, channels=4, batch=2, progress=lambda event: counted.append(event.step))
    assert counted == [1, 2, 3, 4]


@pytest.mark.parametrize("change", [{"steps": 5}, {"channels": 8}, {"seed": 1}, {"batch": 3}])
def test_another_recipe_does_not_go_on_with_the_training(folder, tmp_path, change):
    out, usual = tmp_path / "out.safetensors", {"steps": 4, "channels": 4, "batch": 2}
    with pytest.raises(Cancelled):
        train_prior(folder, out, **usual, should_stop=stop_after(2))
    with pytest.raises(BadInput, match="other settings"):
        train_prior(folder, out, **usual | change, resume=True)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04\x95pickle"])
def test_a_damaged_training_file_is_refused(folder, tmp_path, content):
    out = tmp_path / "out.safetensors"
    state_file(out).write_bytes(content)
    with pytest.raises(BadInput, match="cannot be read"):
        train_prior(folder, out, steps=2, channels=4, batch=2, resume=True)
    assert state_file(out).read_bytes() == content


@pytest.mark.slow
def test_a_prior_is_not_a_training_file(folder, tmp_path):
    out = tmp_path / "out.safetensors"
    train_prior(folder, out, steps=1, channels=4, batch=2)
    state_file(out).write_bytes(out.read_bytes())
    with pytest.raises(BadInput, match="not an unfinished training"):
        train_prior(folder, out, steps=1, channels=4, batch=2, resume=True)


@pytest.mark.slow
def test_credits_come_from_the_folders_index(folder, tmp_path):
    entry = {"author": "A. Photographer", "license": "CC0-1.0", "source": "somewhere", "size": [1, 2]}
    index = [entry | {"file": name} for name in ("03.png", "10.png", "gone.png")]
    (folder / "index.json").write_text(json.dumps(index))
    report = train_prior(folder, tmp_path / "out.safetensors", steps=1, channels=4, batch=2)
    assert report["credits"] == [
        {"file": "03.png", "author": "A. Photographer", "license": "CC0-1.0", "source": "somewhere"}
    ]  # not of those held out, nor of those that are not there
    (folder / "index.json").write_text("{")
    with pytest.raises(BadInput, match=r"index\.json"):
        train_prior(folder, tmp_path / "out.safetensors", steps=1, channels=4, batch=2)


@pytest.mark.slow
def test_the_bundled_prior_beats_every_trivial_predictor_on_a_photograph_it_never_saw():
    picture = as_tensor(PHOTOS[0])
    network, _ = load_prior("bundled", torch.device("cpu"))
    rows = errors_by_noise(network, [picture], [picture], NoiseSchedule(), replace(RECIPE, crop=40), Monitor())
    for row in rows:
        if row["t"] <= 200:  # above, a wide blur knows as much as 15 x 15 pixels do
            assert row["prior"] < 0.9 * min(row["unchanged"], row["mean"], row["blur"]), row


@pytest.mark.slow
def test_errors_of_the_trivial_predictors_are_the_closed_forms():
    picture = torch.full((3, 80, 90), 128, dtype=torch.uint8)  # grey: noise is all there is
    schedule = NoiseSchedule()
    with torch.random.fork_rng():
        rows = errors_by_noise(PatchDiffusion(4), [picture], [picture], schedule, RECIPE, Monitor())
    for row in rows:
        level = float(schedule.alpha_bar[row["t"]])
        assert row["mean"] == 0
        if row["t"] <= 25:  # so little noise that hardly a value leaves the range and is clipped
            assert row["unchanged"] == pytest.approx(127.5 * ((1 - level) / level) ** 0.5, rel=0.02)
    assert errors_by_noise(PatchDiffusion(4), [picture], [], schedule, RECIPE, Monitor()) == []


def test_blur_keeps_flat_pictures_and_lowers_white_noise_as_a_gaussian_does():
    assert torch.allclose(blur(torch.full((1, 3, 20, 20), 0.3), 4.0), torch.tensor(0.3))
    noise = torch.randn(4, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    sigma = 2.0  # the squares of Gaussian weights sum to 1 / (4 pi sigma^2)
    assert float(blur(noise, sigma).var()) == pytest.approx(1 / (4 * np.pi * sigma**2), rel=0.05)
