"""The likelihood of the power spectrum, the choice of a kernel by it, and the confidence in an image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import scene, with_noise
from tiny import TINY

from benchmarks.split import case, fresh
from kf_core import Settings, load_prior, super_resolve
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.kernels.base import Candidate, Estimate, Evidence
from kf_core.kernels.simple import simple_kernels
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import bicubic, informative_crop
from kf_core.physics.kernel import centre_of_mass, cosine_similarity, gaussian_kernel, normalise
from kf_core.pixels import to_array, to_tensor
from kf_core.progress import Monitor
from kf_core.restore.plug_and_play import prior_weight_for, restore
from kf_core.run import Run
from kf_core.trust.choose import choose_kernel, clutter, corrected, weighed
from kf_core.trust.confidence import residual, sentence, share, share_in
from kf_core.trust.fitted import FITTED
from kf_core.trust.noise import noise_level
from kf_core.trust.spectrum import Spectrum

torch.set_num_threads(1)


def sharpened(lr, kernel, network, settings, source="recovered", noise=0.0):
    """What RestoreImage does with a photo of that noise."""
    run = Run(torch.device("cpu"), torch.Generator().manual_seed(0), Monitor())
    blur, weight = UniformBlur(kernel, 4, "canvas"), prior_weight_for(source, noise, settings)
    schedule = NoiseSchedule()
    return restore(Photo(lr), blur, DiffusionDenoiser(network, schedule), schedule, settings, run, weight)


def line(length: int) -> torch.Tensor:
    kernel = torch.zeros(24, 24)
    kernel[11:13, 12 - length // 2 : 12 + length // 2] = 1
    return normalise(kernel)


def box(side: int) -> torch.Tensor:
    kernel = torch.zeros(24, 24)
    kernel[12 - side // 2 : 12 + side // 2, 12 - side // 2 : 12 + side // 2] = 1
    return normalise(kernel)


@pytest.mark.parametrize("truth", ["box", "line", "gauss"])
@pytest.mark.parametrize("scale", [2, 4])
def test_on_a_scene_of_its_own_model_the_true_kernel_has_the_least_misfit(truth, scale):
    kernels = {"box": box(10), "line": line(14), "gauss": gaussian_kernel(24, 2.5)}
    others = {
        "narrow": gaussian_kernel(24, 1.2),
        "wide": gaussian_kernel(24, 4.5),
        "turned": line(14).T,
        "small": box(6),
    }
    lr = UniformBlur(kernels[truth], scale, "canvas").A(scene(96 * scale + 24 - scale, 80 * scale + 24 - scale, 2.0))
    spectrum = Spectrum(lr, scale)
    misfits = {name: spectrum.misfit(kernel) for name, kernel in (kernels | others).items()}
    assert min(misfits, key=misfits.__getitem__) == truth
    assert sorted(misfits.values())[1] - misfits[truth] > 0.005


def test_a_scene_that_lies_flat_is_not_taken_for_a_kernel():
    tall = scene(404, 404 * 2, 2.0)[..., ::2]  # detail twice as fine from column to column
    spectrum = Spectrum(UniformBlur(box(8), 4, "canvas").A(tall), 4)
    before = spectrum.misfit(box(8))
    spectrum.fit_anisotropy(box(8))
    assert spectrum.misfit(box(8)) < before - 0.01


def test_a_correction_keeps_a_kernel_a_kernel_in_the_middle():
    for correction in [(0.0, 0.0, 0.0, 0.0), (0.2, -0.1, 0.15, 0.5), (-0.25, 0.25, -0.25, -0.3)]:
        kernel = corrected(torch.from_numpy(case(0).kernel).roll((1, -2), (0, 1)), correction)
        assert float(kernel.sum()) == pytest.approx(1, abs=1e-5) and float(kernel.min()) >= 0
        assert (centre_of_mass(kernel) - 11.5).abs().max() < 0.1
    spread = [float(corrected(gaussian_kernel(24, 2.0), (size, 0.0, 0.0, 0.0)).max()) for size in (-0.2, 0.0, 0.2)]
    assert spread == sorted(spread, reverse=True)


@pytest.mark.slow
def test_a_right_kernel_is_chosen_and_a_foreign_one_replaced():
    pair = case(0)  # a shake
    lr, truth = to_tensor(pair.lr), torch.from_numpy(pair.kernel)
    foreign = Candidate(line(22).T)
    chosen = choose_kernel(Photo(lr), Estimate(truth, "recovered", candidates=(foreign,)), 4, Monitor())
    assert chosen.source == "recovered" and chosen.evidence.margin > 0.1 and torch.equal(chosen.kernel, truth)
    weights = [chosen.weight, *(each.weight for each in chosen.candidates)]
    assert sum(weights) == pytest.approx(1) and weights == sorted(weights, reverse=True)
    assert choose_kernel(Photo(lr), Estimate(foreign.kernel, "recovered"), 4, Monitor()).source == "simple"


@pytest.mark.slow
def test_what_is_merely_black_does_not_hide_the_blur_of_the_rest():
    pair = fresh(3, 96, 20261127)  # an astronaut before a black sky, through a hexagon
    photo, truth = Photo.from_array(pair.lr, torch.device("cpu"), True), torch.from_numpy(pair.kernel)
    assert photo.clipped is not None
    evidence = choose_kernel(photo, Estimate(truth, "recovered"), 4, Monitor()).evidence
    assert evidence.margin > 0.3 and evidence.excess < 0.1


@pytest.mark.slow
def test_where_the_spectrum_shows_hardly_any_blur_a_network_is_believed_and_a_search_is_not():
    pair = fresh(8, 112, 20261203)  # otters through a disc
    truth = torch.from_numpy(pair.kernel)
    searched = Estimate(truth, "recovered")
    learned = replace(searched, agreement=0.997, likeness=0.95)
    photo = Photo(to_tensor(pair.lr))
    for unsure in (searched, replace(learned, likeness=0.75)):
        assert choose_kernel(photo, unsure, 4, Monitor()).source == "simple"
    kept = choose_kernel(photo, learned, 4, Monitor())
    assert torch.equal(kept.kernel, truth) and kept.evidence.margin < FITTED.least_margin
    assert 0.3 < share_in(kept, 0.5) < 0.9


def test_a_simple_kernel_pays_for_being_unlike_the_recovered_one():
    recovered, simple = Candidate(line(16)), Candidate(gaussian_kernel(24, 3.0), "simple")
    found = [(1.0, recovered), (0.9, simple)]
    unlike = 1 - cosine_similarity(recovered.kernel, simple.kernel)
    (_, cheap), _ = weighed(found, recovered.kernel, 0.09 / unlike)
    (misfit, dear), _ = weighed(found, recovered.kernel, 0.11 / unlike)
    assert cheap.source == "simple" and dear.source == "recovered" and misfit == 1.0
    (_, without_blur), _ = weighed(found, None, 0.11 / unlike)
    assert without_blur.source == "simple"


@pytest.mark.parametrize("name", ["a defocus 10 pixels across", "a movement of 16 pixels sideways"])
def test_a_simple_kernel_is_found_by_its_name(name):
    kernels = {each.name: each.kernel for each in simple_kernels(24, 4)}
    lr = UniformBlur(kernels[name], 4, "canvas").A(scene(404, 404, 2.0))
    chosen = choose_kernel(Photo(lr), Estimate(gaussian_kernel(24, 7.0), "recovered"), 4, Monitor())
    assert chosen.source == "simple" and chosen.name == name


def test_the_share_falls_with_whatever_speaks_against_the_kernel_and_where_no_blur_is_seen():
    sound = Evidence(0.2, 0.2, 0.0, 0.0)
    by_residual = [share(rms, sound, "recovered") for rms in (0.1, 1.0, 2.0, 3.0, 30.0)]
    by_clutter = [share(0.5, replace(sound, clutter=cluttered), "recovered") for cluttered in (0.1, 0.3, 0.7, 0.9, 1.1)]
    by_excess = [share(0.5, replace(sound, excess=excess), "recovered") for excess in (-0.1, 0.0, 0.4, 0.45, 0.6)]
    by_margin = [share(0.5, replace(sound, margin=margin), "recovered") for margin in (0.2, 0.1, 0.03, 0.01, 0.0)]
    for shares in (by_residual, by_clutter, by_excess, by_margin):
        assert shares == sorted(shares, reverse=True) and 0.5 < shares[0] < 1 and shares[-1] == 0
        assert shares[0] > shares[2]
    assert share(0.5, replace(sound, margin=-1.0), "recovered") == 0
    kernels = [Estimate(gaussian_kernel(24, 2.0), source) for source in ("simple", "recovered")]
    said = {sentence(value, kernel) for value in (0.0, 0.3, 0.9) for kernel in kernels}
    assert len(said) == 5


def test_a_strange_spectrum_speaks_against_a_kernel_only_where_little_blur_is_seen():
    strange = Evidence(0.1, 0.2, 0.35, 0.0)
    assert share(0.5, strange, "recovered") < 0.3 < share(0.5, replace(strange, margin=0.3), "recovered") - 0.2


def test_the_excess_is_what_chance_leaves_on_a_scene_of_the_model_and_more_on_a_grid_of_bars():
    def excess(hr):
        lr = UniformBlur(box(8), 4, "canvas").A(hr)
        spectrum = Spectrum(lr, 4)
        return spectrum.fit_anisotropy(box(8)) - spectrum.least

    plain = scene(404, 404, 2.0)
    across = 0.4 * torch.sin(torch.arange(404) * 2 * torch.pi / 23.0).sign()
    assert abs(excess(plain)) < 0.05
    assert excess((0.3 * plain + across).clamp(-1, 1)) > 0.2


def test_a_kernel_found_has_little_clutter_and_one_not_found_much():
    found, grey = torch.from_numpy(case(2).kernel), torch.full((24, 24), 1 / 576)
    assert clutter(found) < 0.15 and clutter(0.5 * found + 0.5 * grey) > clutter(found) + 0.2
    assert clutter(7 * found) == pytest.approx(clutter(found), abs=1e-6)


def test_what_a_search_leaves_in_a_corner_does_not_move_the_kernel():
    kernel = torch.zeros(24, 24)
    kernel[8:16, 8:16] = 1
    littered = kernel.clone()
    littered[:6, :6] = 0.09
    cleaned, expected = (corrected(normalise(each), (0.0,) * 4) for each in (littered, kernel))
    assert cosine_similarity(cleaned, expected) > 0.999


@pytest.mark.slow
def test_confidence_tells_a_true_kernel_from_a_wrong_one_and_from_a_flat_photo():
    pair = case(12)  # a box
    lr, truth = to_tensor(pair.lr)[..., 8:56, 8:56], torch.from_numpy(pair.kernel)
    prior, quick = load_prior("bundled", torch.device("cpu"))[0], replace(Settings.preset("fast").finish, steps=6)

    def confidence(photo, kernel):
        made = sharpened(photo, kernel, prior, quick)
        spectrum = Spectrum(photo, 4)
        misfit, narrow = spectrum.misfit(kernel), spectrum.misfit(gaussian_kernel(24, 1.2))
        evidence = Evidence(narrow - misfit, clutter(kernel), misfit - spectrum.least, 0.0)
        return share(residual(photo, made, kernel, 4), evidence, "recovered")

    right, wrong = confidence(lr, truth), confidence(lr, torch.from_numpy(case(19).kernel))
    assert right > wrong + 0.2 and right > 0.4
    assert confidence(torch.full_like(lr, 0.1), truth) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("what", ["flat", "noise", "sharp"])
def test_a_photo_that_says_nothing_becomes_the_plain_enlargement_without_an_error(what):
    random = np.random.default_rng(0)
    photos = {
        "flat": np.full((40, 44, 3), 90, np.uint8),
        "noise": random.integers(0, 256, (40, 44, 3), dtype=np.uint8),
        "sharp": to_array(bicubic(to_tensor(case(8, 112).hr), 112, 112), np.uint8(0))[:48, :48],
    }
    settings = Settings.preset("fast").with_overrides([*TINY, "doubt=True", "finish.steps=3"])
    result = super_resolve(photos[what], settings)
    plain = to_array(bicubic(to_tensor(photos[what]), *result.image.shape[:2]), photos[what])
    assert 0 <= result.report["confidence"] < 0.3 and result.report["confidence_sentence"]
    error = np.square(result.image.astype(float) - plain).mean()
    signal = max(np.square(plain - plain.mean()).mean(), 1.0)
    assert error < 0.02 * signal


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [5.0, 10.0, 20.0])
def test_the_noise_of_a_photo_is_measured(sigma):
    for index in (4, 13, 28):
        pair = case(index)
        found = noise_level(Photo(with_noise(to_tensor(pair.lr), sigma)), torch.from_numpy(pair.kernel), 4)
        assert found == pytest.approx(sigma, rel=0.2, abs=0)
        assert noise_level(Photo(to_tensor(pair.lr)), torch.from_numpy(pair.kernel), 4) == 0


@pytest.mark.slow
def test_a_noisy_photo_comes_out_better_if_its_noise_is_known():
    pair, sigma = case(13, 48), 10.0
    lr, truth, kernel = with_noise(to_tensor(pair.lr), sigma), to_tensor(pair.hr), torch.from_numpy(pair.kernel)
    prior, quick = load_prior("bundled", torch.device("cpu"))[0], replace(Settings.preset("fast").finish, steps=6)

    def error(noise, source):
        made = sharpened(lr, kernel, prior, quick, source, noise)
        return float((made - truth).square().mean())

    plain = float((bicubic(lr, *truth.shape[-2:]) - truth).square().mean())
    for source in ("recovered", "given"):
        assert error(sigma, source) < 0.9 * error(0.0, source) and error(sigma, source) < plain
    noisy = Evidence(1.0, 0.2, 0.0, sigma)
    assert share(sigma, noisy, "recovered") > 0.5 and share(sigma, replace(noisy, noise=0.0), "recovered") == 0


def test_with_a_simple_kernel_the_photo_is_trusted_less():
    pair = case(12)
    lr, kernel = to_tensor(pair.lr)[..., :40, :40], gaussian_kernel(24, 3.0)
    prior, quick = load_prior("bundled", torch.device("cpu"))[0], replace(Settings.preset("fast").finish, steps=2)

    def unexplained(source):
        made = sharpened(lr, kernel, prior, quick, source)
        return residual(lr, made, kernel, 4)

    assert unexplained("given") < unexplained("recovered") < unexplained("simple")


@pytest.mark.slow
def test_the_noise_of_a_large_photo_is_that_of_its_most_telling_part():
    quiet, loud = to_tensor(case(13).lr), with_noise(to_tensor(case(28).lr), 10.0)
    large = torch.cat([quiet.repeat(1, 1, 3, 4), loud.repeat(1, 1, 3, 4)], dim=3)  # 192 x 512
    top, left, height, width = informative_crop(large, FITTED.noise_crop)
    part, kernel = large[:, :, top : top + height, left : left + width], gaussian_kernel(24, 2.0)
    assert part.shape[-1] < large.shape[-1]
    assert noise_level(Photo(large), kernel, 4) == noise_level(Photo(part), kernel, 4) > 5
