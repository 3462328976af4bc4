"""Photos as they are: any range of values, clipped lamps, noise; and the way there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import with_noise
from tiny import TINY

from benchmarks.split import case
from kf_core import Settings, super_resolve
from kf_core.clipped import clipped_values
from kf_core.photo import FARTHEST, Photo, usual_range
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import bicubic
from kf_core.physics.kernel import gaussian_kernel
from kf_core.pixels import quantiles, to_array, to_tensor
from kf_core.trust.even_areas import OF_PAGES, OF_PHOTOGRAPHS, flat_block_noise
from kf_core.trust.noise import noise_level

pytestmark = pytest.mark.slow

torch.set_num_threads(1)
CPU = torch.device("cpu")
KERNEL = gaussian_kernel(24, 2.0)
SIDE = 48


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    inner = slice(8, -8)
    return float(-10 * np.log10(np.square((image - truth)[inner, inner]).mean()))


def scene(index: int) -> np.ndarray:
    """A sharp photograph (4 SIDE + 20, ...) in 0..1, as wide as the kernel reaches."""
    sharp = case(index, SIDE + 5).hr / 255
    return sharp[: 4 * SIDE + 20, : 4 * SIDE + 20]


def shrunk(sharp: np.ndarray, kernel: torch.Tensor) -> np.ndarray:
    image = torch.from_numpy(sharp.transpose(2, 0, 1))[None]
    return UniformBlur(kernel.double(), 4, "canvas").A(image)[0].numpy().transpose(1, 2, 0)


def gain(small: np.ndarray, sharp: np.ndarray, white: float, kernel: torch.Tensor = KERNEL) -> float:
    """dB over the bicubic enlargement, the kernel given."""
    found = super_resolve(small, Settings.preset("fast", device="cpu"), kernel=kernel.numpy()).image
    return gain_of(found, small, sharp, white)


def gain_of(image: np.ndarray, small: np.ndarray, sharp: np.ndarray, white: float) -> float:
    truth, found = sharp[10:-10, 10:-10].clip(0, 1), image / white
    plain = bicubic(to_tensor(small), *truth.shape[:2])[0].numpy().transpose(1, 2, 0) / 2 + 0.5
    return psnr(found, truth) - psnr(plain, truth)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), low=st.floats(-5, 5), contrast=st.floats(0.01, 50), dtype=st.sampled_from(["f4", "f8"]))
def test_a_photo_of_any_range_is_the_same_to_the_engine_and_comes_back(seed, low, contrast, dtype):
    values = np.random.default_rng(seed).random((33, 35, 3))
    one = Photo.from_array(values.astype(dtype), CPU, True)
    other = Photo.from_array((low + contrast * values).astype(dtype), CPU, True)
    torch.testing.assert_close(other.pixels, one.pixels, rtol=0, atol=1e-3)
    back = other.to_array(other.pixels)
    assert back.dtype == dtype and np.abs(back - (low + contrast * values)).max() < 1e-4 * contrast + 1e-5


@pytest.mark.parametrize(("factor", "offset", "dtype"), [(1, 0, "u1"), (3, 0, "u2"), (257, 0, "u2"), (16, 9000, "u2")])
def test_whole_numbers_come_back_as_they_were(factor, offset, dtype):
    values = (np.random.default_rng(0).integers(20, 220, (34, 36, 3)) * factor + offset).astype(dtype)
    photo = Photo.from_array(values, CPU, True)
    assert np.array_equal(photo.to_array(photo.pixels), values)
    torch.testing.assert_close(photo.pixels, Photo.from_array(values / 1.0, CPU, True).pixels, rtol=0, atol=1e-5)
    plain = Photo.from_array(values, CPU, False)
    assert torch.equal(plain.pixels, to_tensor(values)) and plain.clipped is None


def test_the_quantiles_of_a_large_picture_are_those_of_a_sample(monkeypatch):
    values = np.random.default_rng(0).random((3, 300, 400)) ** 2
    exact = quantiles(values, 0.1, 0.9)
    assert exact == pytest.approx(np.quantile(values, (0.1, 0.9)))
    monkeypatch.setattr("kf_core.pixels.SAMPLED", 20_000)
    assert quantiles(values, 0.1, 0.9) != exact and quantiles(values, 0.1, 0.9) == pytest.approx(exact, abs=0.03)


def test_a_flat_photo_is_left_flat():
    for value in (0, 7, 255):
        flat = np.full((32, 40), value, np.uint8)
        photo = Photo.from_array(flat, CPU, True)
        assert float(photo.pixels.std()) == 0 and np.array_equal(photo.to_array(photo.pixels), flat)


@pytest.mark.parametrize(("contrast", "offset"), [(0.1, 0.02), (0.25, 0.6), (40.0, -3.0)])
def test_super_resolve_knows_no_range(contrast, offset):
    small = shrunk(scene(4), KERNEL).astype(np.float32)
    quick = Settings.preset("fast", device="cpu").with_overrides(["finish.steps=4", "finish.precision=fp32"])
    usual = super_resolve(small, quick, kernel=KERNEL.numpy()).image
    other = super_resolve(contrast * small + offset, quick, kernel=KERNEL.numpy()).image
    inside = (usual > small.min()) & (usual < small.max())  # beyond, black and white of the file come into play
    assert np.abs((other - offset) / contrast - usual)[inside].max() < 2e-3 and inside.mean() > 0.9


def test_one_pixel_of_a_high_dynamic_range_does_not_crush_the_rest():
    small = shrunk(scene(4), KERNEL).astype(np.float32)
    quick = Settings.preset("fast", device="cpu").with_overrides(["finish.steps=4"])
    usual = super_resolve(small, quick, kernel=KERNEL.numpy()).image
    small[5, 6] = 100
    found = super_resolve(small, quick, kernel=KERNEL.numpy()).image
    assert found[16:32, 20:36].max() > 50  # it is still there
    assert np.quantile(np.abs(found[80:, 80:] - usual[80:, 80:]), 0.99) < 0.01
    photo = Photo.from_array(small, CPU, True)
    assert float(photo.pixels.max()) <= FARTHEST and photo.excess is not None


def test_the_range_is_that_of_most_values():
    values = np.random.default_rng(0).uniform(40, 60, 10_000)
    low, high = usual_range(values)
    assert 38 < low < 40 and 60 < high < 62
    values[:20] = 1e6
    assert usual_range(values) == pytest.approx((low, high), abs=0.2)


@pytest.mark.parametrize("what", ["dark", "fog", "12 bits in 16"])
def test_a_photo_that_does_not_fill_its_range_is_restored_as_well_as_one_that_does(what):
    sharp, random = scene(4), np.random.default_rng(0)
    if what == "12 bits in 16":
        sharp = sharp * 4095 / 65535
        small = np.round(shrunk(sharp, KERNEL) * 65535).astype(np.uint16)
        assert gain(small, sharp, 65535) > 0.6
        return
    sharp, noise = (0.02 + 0.14 * sharp, 2) if what == "dark" else (0.6 + 0.25 * sharp, 1)
    small = shrunk(sharp, KERNEL) * 255 + random.normal(0, noise, (SIDE, SIDE, 3))
    assert gain(small.round().clip(0, 255).astype(np.uint8), sharp, 255) > 0.2


def test_12_bits_in_a_16_bit_file_are_enlarged_blind_as_the_same_photo_at_full_range():
    sharp = (0.2 + 0.6 * scene(13)) * 4095 / 65535
    small = np.round(shrunk(sharp, KERNEL) * 65535).astype(np.uint16)
    assert small.min() > 500 and small.max() < 3600
    settings = Settings.preset("fast", device="cpu")
    narrow, full = super_resolve(small, settings), super_resolve(small * np.uint16(16), settings)
    assert narrow.report["confidence"] > 0.6
    assert narrow.report["confidence"] == pytest.approx(full.report["confidence"], abs=0.02)
    assert np.abs(narrow.kernel - full.kernel).max() < 0.05 * full.kernel.max()
    assert gain_of(narrow.image, small, sharp, 65535) > 1
    assert np.abs(narrow.image * 16.0 - full.image).mean() < 0.005 * np.ptp(full.image)


def lamps() -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """(sharp, small, kernel): a night scene with lamps far beyond white, moved while the shutter was open."""
    sharp = 0.35 * scene(4)
    rows, columns = np.mgrid[: len(sharp), : len(sharp)]
    for row, column, radius in [(40, 60, 6), (90, 150, 4), (150, 50, 5), (60, 170, 3)]:
        sharp[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = 4.0
    kernel = torch.zeros(24, 24)
    for step in range(-7, 8):
        kernel[12 + step // 2, 12 + step] = 1 / 15
    return sharp, (shrunk(sharp, kernel) * 255).round().clip(0, 255).astype(np.uint8), kernel


def test_clipped_lamps_leave_the_data_step_and_the_noise():
    sharp, small, kernel = lamps()
    photo = Photo.from_array(small, CPU, True)
    assert photo.clipped is not None and bool((photo.clipped == 1).any()) and not bool((photo.clipped == -1).any())
    assert gain(small, sharp, 255, kernel) > 0.2
    found = super_resolve(small, Settings.preset("fast", device="cpu"), kernel=kernel.numpy()).image
    plain = to_array(bicubic(to_tensor(small), 4 * SIDE, 4 * SIDE), small)
    assert ((found.max(2) < 3) & (plain.min(2) > 60)).mean() < 0.002  # black blots where there was light
    clean = noise_level(photo, kernel, 4)
    painted = Photo(photo.unclipped)
    assert clean < 2 and float((painted.pixels - photo.pixels).abs().max()) > 0.5
    assert noise_level(Photo(photo.pixels), kernel, 4) > clean  # if nobody knew that they are clipped


def test_white_skies_and_flat_ends_of_the_range_are_not_clipped_lamps():
    random = torch.Generator().manual_seed(0)
    sky = (1.0 + 0.05 * torch.randn(1, 3, 40, 40, generator=random)).clamp(-1, 1)
    sky[..., 20:, :] = 0.3 + 0.05 * torch.randn(1, 3, 20, 40, generator=random)
    marks = clipped_values(sky)
    assert marks is None or not bool(marks[..., :16, :].any())


@pytest.mark.parametrize("sigma", [3.0, 5.0, 10.0])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("block", [OF_PHOTOGRAPHS, OF_PAGES])
def test_flat_blocks_tell_the_noise(sigma, grey, block):
    ramp = torch.linspace(-60, 60, 64, dtype=torch.float64).expand(1 if grey else 3, 64, 64)
    noise = torch.randn(ramp.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert flat_block_noise(ramp + sigma * noise, block) == pytest.approx(sigma, rel=0.15)
    assert flat_block_noise(ramp, block) < 0.01


@pytest.mark.parametrize("sigma", [3.0, 5.0])
def test_weak_noise_in_a_photo_of_full_contrast_is_seen(sigma):
    random = torch.Generator().manual_seed(0)
    for index in (4, 13, 28):
        pair = case(index)
        lr, kernel = to_tensor(pair.lr), torch.from_numpy(pair.kernel)
        noisy = lr + sigma / 127.5 * torch.randn(lr.shape, generator=random)
        assert noise_level(Photo(noisy), kernel, 4) == pytest.approx(sigma, rel=0.35)
        assert noise_level(Photo(lr), kernel, 4) == 0


@pytest.mark.parametrize("sigma", [3.0, 5.0])
def test_a_white_sky_does_not_hide_the_noise_of_the_rest(sigma):
    pair = case(13)
    lr, kernel = to_tensor(pair.lr), torch.from_numpy(pair.kernel)
    assert noise_level(Photo(with_sky(lr)), kernel, 4) == 0
    assert noise_level(Photo(with_sky(with_noise(lr, sigma))), kernel, 4) == pytest.approx(sigma, rel=0.25)


def with_sky(lr: torch.Tensor) -> torch.Tensor:
    """Its upper third washed out, as by the sun: there all values are at the end of the range."""
    light = torch.linspace(4, 0, lr.shape[-2] // 3)[:, None]
    washed = lr.clone()
    washed[..., : len(light), :] += light
    return washed.clamp(-1, 1)


def test_previews_show_the_photo_in_its_own_range():
    dark = (10 + 30 * np.random.default_rng(0).random((40, 40, 3))).astype(np.uint8)
    seen = []
    super_resolve(
        dark,
        Settings.preset("fast", scale=2, device="cpu").with_overrides([*TINY, "finish.steps=2"]),
        progress=lambda event: seen.append(event.preview()["image"] if event.preview else None),
    )
    assert 0.02 < np.median(seen[-1]) < 0.2
