"""Sharper at the same size: scale 1."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import kf_core
from kf_core import Settings
from kf_core.errors import BadSetting
from kf_core.kernels.base import Estimate
from kf_core.photo import Photo
from kf_core.preview import preview
from kf_core.same_size import convolved, usable_means, variance, window, without_mean
from kf_core.scores import psnr
from kf_core.trust.confidence import confidence, share_in


def scene(side: int = 120) -> np.ndarray:
    """(side, side, 3) uint8: soft-edged discs of all sizes, as if seen by a good lens."""
    rng, image = np.random.default_rng(5), np.full((side * 2, side * 2, 3), 90.0)
    y, x = np.mgrid[: side * 2, : side * 2]
    for _ in range(220):
        inside = np.hypot(y - rng.integers(side * 2), x - rng.integers(side * 2)) < rng.uniform(3, 40)
        image[inside] = rng.integers(20, 236, 3)
    return image.reshape(side, 2, side, 2, 3).mean((1, 3)).round().astype(np.uint8)


def gaussian(sigma: float, size: int = 25) -> torch.Tensor:
    row = torch.exp(-0.5 * ((torch.arange(size) - size // 2) / sigma) ** 2)
    return torch.outer(row, row) / row.sum() ** 2


def blurred(image: np.ndarray, kernel: torch.Tensor) -> np.ndarray:
    planes = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[:, None]
    wide = F.pad(planes, (len(kernel) // 2,) * 4, mode="reflect")
    made = F.conv2d(wide, kernel[None, None])[:, 0].permute(1, 2, 0)
    return made.round().clamp(0, 255).byte().numpy()


def quick(**changed: object) -> Settings:
    settings = Settings.preset("fast", scale=1, device="cpu", **changed)
    return settings.with_overrides(["finish.steps=4"])


def test_a_blurred_photo_is_sharper_at_the_same_size_and_says_how_blurred_it_was():
    sharp = scene()
    soft = blurred(sharp, gaussian(2.0))
    found = kf_core.super_resolve(soft, quick())
    assert found.image.shape == soft.shape and found.image.dtype == soft.dtype
    inner = slice(16, -16)
    assert psnr(found.image[inner, inner], sharp[inner, inner]) > psnr(soft[inner, inner], sharp[inner, inner]) + 0.5
    assert found.kernel.shape == (25, 25) and found.kernel.sum() == pytest.approx(1, abs=1e-4)
    assert 1.4 < variance(torch.from_numpy(found.kernel)) ** 0.5 < 2.6
    report = found.report
    assert report["share"] > 0.8 and report["confidence"] > 0.8 and report["kernel_source"] == "recovered"
    assert report["output_size"] == report["input_size"] == [120, 120]


def test_of_the_image_of_a_kernel_that_may_well_be_wrong_less_is_taken():
    likely = Estimate(gaussian(2.0), "recovered", likeness=0.9, mean=4)
    unlikely = replace(likely, likeness=0.7)
    assert share_in(unlikely, 0.0) < 0.4 < 0.8 < share_in(likely, 0.0)
    assert confidence(unlikely, 0.35) == pytest.approx(0.7)
    assert share_in(replace(likely, blurred=0.0), 0.0) == confidence(replace(likely, blurred=0.0), 0.0) == 0


def test_a_sharp_photo_is_left_alone():
    sharp = scene()
    found = kf_core.super_resolve(sharp, quick())
    assert found.report["confidence"] < 0.2
    assert psnr(found.image, sharp) > 38


def test_a_given_kernel_is_undone_at_the_same_size():
    sharp = scene()
    soft = blurred(sharp, gaussian(1.5))
    found = kf_core.super_resolve(soft, quick(), kernel=gaussian(1.5))
    assert psnr(found.image, sharp) > psnr(soft, sharp) + 3


def test_tiles_are_like_the_whole():
    soft = blurred(scene(), gaussian(2.0))
    whole = kf_core.super_resolve(soft, quick())
    tiles = kf_core.super_resolve(soft, replace(quick(), memory=0.05))
    assert np.abs(whole.image.astype(int) - tiles.image).max() <= 2


def test_what_enlarges_is_refused_at_the_same_size():
    photo = scene(48)
    with pytest.raises(BadSetting) as caught:
        kf_core.super_resolve(photo, Settings.preset("paper", scale=1))
    assert "fast" in caught.value.hint
    with pytest.raises(BadSetting):
        kf_core.super_resolve(photo, quick().with_overrides(["varying.regions=2"]))


@pytest.mark.parametrize("side", [32, 40, 63, 64, 100])
def test_small_photos_are_read_through_the_means_they_have_room_for(side):
    assert usable_means(side, 500) == ([4, 2] if side > 64 else [2])
    found = kf_core.recover_kernel(np.random.default_rng(0).integers(0, 255, (side, 80, 3), dtype=np.uint8), quick())
    assert found.kernel.shape == (25, 25) and np.isfinite(found.kernel).all()


def test_the_mean_is_taken_out_of_the_kernel():
    kernel = gaussian(2.0)
    box = torch.full((4, 4), 1 / 16)
    seen = convolved(kernel, box)[2:-2, 2:-2]  # (24, 24), as the network sees it
    assert variance(seen / seen.sum()) == pytest.approx(variance(kernel) + 15 / 12, rel=0.02)
    found = without_mean(seen, 4, 25)
    assert float(F.cosine_similarity(found.flatten(), kernel.flatten(), dim=0)) > 0.99


def test_a_photo_through_a_mean_keeps_its_size_and_marks_what_was_clipped():
    pixels = torch.zeros(1, 3, 20, 20)
    clipped = torch.zeros(1, 3, 20, 20)
    clipped[..., 10, 10] = -1
    photo = Photo(pixels + 0.3, clipped=clipped).through_mean(window(4))
    assert photo.size == (20, 20)
    torch.testing.assert_close(photo.pixels, pixels + 0.3)
    assert photo.clipped is not None and float(photo.clipped[0, 0].sum()) == 25
    torch.testing.assert_close(photo.as_shot, pixels + 0.3)


def test_the_preview_of_a_spot_is_what_the_run_makes_there():
    soft = blurred(scene(), gaussian(2.0))
    run = kf_core.super_resolve(soft, quick())
    spot = preview(soft, (40, 50, 24, 20), quick())
    assert spot.image.shape == (24, 20, 3) and np.array_equal(spot.kernel, run.kernel)
    there = np.s_[40:64, 50:70]
    assert np.abs(spot.image.astype(float) - run.image[there]).mean() < 3
    assert np.array_equal(spot.plain, soft[there])
    assert np.abs(spot.image.astype(float) - soft[there]).mean() > 1  # it is sharper, not the photo
    assert preview(scene(), (40, 50, 24, 20), quick()).report["confidence"] < 0.2
