"""Failures that once happened, each with what must hold now."""

from __future__ import annotations

import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY

import kf_core
from kf_core import device as devices
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.errors import BadInput, BadPrior, BadSetting, OutOfMemory, TooLarge
from kf_core.files.picture import read_picture
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import box_sums, informative_crop, inner, shifted
from kf_core.physics.kernel import centre, gaussian_kernel
from kf_core.pipeline import make_stages
from kf_core.pixels import to_tensor
from kf_core.progress import Monitor
from kf_core.restore.plug_and_play import data_weight
from kf_core.run import Run
from kf_core.settings import Settings

torch.set_num_threads(1)


def tiny(*overrides, preset="fast"):
    return Settings.preset(preset, scale=2, device="cpu").with_overrides([*TINY, "finish.steps=2", *overrides])


@pytest.fixture(scope="module")
def photo():
    rows, columns = np.mgrid[:40, :48]
    waves = 128 + 90 * np.sin((rows + 3) * (columns + 5) / 40)[..., None] * np.array([1, 0.8, 0.6])
    return waves.clip(0, 255).astype(np.uint8)


def test_another_noise_schedule_than_the_priors_is_refused(photo):
    with pytest.raises(BadPrior, match="linear"):
        kf_core.super_resolve(photo, tiny("diffusion.schedule=cosine"))


@pytest.mark.slow
def test_half_precision_in_the_search_gives_a_kernel_in_full(photo):
    found = kf_core.super_resolve(photo, tiny("recovery.precision=bf16"))
    assert found.kernel.dtype == np.float32 and found.kernel.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_pillow_images_and_lists_are_pictures_too(photo):
    usual = kf_core.super_resolve(photo, tiny())
    assert np.array_equal(kf_core.super_resolve(Image.fromarray(photo), tiny()).image, usual.image)
    grey = photo[..., 0] / 255
    assert kf_core.super_resolve(grey.tolist(), tiny()).image.shape == (80, 96)
    with pytest.raises(BadInput, match="mode P"):
        kf_core.super_resolve(Image.fromarray(photo).convert("P"), tiny())


@pytest.mark.slow
def test_sixteen_bits_stay_sixteen_bits(photo):
    deep = photo.astype(np.uint16) * 257
    found, usual = kf_core.super_resolve(deep, tiny()), kf_core.super_resolve(photo, tiny())
    assert found.image.dtype == np.uint16 and len(np.unique(found.image)) > 256
    assert np.abs(found.image / 257 - usual.image).max() < 1.5


def test_image_and_kernel_shift_together():
    kernel = gaussian_kernel(24, 2.0).roll((3, -2), (0, 1))
    centred, shift = centre(kernel)
    assert shift == (-3, 2)
    old, new = UniformBlur(kernel, 4, "canvas"), UniformBlur(centred, 4, "canvas")
    canvas = torch.rand(1, 3, *old.hr_size(12, 12), generator=torch.Generator().manual_seed(0))
    before, after = old.A(canvas), new.A(shifted(canvas, *shift))
    torch.testing.assert_close(inner(after, 3), inner(before, 3), rtol=0, atol=1e-4)
    assert float((inner(new.A(canvas), 3) - inner(before, 3)).abs().max()) > 0.01


@pytest.mark.slow
def test_sums_over_windows_are_those_of_a_loop_and_the_window_does_not_cost_more():
    planes = torch.rand(2, 9, 11, dtype=torch.float64)
    expected = planes.unfold(1, 4, 1).unfold(2, 5, 1).sum((-1, -2))
    torch.testing.assert_close(box_sums(planes, 4, 5), expected)
    large = torch.zeros(1, 3, 3000, 4000)  # 12 MP; a window of 192 x 192 summed anew everywhere would take hours
    large[..., 1500:1600, 2000:2100] = torch.rand(3, 100, 100)
    top, left, _, _ = informative_crop(large, 192)
    assert 1400 <= top <= 1500 and 1900 <= left <= 2000


def test_the_memory_check_knows_what_the_run_will_do(monkeypatch):
    settings, kernel = replace(Settings.preset("fast"), kernel_size=24), gaussian_kernel(24, 2.0)
    run = Run(torch.device("cpu"), torch.Generator(), Monitor())
    prior = kf_core.load_prior("bundled", "cpu")

    def memory_needed(side, known, want_image):
        photo = Photo(torch.zeros(1, 3, side, side)).cropped(settings.kernel_crop)
        how = kernel if known else None, prior, None, None, run, want_image
        return max(stage.cost(side, side).memory for stage in make_stages(photo, settings, *how)[0])

    blind, known, alone = (memory_needed(200, *how) for how in ((False, True), (True, True), (False, False)))
    assert known < blind and alone <= blind
    assert alone == memory_needed(800, False, False)  # only the crop counts
    monkeypatch.setattr(devices, "memory_available", lambda device: int(known) + 1)
    memory_needed(200, True, True)
    with pytest.raises(TooLarge, match="GiB"):
        memory_needed(200, False, True)


