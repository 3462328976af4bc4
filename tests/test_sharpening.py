"""In-camera sharpening: undone exactly, told from the photo; the plain enlargement stays that of the photo as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import TINY

from benchmarks import split
from benchmarks.drawings import KERNELS, page, shrunk
from benchmarks.sharpened import sharpened as by_scipy
from kf_core import Settings, super_resolve
from kf_core.checkpoints.load import load_kernel_network
from kf_core.cost import Cost
from kf_core.kernels.base import Estimate
from kf_core.kernels.learned import LearnedKernel
from kf_core.photo import Photo
from kf_core.physics.grid import bicubic
from kf_core.physics.kernel import gaussian_kernel
from kf_core.pixels import to_array, to_tensor
from kf_core.preview import preview
from kf_core.progress import Monitor
from kf_core.run import Run
from kf_core.scores import psnr
from kf_core.sharpening import sharpened, transfer, unsharpened
from kf_core.trust.compression import find_compression
from kf_core.trust.confidence import mix_with_bicubic
from kf_core.trust.sharpness import sharpness

torch.set_num_threads(1)
CPU = torch.device("cpu")
KERNEL = gaussian_kernel(12, 1.2)
SHORT = [*TINY, "finish.steps=1"]


def photo_of(pixels: np.ndarray) -> Photo:
    return Photo.from_array(pixels, CPU, True)


def noise_picture(side: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(40, 200, (side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("share", [0.3, 1.0, 2.0])
def test_what_was_sharpened_comes_back_and_flat_areas_stay(share):
    photo = torch.rand(1, 3, 41, 56, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(unsharpened(sharpened(photo, share), share), photo, atol=1e-5)
    flat = torch.full((1, 3, 40, 40), 0.3)
    assert torch.allclose(unsharpened(flat, share), flat, atol=1e-5)
    spread = unsharpened(photo, share).var() / photo.var()
    assert 1 / (1 + share) ** 2 < float(spread) < 0.9


def test_it_is_the_unsharp_mask_that_programs_have():
    pixels = noise_picture()
    ours = sharpened(torch.from_numpy(pixels.transpose(2, 0, 1)).double()[None], 0.5)[0].numpy().transpose(1, 2, 0)
    inner = slice(6, -6)  # scipy reflects at the edges
    assert np.abs(ours.clip(0, 255) - by_scipy(pixels, 0.5))[inner, inner].max() < 0.6


def test_the_transfer_is_that_of_the_mask():
    point = torch.zeros(1, 1, 40, 48, dtype=torch.float64)
    point[..., 20, 24] = 1.0
    assert torch.allclose(torch.fft.fft2(sharpened(point, 0.7))[0, 0].abs(), transfer(40, 48, 0.7), atol=1e-9)


def measured(pixels: np.ndarray) -> float:
    network, _ = load_kernel_network("bundled", CPU)
    estimator = LearnedKernel(network, Settings.preset("fast", device="cpu", kernel_size=24))
    return sharpness(photo_of(pixels), estimator, 4, Run(CPU, torch.Generator().manual_seed(0), Monitor()))


@pytest.mark.parametrize("index", [21, 27, 28])
def test_a_photo_tells_how_much_it_was_sharpened(index):
    lr = split.case(index, 64).lr
    assert measured(lr) == 0
    assert 0.6 < measured(by_scipy(lr, 1.0)) <= 1.5


def test_a_page_of_text_counts_as_not_sharpened():
    lr = shrunk(page((20, 20, 20), (250, 250, 250)), KERNELS["Gaussian 2"])
    assert measured(by_scipy(lr, 1.0)) == 0


def test_the_photo_as_it_was_shot_is_kept_for_the_plain_enlargement_and_for_jpeg():
    photo = photo_of(noise_picture())
    undone = photo.unsharpened(0.8)
    assert undone.sharpening == 0.8 and torch.equal(undone.as_shot, photo.pixels)
    assert not torch.equal(undone.pixels, photo.pixels) and photo.unsharpened(0) is photo
    part = undone.cut((3, 5, 20, 24))
    assert torch.equal(part.as_shot, photo.pixels[..., 3:23, 5:29]) and torch.equal(
        part.pixels, undone.pixels[..., 3:23, 5:29]
    )
    plain = bicubic(photo.pixels, 80, 80, photo.limits)
    assert torch.equal(mix_with_bicubic(undone, torch.zeros(1, 3, 80, 80), 0.0), plain)
    assert find_compression(undone) == find_compression(photo)


def test_a_share_that_the_settings_name_is_undone_before_anything_else():
    seen = []

    def estimator(photo, run):
        seen.append(photo)
        return Estimate(KERNEL, "recovered")

    estimator.cost = lambda height, width: Cost()
    pixels = noise_picture()
    settings = Settings.preset("fast", scale=2, device="cpu", kernel_size=12).with_overrides(
        [*SHORT, "refine.rounds=0"]
    )
    plain = super_resolve(pixels, settings, estimator=estimator)
    undone = super_resolve(pixels, settings.with_overrides(["sharpening=0.8"]), estimator=estimator)
    assert [each.sharpening for each in seen] == [0, 0.8]
    assert torch.allclose(sharpened(seen[1].pixels, 0.8), seen[0].pixels, atol=1e-4)
    assert (plain.report["sharpening"], undone.report["sharpening"]) == (0, 0.8)
    assert "undo_sharpening" not in plain.report["seconds"] and not np.array_equal(plain.image, undone.image)


def test_the_photo_is_asked_where_the_settings_say_so_also_with_a_kernel_given_unless_that_has_lobes():
    pixels = by_scipy(split.case(21, 64).lr, 1.0)
    settings = Settings.preset("fast", device="cpu").with_overrides([*SHORT, "sharpening=None"])
    kernel = gaussian_kernel(24, 2.0).numpy()
    told = super_resolve(pixels, settings, kernel=kernel).report
    assert told["sharpening"] > 0.6 and told["iterations"]["undo_sharpening"] == 4
    lobes = kernel.copy()
    lobes[0] = -1e-3
    assert super_resolve(pixels, settings, kernel=lobes).report["sharpening"] == 0


def test_a_preview_undoes_what_the_run_undoes():
    pixels, spot = noise_picture(48), (10, 12, 16, 20)
    settings = Settings.preset("fast", scale=2, device="cpu").with_overrides(["finish.steps=1", "sharpening=0.8"])
    shown = preview(pixels, spot, settings)
    assert shown.report["sharpening"] == 0.8


@pytest.mark.slow
def test_a_sharpened_photo_is_not_made_worse():
    settings = Settings.preset("fast", device="cpu").with_overrides(["sharpening=None"])
    case = split.case(15, 64)
    lr = by_scipy(case.lr, 0.5)
    usual = psnr(to_array(bicubic(to_tensor(lr), *case.hr.shape[:2]), lr), case.hr)
    for kernel in (None, case.kernel):
        assert psnr(super_resolve(lr, settings, kernel=kernel).image, case.hr) > usual - 0.1
