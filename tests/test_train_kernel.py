"""Training the kernel estimator: the kernels, the examples, the loss, and the loop that can be stopped."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kf_core.errors import BadInput, Cancelled
from kf_core.training import kernel_data
from kf_core.training import train_kernel as train_kernel_module
from kf_core.training.kernel_data import Photographs, developed, grey, make_batch, recorded, shrunk, usable
from kf_core.training.kernel_families import ARCS_AND_SPIRALS, FAMILIES, SIZE, random_kernels
from kf_core.training.kernel_loss import losses, scores
from kf_core.training.kernel_state import load_weights
from kf_core.training.train_kernel import Recipe, Training, state_file, train_kernel

TINY = {"width": 4, "maps": 2, "mixed": 8, "narrow": 4, "odd": 4, "hidden": 16}
EVERY_FAMILY = {**FAMILIES, **ARCS_AND_SPIRALS}


def picture(seed: int, side: int = 216) -> np.ndarray:
    """(side, side, 3) uint8: overlapping rectangles of all sizes, sharp to the pixel."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((side, side, 3), dtype=np.uint8)
    for _ in range(150):
        top, left = rng.integers(0, side, 2)
        height, width = rng.integers(3, side // 4, 2)
        pixels[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven small photographs: the first and the last by name are held out."""
    folder = tmp_path_factory.mktemp("photographs")
    for seed in range(11):
        Image.fromarray(picture(seed)).save(folder / f"{seed:02}.png")
    entry = {"file": "03.png", "author": "A. Painter", "license": "CC0-1.0", "source": "here"}
    (folder / "index.json").write_text(json.dumps([entry]))
    return folder


@pytest.fixture(scope="module")
def photographs(folder: Path) -> Photographs:
    return Photographs.read(sorted(folder.glob("*.png"))[:4])


@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_kernels_of_each_family_are_kernels(name: str) -> None:
    kernels = random_kernels(np.random.default_rng(1), 12, {name: EVERY_FAMILY[name]})
    at = torch.arange(SIZE) - (SIZE - 1) / 2
    assert kernels.shape == (12, SIZE, SIZE)
    assert kernels.min() >= 0
    assert torch.allclose(kernels.sum((1, 2)), torch.ones(12), atol=1e-5)
    for axis in (1, 2):
        assert (kernels.sum(axis) @ at).abs().max() < 0.05  # HR pixels
    assert len({tuple(kernel.flatten().tolist()) for kernel in kernels}) == 12


@pytest.mark.parametrize("name", ["shakes", "lines", "polygons", "boxes", "discs"])
def test_shapes_stand_on_empty_ground(name: str) -> None:
    kernels = random_kernels(np.random.default_rng(2), 20, {name: FAMILIES[name]})
    corners = torch.stack([kernels[:, y, x] for y in (0, -1) for x in (0, -1)])
    assert (corners / kernels.amax((1, 2))).median() < 1e-6


def test_what_is_drawn_off_centre_is_centred_to_a_fraction_of_a_pixel() -> None:
    def off_centre(rng: np.random.Generator) -> np.ndarray:
        density = np.zeros((96, 96))
        density[rng.integers(10, 30) :, 50:53] = 1
        return density

    kernels = random_kernels(np.random.default_rng(3), 8, {"off centre": (off_centre, 1.0)})
    at = torch.arange(SIZE) - (SIZE - 1) / 2
    assert (kernels.sum(1) @ at).abs().max() < 0.05
    assert (kernels.sum(2) @ at).abs().max() < 0.05


def test_arcs_and_spirals_are_kept_out(monkeypatch: pytest.MonkeyPatch, photographs: Photographs) -> None:
    assert abs(sum(share for _, share in FAMILIES.values()) - 1) < 1e-9
    assert not {function for function, _ in FAMILIES.values()} & {f for f, _ in ARCS_AND_SPIRALS.values()}

    def never(rng: np.random.Generator) -> np.ndarray:
        raise AssertionError("the kept-out family was trained on")

    monkeypatch.setattr("kf_core.training.kernel_families.arcs_and_spirals", never)
    make_batch(photographs, 0, 0, 30, 48)


def test_a_batch_is_a_function_of_seed_and_number(photographs: Photographs) -> None:
    photos, kernels = make_batch(photographs, 7, 3, 4, 48)
    again, same = make_batch(photographs, 7, 3, 4, 48)
    assert torch.equal(photos, again)
    assert torch.equal(kernels, same)
    for seed, number in ((7, 4), (8, 3)):
        assert not torch.equal(make_batch(photographs, seed, number, 4, 48)[1], kernels)
    assert photos.shape == (4, 1, 48, 48)
    assert torch.allclose(photos * 255, (photos * 255).round(), atol=1e-4)  # 8 bits


def test_shrinking_is_the_strided_cross_correlation() -> None:
    kernels = random_kernels(np.random.default_rng(0), 2)
    photos = torch.rand(2, kernel_data.canvas(9), kernel_data.canvas(11))
    expected = [F.conv2d(p[None, None], k[None, None], stride=4)[0, 0] for p, k in zip(photos, kernels, strict=True)]
    assert torch.allclose(shrunk(photos, kernels), torch.stack(expected), atol=1e-6)


def test_a_point_kernel_looks_where_the_degradation_says() -> None:
    """LR(j) is centred on HR coordinate 4 j + 1.5, and the canvas reaches 10 pixels further out."""
    kernel = torch.zeros(1, SIZE, SIZE)
    kernel[0, 11:13, 11:13] = 0.25
    ramp = torch.arange(kernel_data.canvas(5)).float().expand(kernel_data.canvas(5), -1)[None]
    assert torch.allclose(shrunk(ramp, kernel)[0, 0], 4 * torch.arange(5) + 1.5 + 10)


def test_soft_and_empty_crops_are_passed_over() -> None:
    sharp = grey(picture(0))
    soft = F.avg_pool2d(torch.from_numpy(sharp)[None].float(), 5, stride=1)[0].numpy().astype(np.uint8)
    assert usable(sharp)
    assert not usable(soft)
    assert not usable(np.full((60, 60), 90, dtype=np.uint8))


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_developing_keeps_the_order_of_the_tones(seed: int) -> None:
    tones = developed(np.random.default_rng(seed), np.arange(256, dtype=np.uint8)[None])[0]
    assert (np.diff(tones) >= 0).all()
    assert 0 <= tones[0] < tones[-1] <= 1
    assert tones[-1] - tones[0] > 0.14


def test_noise_and_jpeg_come_as_often_as_they_should() -> None:
    flat = np.full((24, 24), 0.5 + 0.5 / 255, dtype=np.float32)
    spread = np.array([recorded(np.random.default_rng(seed), flat).std() * 255 for seed in range(600)])
    assert 0.2 < (spread < 0.05).mean() < 0.45  # none, or lost in the rounding
    assert 0.04 < (spread > 3.2).mean() < 0.15
    assert spread.max() < 11


def test_the_loss_sees_the_turn_and_the_blur() -> None:
    truth = random_kernels(np.random.default_rng(0), 8, {"polygons": FAMILIES["polygons"]})
    nothing = losses(truth, truth)
    assert all(float(value.abs().max()) < 1e-5 for value in nothing.values())
    turned = losses(truth.flip(1, 2), truth)
    assert torch.allclose(turned["odd"], 4 * losses((truth + truth.flip(1, 2)) / 2, truth)["odd"], rtol=1e-3)
    assert (turned["odd"] > 0).all()
    blurred = losses(F.avg_pool2d(truth[:, None], 3, 1, 1)[:, 0], truth)
    assert (blurred["transfer"] > 0.005).all()
    assert scores(truth, truth)["odd_cosine"] == pytest.approx(1, abs=1e-4)
    assert scores(truth.flip(1, 2), truth)["odd_cosine"] == pytest.approx(-1, abs=1e-4)


def test_the_learning_rate_rises_then_falls() -> None:
    recipe = Recipe(samples=1000, warmup=100, learning_rate=1.0, final_learning_rate=0.01)
    rates = [recipe.learning_rate_at(seen) for seen in range(0, 1001, 10)]
    peak = int(np.argmax(rates))
    assert 8 <= peak <= 11
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)


@pytest.fixture(autouse=True)
def few_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: (families, 4) for name, (families, _) in train_kernel_module.VALIDATION.items()}
    monkeypatch.setattr(train_kernel_module, "VALIDATION", few)


def train(folder: Path, out: Path, samples: int = 32, **changed: object) -> dict:
    recipe = replace(Recipe(), samples=samples, batch=2, warmup=10, learning_rate=1e-3)
    return train_kernel(folder, out, **{"recipe": recipe, "config": TINY, "tell": lambda line: None} | changed)


@pytest.mark.slow
def test_an_interrupted_training_ends_as_one_that_was_not(folder: Path, tmp_path: Path) -> None:
    straight, stopped, calls = tmp_path / "straight.safetensors", tmp_path / "stopped.safetensors", []
    train(folder, straight, check_every=24)

    def soon() -> bool:
        calls.append(1)
        return len(calls) == 2

    with pytest.raises(Cancelled):
        train(folder, stopped, check_every=24, should_stop=soon)
    assert not stopped.exists()
    assert state_file(stopped).exists()
    report = train(folder, stopped, check_every=24, resume=True)
    assert stopped.read_bytes() == straight.read_bytes()
    assert [row["seen"] for row in report["curve"]] == [24, 32]


def test_examples_made_ahead_in_processes_teach_the_same(folder: Path, tmp_path: Path) -> None:
    in_place = train(folder, tmp_path / "one.safetensors", samples=24)
    ahead = train(folder, tmp_path / "two.safetensors", samples=24, processes=1)
    assert ahead["seen"] == in_place["seen"] >= 24
    one, two = (load_weights(tmp_path / f"{name}.safetensors")[0].state_dict() for name in ("one", "two"))
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights)


def test_the_weights_say_what_they_were_made_of(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "corrnet.safetensors"
    report = train(folder, out, samples=8)
    network, about = load_weights(out)
    assert network.config == about["config"] == TINY
    assert about["held_out"] == ["00.png", "10.png"]
    assert not set(about["trained_on"]) & set(about["held_out"])
    assert about["credits"] == [{"file": "03.png", "author": "A. Painter", "license": "CC0-1.0", "source": "here"}]
    assert "arcs_and_spirals" not in about["families"]
    assert {"trained_cosine", "kept_out_odd_cosine", "loss"} <= set(report["curve"][-1])
    assert network(torch.rand(1, 1, 40, 40)).shape == (1, SIZE, SIZE)


def test_a_training_whose_state_is_lost_goes_on_from_its_weights(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train(folder, first, samples=8)
    state_file(first).unlink()
    report = train(folder, second, samples=16, start=first)
    assert report["seen"] == 16 and [row["seen"] for row in report["curve"]] == [8, 16]
    nothing = train(folder, tmp_path / "same.safetensors", samples=8, start=first)
    assert nothing["seen"] == 8
    again, before = load_weights(tmp_path / "same.safetensors")[0], load_weights(first)[0]
    assert all(map(torch.equal, again.parameters(), before.parameters()))
    with pytest.raises(BadInput, match="another architecture"):
        train(folder, second, config=TINY | {"hidden": 8}, start=first)


def test_it_does_not_go_on_with_other_settings(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "corrnet.safetensors"
    train(folder, out, samples=8)
    with pytest.raises(BadInput, match="other settings"):
        train(folder, out, samples=16, resume=True, seed=1)
    assert train(folder, out, samples=16, resume=True)["seen"] == 16  # longer, or shorter, it may be
    state_file(out).write_bytes(b"nonsense")
    with pytest.raises(BadInput, match="cannot be read"):
        train(folder, out, samples=16, resume=True)


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_damaged_file_of_weights_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        load_weights(path)


def test_an_unfinished_training_is_not_taken_for_weights(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "corrnet.safetensors"
    train(folder, out, samples=8)
    with pytest.raises(BadInput, match="not a kernel estimator"):
        load_weights(state_file(out))


def test_photographs_too_small_to_shrink_are_told(tmp_path: Path) -> None:
    Image.fromarray(picture(0, side=180)).save(tmp_path / "small.png")
    with pytest.raises(BadInput, match="too small"):
        train(tmp_path, tmp_path / "corrnet.safetensors")


@pytest.mark.slow
def test_it_learns(photographs: Photographs) -> None:
    """Forty steps on the same examples: the loss must fall, and the odd parts come to agree."""
    from concurrent.futures import ThreadPoolExecutor

    recipe = Recipe(warmup=1, learning_rate=3e-3)
    training = Training.begin(recipe, 0, {"width": 8, "maps": 4, "mixed": 32, "narrow": 8, "odd": 32, "hidden": 64})
    photos, kernels = make_batch(photographs, 0, 0, 8, 48, {"polygons": FAMILIES["polygons"]})
    before = scores(training.network(photos).detach(), kernels)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(40):
            training.learn([lambda: (photos, kernels)], recipe, pool)
    after = scores(training.network(photos).detach(), kernels)
    assert after["cosine"] > before["cosine"] + 0.1
    assert after["odd_cosine"] > before["odd_cosine"] + 0.2