def test_a_containers_limit_is_the_limit(tmp_path):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 100000\n")
    assert devices._free_of_the_container(tmp_path) == 400_000
    (tmp_path / "memory.max").write_text("max\n")
    assert devices._free_of_the_container(tmp_path) is None


def test_a_lack_of_memory_on_the_cpu_is_of_the_family(photo):
    def take(_):
        torch.empty(2**58, dtype=torch.uint8)

    with pytest.raises(OutOfMemory):
        kf_core.super_resolve(photo, tiny(), progress=take)


@pytest.mark.slow
def test_the_whole_runs_progress_never_falls_and_ends_at_one(photo):
    events = []
    kf_core.super_resolve(photo, tiny("patches.steps=3", "patches.crop=16"), progress=events.append)
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1) and fractions[0] < 0.9
    assert [*dict.fromkeys(e.phase for e in events)] == ["learn_patches", "recover_kernel", "refine_kernel", "finish"]
    assert events[-1].seconds_left == pytest.approx(0, abs=0.01) and all(e.seconds_left >= 0 for e in events)
    searched, whole = (next(e for e in events if e.phase == name).preview() for name in ("recover_kernel", "finish"))
    assert searched["region"][2:] == (32, 32) and whole["region"] == (0, 0, 40, 48)
    assert whole["image"].shape == (80, 96, 3) and whole["kernel"].shape == (12, 12)


def test_seconds_left_after_a_resume_are_those_of_the_steps_that_are_left():
    events, monitor = [], None
    monitor = Monitor(events.append)
    monitor._last -= 10  # the first step of this run took ten seconds; 900 of 1000 were done by an earlier one
    monitor.step("learn_patches", 901, 1000)
    assert events[0].seconds_left == pytest.approx(990, rel=0.05)


@pytest.mark.slow
def test_a_kept_prior_is_used_and_left_as_it_was(photo):
    adapting = tiny("patches.steps=3", "patches.crop=16")
    prior = kf_core.load_prior(adapting.patches.prior, "cpu")
    before = [weight.clone() for weight in prior.network.parameters()]
    kept = kf_core.super_resolve(photo, adapting, prior=prior)
    assert np.array_equal(kept.image, kf_core.super_resolve(photo, adapting).image)
    assert all(map(torch.equal, before, prior.network.parameters()))


@pytest.mark.parametrize(
    "wrong",
    ["recovery.kernel_learning_rate=abc", "scale=2.0", "recovery.learning_rate=-1", "patches.ema=nan", "finish.tile=0"],
)
def test_values_that_were_once_accepted_are_refused(wrong):
    with pytest.raises(BadSetting):
        Settings().with_overrides([wrong])
    assert Settings().with_overrides(["recovery.kernel_learning_rate=1"]).recovery.kernel_learning_rate == 1.0


@pytest.mark.parametrize("t", [100, 1])
def test_the_data_step_with_a_real_kernel_against_a_dense_solve(t):
    """With a wide kernel and the smallest mu in use thirty steps do not converge: they come within a tenth."""
    rows = torch.arange(24.0) - 11.5
    kernel = ((rows[:, None] - rows[None]).abs() < 2).float() * (rows.abs() < 9) * (rows[:, None].abs() < 9)  # a shake
    kernel = (kernel / kernel.sum()).double()
    blur, schedule = UniformBlur(kernel, 4, "canvas"), NoiseSchedule()
    mu = data_weight(Settings.preset("fast").finish.prior_weight_known, schedule.variance(t))
    generator = torch.Generator().manual_seed(0)
    lr = torch.rand(1, 1, 10, 10, generator=generator).double() * 2 - 1
    clean = torch.rand(1, 1, *blur.hr_size(10, 10), generator=generator).double() * 2 - 1
    eye = torch.eye(100).double().reshape(100, 1, 10, 10)
    a = blur.A_adjoint(eye).reshape(100, -1)  # rows of A
    right = (lr - blur.A(clean)).flatten()
    expected = clean + (a.T @ torch.linalg.solve(a @ a.T + mu * torch.eye(100).double(), right)).reshape(clean.shape)
    few, many = (blur.prox_l2(clean, lr, mu, iterations=n) for n in (30, 1000))
    torch.testing.assert_close(many, expected, rtol=0, atol=1e-3)
    change = (expected - clean).norm()
    assert float((few - expected).norm() / change) < 0.1
    assert float((blur.prox_l2(clean, lr, mu, iterations=2) - expected).norm() / change) > 0.1


def test_reading_in_threads_leaves_the_warning_filters_alone(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "a.png")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [read_picture(tmp_path / "a.png") for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_a_picture_on_the_canvas_of_a_lattice_is_what_prox_needs():
    with pytest.raises(ValueError, match="canvas"):
        UniformBlur(gaussian_kernel(8, 1.0), 2, "reflect").prox_l2(*(to_tensor(np.zeros((32, 32))),) * 2, 0.1)
