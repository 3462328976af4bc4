"""The phases one by one, on problems small enough for a second: Algorithm 1, polishing, finishing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from little_problems import LEARN, SCHEDULE, blocks, seeded, tiny_prior

from kf_core import Cancelled
from kf_core.checkpoints.load import load_prior
from kf_core.denoisers.base import denoise_tiled
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.denoisers.learn import Training, learn_patches
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.errors import Diverged
from kf_core.kernels.algorithm1 import recover
from kf_core.kernels.refine import fit_kernel, refine_kernel
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import bicubic
from kf_core.physics.kernel import cosine_similarity, gaussian_kernel, normalise, off_centre
from kf_core.progress import Monitor
from kf_core.restore.plug_and_play import prior_weight_for, restore
from kf_core.restore.unet import Refiner
from kf_core.run import Run
from kf_core.settings import FinishSettings, RecoverySettings, RefineSettings

torch.set_num_threads(1)  # on a busy machine two that wait for each other are many times slower
TINY = RecoverySettings(
    timesteps=(300, 100, 1), first_iterations=4, iterations=3, learning_rate=1e-3, final_learning_rate=1e-4,
    unet_channels=4, unet_depth=3, inr_layers=3, inr_width=16,
)  # fmt: skip
FINISH, REFINE = FinishSettings(steps=3, precision="fp32"), RefineSettings(rounds=2, steps=2, precision="fp32")


def a_run(seed: int = 0, monitor: Monitor | None = None) -> Run:
    return Run(torch.device("cpu"), seeded(seed), monitor or Monitor())


def sharpened(lr, kernel, scale, network, settings, run, source="recovered"):
    """What RestoreImage does with a photo without noise."""
    blur, weight = UniformBlur(kernel, scale, "canvas"), prior_weight_for(source, 0.0, settings)
    return restore(Photo(lr), blur, DiffusionDenoiser(network, SCHEDULE), SCHEDULE, settings, run, weight)


def refined(lr, kernel, scale, network, settings, run):
    return refine_kernel(Photo(lr), kernel, scale, DiffusionDenoiser(network, SCHEDULE), SCHEDULE, settings, run)


def psnr(image: torch.Tensor, truth: torch.Tensor) -> float:
    return float(10 * torch.log10(4 / (image - truth).square().mean()))


def run(settings: RecoverySettings = TINY, *, seed=0, monitor=None, known=None, prior=None):
    lr = bicubic(blocks(128, 128), 32, 32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return recover(lr, 12, 2, prior or tiny_prior(), SCHEDULE, settings, a_run(seed, monitor), known)


OPTIONS = [
    {"kernel_model": "direct_sigmoid"}, {"kernel_model": "direct_relu"}, {"kernel_model": "linear_cnn"},
    {"method": "dip"}, {"separate_unets": True}, {"prior_gradient": False}, {"prior_every": 2},
    {"prior_every": 2, "prior_gradient": False}, {"posterior_noise": "zero"}, {"com_weight": 100.0}, {"border": 3},
    {"padding": "zeros"}, {"padding": "canvas"}, {"kernel_learning_rate": 1e-2, "kernel_final_learning_rate": 1e-3},
    {"inr_omega": 10.0}, {"inr_extent": 0.5}, {"unet_depth": 2}, {"timesteps": (300, 50, 1)}, {"precision": "bf16"},
]  # fmt: skip


@pytest.fixture(scope="module")
def usual():
    return run()


@pytest.mark.parametrize("option", [{}, *OPTIONS], ids=str)
def test_every_option_of_algorithm_1_gives_a_picture_and_a_kernel_and_has_an_effect(option, usual):
    found = run(replace(TINY, **option))
    assert found.image.shape == (1, 3, 64, 64) and found.kernel.shape == (12, 12)
    assert bool(torch.isfinite(found.image).all()) and float(found.image.abs().max()) <= 1
    assert float(found.kernel.sum()) == pytest.approx(1, abs=1e-3) and found.consistency > 0
    assert torch.equal(found.image, usual.image) == (option == {})
    assert torch.equal(found.kernel, usual.kernel) == (option == {})


@pytest.mark.slow
def test_algorithm_1_depends_on_the_seed_and_explains_the_photo_better_the_longer_it_runs(usual):
    longer = run(replace(TINY, first_iterations=40, iterations=20, learning_rate=5e-3))
    assert not torch.equal(run(seed=1).image, usual.image)
    assert longer.consistency < 0.8 * usual.consistency


def test_separate_u_nets_are_two_and_both_are_trained(monkeypatch):
    made, adam = [], torch.optim.Adam
    monkeypatch.setattr(torch.optim, "Adam", lambda groups, **k: made.append(groups[0]["params"]) or adam(groups, **k))
    run(), run(replace(TINY, separate_unets=True))
    assert len({*map(id, made[1])}) == 2 * len({*map(id, made[0])})
    assert all(weights.grad is not None for weights in made[1])


def test_the_centre_of_mass_weight_pulls_the_kernel_to_the_middle():
    quick = {"kernel_model": "direct_relu", "kernel_learning_rate": 5e-2, "timesteps": (300,), "first_iterations": 15}
    free, held = (float(off_centre(run(replace(TINY, com_weight=w, **quick)).kernel)) for w in (0, 10))
    assert held < 0.5 * free


def test_a_known_kernel_is_used_and_returned_and_the_first_guess_is_bicubic(usual, monkeypatch):
    seen, forward = [], Refiner.forward
    monkeypatch.setattr(Refiner, "forward", lambda self, image: seen.append(image) or forward(self, image))
    known = normalise(gaussian_kernel(12, 1.0).roll(2, 0))
    assert torch.equal((found := run(known=known)).kernel, known) and not torch.equal(found.image, usual.image)
    assert torch.equal(seen[0], bicubic(bicubic(blocks(128, 128), 32, 32), 64, 64))


def phases(monitor: Monitor, prior: PatchDiffusion) -> dict:
    lr, kernel = bicubic(blocks(64, 64), 32, 32), gaussian_kernel(12, 1.5)
    return {
        "learn": lambda: learn_patches(
            Training.begin(prior, LEARN, seeded()), [blocks(40, 40)[0]], SCHEDULE, LEARN, monitor
        ),
        "recover": lambda: run(monitor=monitor, prior=prior),
        "refine": lambda: refined(lr, kernel, 2, prior, REFINE, a_run(monitor=monitor)),
        "finish": lambda: sharpened(lr, kernel, 2, prior, replace(FINISH, steps=6), a_run(monitor=monitor)),
    }


@pytest.mark.parametrize("phase", ["learn", "recover", "refine", "finish"])
def test_cancelling_takes_effect_after_the_iteration_it_was_asked_in(phase):
    reports, passes, prior = [], [], tiny_prior()
    prior.register_forward_hook(lambda *_: passes.append(1))
    with pytest.raises(Cancelled):
        phases(Monitor(reports.append, lambda: len(reports) == 2), prior)[phase]()
    assert [report.step for report in reports] == [1, 2] and reports[0].total > 3 and len(passes) <= 3


def test_cancelling_is_obeyed_between_the_tiles_of_one_step():
    passes, prior = [], tiny_prior()
    prior.register_forward_hook(lambda *_: passes.append(1))
    monitor = Monitor(should_stop=lambda: len(passes) == 2)
    with pytest.raises(Cancelled), torch.no_grad():
        denoise_tiled(DiffusionDenoiser(prior, SCHEDULE), torch.zeros(1, 3, 64, 64), 0.3, 16, monitor)
    assert len(passes) == 2


@pytest.mark.parametrize("phase", ["learn", "recover"])
def test_numbers_that_run_away_end_the_run(phase):
    prior = tiny_prior()
    prior.register_forward_hook(lambda _, __, out: out * float("nan"))
    with pytest.raises(Diverged) as caught:
        phases(Monitor(), prior)[phase]()
    assert caught.value.hint


def test_the_monitor_keeps_times_and_gives_previews():
    phases(monitor := Monitor((reports := []).append), tiny_prior())["finish"]()
    assert monitor.iterations == {"finish": 6} and monitor.seconds["finish"] > 0
    assert (seen := reports[-1].preview())["image"].shape == (64, 64, 3) and seen["kernel"].shape == (12, 12)
    assert seen["image"].min() >= 0 and seen["image"].max() <= 1
    assert reports[-1].seconds_left == 0 < reports[0].seconds_left


@pytest.mark.parametrize(("scale", "size"), [(2, 8), (3, 9), (4, 12)])
def test_the_kernel_is_found_from_the_true_picture(scale, size):
    truth = torch.zeros(size, size)
    truth[2 : size - 1, size // 2] = truth[size // 2, 3:] = 1  # a crooked cross
    blur = UniformBlur(normalise(truth), scale, "canvas")
    canvas = torch.rand(1, 3, *blur.hr_size(30, 28), generator=seeded()) * 2 - 1
    lr, start = blur.A(canvas), gaussian_kernel(size, scale / 2)
    found = fit_kernel(canvas, Photo(lr), start, scale, ridge=1e-6, smoothness=0.0)
    assert float(found.sum()) == pytest.approx(1, abs=1e-5) and float(found.min()) >= 0
    assert cosine_similarity(start, truth) < 0.8 and cosine_similarity(found, truth) > 0.99


@pytest.mark.parametrize(("ridge", "smoothness"), [(0.1, 0.0), (0.01, 0.05)])
def test_where_no_tap_is_zero_the_fit_is_the_solution_of_the_normal_equations(ridge, smoothness):
    blur = UniformBlur(gaussian_kernel(6, 2.5), 2, "canvas")
    canvas = torch.rand(1, 3, *blur.hr_size(20, 20), generator=seeded()) * 2 - 1
    lr = blur.A(canvas)
    planes = [UniformBlur(tap.reshape(6, 6), 2, "canvas").A(canvas).flatten() for tap in torch.eye(36)]
    windows = torch.stack(planes, dim=1).double()
    grid = torch.arange(36).reshape(6, 6)
    one = torch.eye(36).double()[grid]  # one[i, j] reads tap (i, j)
    slopes = torch.cat([(one[1:] - one[:-1]).reshape(-1, 36), (one[:, 1:] - one[:, :-1]).reshape(-1, 36)])
    gram = windows.T @ windows / len(windows) + ridge * torch.eye(36) + smoothness * slopes.T @ slopes
    expected = torch.linalg.solve(gram, windows.T @ lr.flatten().double() / len(windows)).reshape(6, 6)
    assert float(expected.min()) > 0
    found = fit_kernel(canvas, Photo(lr), torch.full((6, 6), 1 / 36), 2, ridge=ridge, smoothness=smoothness)
    torch.testing.assert_close(found.double(), expected / expected.sum(), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("scale", "size", "mu"), [(2, 8, 0.3), (3, 7, 0.05), (4, 8, 2.0)])
def test_the_data_step_is_the_solution_of_the_linear_system(scale, size, mu):
    blur = UniformBlur(gaussian_kernel(size, scale / 2).double(), scale, "canvas")
    clean = torch.randn(1, 2, *blur.hr_size(3, 4), generator=seeded()).double()
    lr = torch.randn(1, 2, 3, 4, generator=seeded(1)).double()
    unknowns = clean[0, 0].numel()
    columns = torch.eye(unknowns).double().reshape(unknowns, 1, *clean.shape[-2:])
    a = blur.A(columns).reshape(unknowns, -1).T  # A as a matrix
    right = torch.einsum("pu,cp->cu", a, lr[0].reshape(2, -1)) + mu * clean[0].reshape(2, -1)
    expected = torch.linalg.solve(a.T @ a + mu * torch.eye(unknowns), right.T).T.reshape(clean.shape)
    torch.testing.assert_close(blur.prox_l2(clean, lr, mu), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("tile", [8, 13, 40, 64])
def test_denoising_in_tiles_gives_the_same_numbers(tile):
    prior, diffused, t, sizes = tiny_prior(), torch.randn(1, 3, 45, 40, generator=seeded()), torch.tensor([200]), []
    for weights in prior.blocks.parameters():
        weights *= 1.7  # so that the farthest pixels in reach count
    prior.register_forward_hook(lambda _, arguments, __: sizes.append(max(arguments[0].shape[-2:])))
    with torch.no_grad():
        whole = SCHEDULE.clean_from_velocity(diffused, prior(diffused, t), t).clamp(-1, 1)
        sizes.clear()
        noisy, sigma = diffused / SCHEDULE.signal_and_noise(t)[0], SCHEDULE.variance(200) ** 0.5
        got = denoise_tiled(DiffusionDenoiser(prior, SCHEDULE), noisy, sigma, tile, Monitor())
    torch.testing.assert_close(got, whole, rtol=0, atol=1e-5)
    assert float(whole.std()) > 0.1 and float((whole.abs() == 1).float().mean()) < 0.9  # not all clamped
    assert len(sizes) == -(-45 // tile) * -(-40 // tile) and max(sizes) <= tile + 14


@pytest.mark.slow
def test_finishing_and_polishing_are_bit_identical_for_one_seed_and_not_for_another():
    lr, kernel = bicubic(blocks(64, 64), 32, 32), gaussian_kernel(12, 1.5).roll(3, 0)
    for phase, settings in [(sharpened, FINISH), (refined, REFINE)]:
        arguments = lr, kernel, 2, tiny_prior(), settings
        one, again, other = (phase(*arguments, a_run(seed)) for seed in (0, 0, 1))
        assert torch.equal(one, again) and not torch.equal(one, other)
    assert one.shape == (12, 12) and float(one.sum()) == pytest.approx(1) and float(one.min()) >= 0
    assert float(off_centre(one)) < 0.5**2 * 2 + 1e-6  # within half a pixel of the middle each way


def test_without_noise_the_image_is_the_same_for_every_seed():
    lr, kernel = bicubic(blocks(64, 64), 32, 32), gaussian_kernel(12, 1.5).roll(3, 0)
    quiet = replace(FINISH, noise=0.0, steps=2)
    one, other = (sharpened(lr, kernel, 2, tiny_prior(), quiet, a_run(seed)) for seed in (0, 1))
    assert torch.equal(one, other)


@pytest.mark.slow
def test_a_known_kernel_and_the_bundled_prior_beat_bicubic():
    prior = load_prior("bundled", torch.device("cpu"))[0]
    scale, kernel = 2, gaussian_kernel(12, 1.6)
    canvas = blocks(106, 106)
    truth, lr = canvas[..., 5:-5, 5:-5], UniformBlur(kernel, scale, "canvas").A(canvas)
    rest = scale, prior, replace(FINISH, steps=6)
    got = sharpened(lr, kernel, *rest, a_run(), source="given")
    assert got.shape == truth.shape and float(got.abs().max()) <= 1
    assert psnr(got, truth) > psnr(bicubic(lr, 96, 96), truth) + 2
    worse = sharpened(lr, kernel.roll(2, 0), *rest, a_run(), source="given")
    assert psnr(worse, truth) < psnr(got, truth) - 2
