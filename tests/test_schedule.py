"""The noise schedule against diffusers and the textbook.

Our t runs over 1..T and t = 0 is the clean image; diffusers counts 0..T-1, so its index is t - 1.
"""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from kf_core.denoisers.schedule import NoiseSchedule

REFERENCE = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
kinds = pytest.mark.parametrize("kind", sorted(REFERENCE))
quick = settings(max_examples=60, deadline=None)
pairs = st.tuples(st.integers(1, 1000), st.integers(1, 1000)).map(sorted).filter(lambda p: p[0] < p[1])
SCHEDULES = {kind: NoiseSchedule(kind) for kind in REFERENCE}


def reference(kind: str, steps: int = 1000) -> DDPMScheduler:
    return DDPMScheduler(
        num_train_timesteps=steps,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule=REFERENCE[kind],
        prediction_type="sample",
        clip_sample=False,
        variance_type="fixed_small",
    )


def images(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    clean, noise = (torch.randn(count, 3, 5, 4, generator=generator) for _ in "cn")
    return clean.clamp(-1, 1), noise


@kinds
@pytest.mark.parametrize("steps", [1000, 50])
def test_signal_levels_are_those_of_diffusers(kind, steps):
    ours = NoiseSchedule(kind, steps).alpha_bar
    assert ours.shape == (steps + 1,) and float(ours[0]) == 1
    torch.testing.assert_close(ours[1:], reference(kind, steps).alphas_cumprod, rtol=2e-4, atol=1e-7)
    assert bool((ours[1:] < ours[:-1]).all())


def test_the_default_is_linear_over_a_thousand_steps():
    default = NoiseSchedule()
    assert (default.kind, default.steps) == ("linear", 1000)
    assert float(default.alpha_bar[1]) == pytest.approx(1 - 1e-4)
    assert float(default.alpha_bar[1000] / default.alpha_bar[999]) == pytest.approx(1 - 0.02, rel=1e-4)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="sigmoid"):
        NoiseSchedule("sigmoid")


@kinds
def test_noised_images_and_velocities_are_those_of_diffusers(kind):
    t = torch.tensor([1, 2, 10, 400, 999, 1000])
    clean, noise = images(len(t))
    theirs = reference(kind)
    noisy = SCHEDULES[kind].add_noise(clean, noise, t)
    torch.testing.assert_close(noisy, theirs.add_noise(clean, noise, t - 1), rtol=0, atol=2e-4)
    velocity = SCHEDULES[kind].velocity(clean, noise, t)
    torch.testing.assert_close(velocity, theirs.get_velocity(clean, noise, t - 1), rtol=0, atol=2e-4)


@kinds
def test_time_zero_is_the_clean_image(kind):
    clean, noise = images(1)
    torch.testing.assert_close(SCHEDULES[kind].add_noise(clean, noise, torch.tensor([0])), clean)


@quick
@given(t=st.lists(st.integers(1, 1000), min_size=1, max_size=4), kind=st.sampled_from(sorted(REFERENCE)))
def test_the_clean_image_comes_back_from_noisy_image_and_velocity(t, kind):
    schedule, t = SCHEDULES[kind], torch.tensor(t)
    clean, noise = images(len(t))
    noisy, velocity = schedule.add_noise(clean, noise, t), schedule.velocity(clean, noise, t)
    torch.testing.assert_close(schedule.clean_from_velocity(noisy, velocity, t), clean, rtol=0, atol=1e-5)


@quick
@given(t=st.lists(st.integers(1, 1000), min_size=1, max_size=4), kind=st.sampled_from(sorted(REFERENCE)))
def test_the_noise_comes_back_from_noisy_and_clean_image(t, kind):
    schedule, t = SCHEDULES[kind], torch.tensor(t)
    clean, noise = images(len(t))
    noisy = schedule.add_noise(clean, noise, t)
    torch.testing.assert_close(schedule.noise_from_clean(noisy, clean, t), noise, rtol=0, atol=2e-4)


@pytest.mark.parametrize("t", [2, 3, 25, 400, 1000])
def test_one_step_back_is_the_step_of_diffusers(t):
    clean, noise = images(1)
    schedule, now, before = SCHEDULES["linear"], torch.tensor([t]), torch.tensor([t - 1])
    noisy = schedule.add_noise(clean, noise, now)
    mean, deviation = schedule.posterior(noisy, clean, now, before)
    fresh = torch.randn(noisy.shape, generator=torch.Generator().manual_seed(7))
    theirs = reference("linear").step(clean, t - 1, noisy, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(mean + deviation * fresh, theirs.prev_sample, rtol=0, atol=2e-5)


def test_the_step_to_time_zero_is_the_clean_image_without_noise():
    clean, noise = images(1)
    noisy = SCHEDULES["linear"].add_noise(clean, noise, torch.tensor([1]))
    mean, deviation = SCHEDULES["linear"].posterior(noisy, clean, torch.tensor([1]), torch.tensor([0]))
    torch.testing.assert_close(mean, clean, rtol=0, atol=1e-5)
    assert float(deviation) == 0


@pytest.mark.parametrize("t", [2, 75, 1000])
def test_with_neighbouring_steps_the_posterior_is_the_textbook_one(t):
    """Ho et al. 2020, eq. 7, written with alpha_t and beta_t of the single step."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    bar = torch.cumprod(1 - beta, 0)
    b, now, before = float(beta[t - 1]), float(bar[t - 1]), float(bar[t - 2])
    clean, noisy = images(1)
    expected = (before**0.5 * b * clean + (1 - b) ** 0.5 * (1 - before) * noisy) / (1 - now)
    variance = (1 - before) / (1 - now) * b
    mean, deviation = SCHEDULES["linear"].posterior(noisy, clean, torch.tensor([t]), torch.tensor([t - 1]))
    torch.testing.assert_close(mean, expected, rtol=0, atol=1e-3)  # levels are kept in single precision
    assert float(deviation) == pytest.approx(variance**0.5, rel=2e-3)


@quick
@given(pair=pairs, kind=st.sampled_from(sorted(REFERENCE)))
def test_a_strided_step_lands_on_the_earlier_level(pair, kind):
    """x_t of level t, moved by the posterior to s, must be distributed as x_s: the same signal, the same noise."""
    schedule, (s, t) = SCHEDULES[kind], pair
    one, none = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    times = torch.tensor([t]), torch.tensor([s])
    of_clean, deviation = (float(v) for v in schedule.posterior(none, one, *times))
    of_noisy = float(schedule.posterior(one, none, *times)[0])
    now, earlier = float(schedule.alpha_bar[t]), float(schedule.alpha_bar[s])
    assert of_clean + of_noisy * now**0.5 == pytest.approx(earlier**0.5, abs=1e-4)
    assert of_noisy**2 * (1 - now) + deviation**2 == pytest.approx(1 - earlier, abs=1e-4)
    assert deviation > 0
