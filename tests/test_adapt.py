"""Phase 1 of a run: adaptation to the photo, what learns, and when it stops."""

from dataclasses import replace

import pytest
import torch

from kf_core.checkpoints.load import load_prior
from kf_core.denoisers.adapt import hold_out, learn_photo
from kf_core.denoisers.learn import LEARNING, Training, learn_patches, stratified_timesteps
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.progress import Monitor
from kf_core.run import Run
from kf_core.settings import PatchSettings

torch.set_num_threads(1)
SCHEDULE = NoiseSchedule()
SMALL = PatchSettings(channels=8, steps=6, batch=2, crop=16, learning_rate=1e-3)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photo(height: int = 48, width: int = 64) -> torch.Tensor:
    """Stripes and noise in [-1, 1]."""
    stripes = (torch.arange(width) // 3 % 2 * 1.0 - 0.5).expand(1, 3, height, width)
    return (stripes + 0.1 * torch.randn(stripes.shape, generator=seeded())).clamp(-1, 1)


def adapted(settings: PatchSettings):
    run = Run(torch.device("cpu"), seeded(), Monitor())
    return learn_photo(photo(), load_prior("bundled", "cpu"), SCHEDULE, settings, run)


@pytest.mark.parametrize("layers", LEARNING)
def test_only_the_chosen_layers_learn(layers):
    network = PatchDiffusion(8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = replace(SMALL, layers=layers)
    learn_patches(Training.begin(network, settings, seeded()), [photo()[0]], SCHEDULE, settings, Monitor())
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    chosen = {name for name in before if any(part in name for part in LEARNING[layers])}
    assert moved <= chosen and len(moved) > 0.8 * len(chosen)


def test_learning_stops_when_the_held_out_error_rises_and_the_best_network_is_returned():
    network = PatchDiffusion(8)
    errors = iter([5.0, 3.0, 4.0, 2.0, 2.5, 2.5, 1.0, 0.0])
    seen = []

    def check(current: PatchDiffusion) -> float:
        seen.append({name: value.clone() for name, value in current.state_dict().items()})
        return next(errors)

    settings = replace(SMALL, steps=100, check_every=3, patience=2)
    training = Training.begin(network, settings, seeded())
    result = learn_patches(training, [photo()[0]], SCHEDULE, settings, Monitor(), check=check)
    assert training.checks == [(0, 5.0), (3, 3.0), (6, 4.0), (9, 2.0), (12, 2.5), (15, 2.5)]
    assert len(training.losses) == 15 and training.best[0] == 9
    assert all(torch.equal(value, seen[3][name]) for name, value in result.state_dict().items())


def test_without_patience_checks_change_nothing():
    def run(check):
        settings = replace(SMALL, check_every=2)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            training = Training.begin(PatchDiffusion(8), settings, seeded())
        return learn_patches(training, [photo()[0]], SCHEDULE, settings, Monitor(), check=check).state_dict()

    one, other = run(None), run(lambda network: 1.0)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (64, 48), (32, 32)])
def test_the_held_out_strip_is_not_learned_from_and_only_it_is_measured(height, width):
    lr = photo(height, width)
    network = PatchDiffusion(8).eval()
    learned, check = hold_out(lr, SCHEDULE, network)
    long, short = max(height, width), min(height, width)
    assert sorted(learned.shape[1:]) == sorted((long - long // 8, short))
    assert torch.equal(learned, lr[0, :, : learned.shape[1], : learned.shape[2]])
    before = check(network)
    assert check(network) == before  # the same noise every time
    changed = lr.clone()
    changed[0, :, : learned.shape[1] - 8, : learned.shape[2] - 8] *= -1  # out of the strip's reach
    assert hold_out(changed, SCHEDULE, network)[1](network) == pytest.approx(before, rel=1e-5)
    changed = lr.clone()
    changed[..., -1, -1] *= -1
    assert hold_out(changed, SCHEDULE, network)[1](network) != before


def test_a_checkpoint_adapts_and_the_report_says_how_far():
    settings = PatchSettings(prior="bundled", steps=10, batch=1, crop=16, learning_rate=1e-4, check_every=5, patience=9)
    network, about = adapted(settings)
    assert about["prior"] == "bundled" and about["steps_taken"] == 10
    assert [step for step, _ in about["held_out_errors"]] == [0, 5, 10]
    errors = dict(about["held_out_errors"])
    assert errors[about["step_kept"]] == min(errors.values())
    assert not any(weight.requires_grad for weight in network.parameters())


@pytest.mark.slow
def test_adaptation_to_a_photo_lowers_the_error_on_its_held_out_part():
    settings = PatchSettings(
        prior="bundled", steps=60, batch=1, crop=32, learning_rate=3e-4, check_every=20, patience=9
    )
    _, about = adapted(settings)
    errors = dict(about["held_out_errors"])
    assert min(errors.values()) < 0.9 * errors[0]


def test_a_larger_power_draws_low_noise_more_often():
    uniform = stratified_timesteps(1000, 1000, seeded())
    low = stratified_timesteps(1000, 1000, seeded(), 2.0)
    assert uniform.min() >= 1 and low.min() >= 1 and low.max() <= 1000
    assert float(uniform.float().median()) == pytest.approx(500, abs=5)
    assert float(low.float().median()) == pytest.approx(250, abs=5)
