"""PD learns patches: the loss, the learning rate, the timesteps and the crops."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from little_problems import LEARN, learn, seeded

from kf_core.denoisers.learn import learning_rate_at, random_crop, stratified_timesteps
from kf_core.settings import PatchSettings

torch.set_num_threads(1)  # on a busy machine two that wait for each other are many times slower


@pytest.mark.slow
def test_learning_lowers_the_loss_and_returns_a_frozen_network():
    network, losses = learn(replace(LEARN, steps=120, learning_rate=5e-3))
    assert len(losses) == 120 and sum(losses[-20:]) < 0.85 * sum(losses[:20])
    assert not network.training and not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("extra", [{}, {"augment": True, "ema": 0.9, "clip": 1.0, "warmup": 5, "crop": 12}])
def test_learning_is_bit_identical_for_one_seed_and_not_for_another(extra):
    settings = replace(LEARN, steps=6, **extra)
    one, again, other = learn(settings), learn(settings), learn(settings, seed=1)
    assert one[1] == again[1] and one[1] != other[1]
    for a, b in zip(one[0].parameters(), again[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_option_of_learning_has_an_effect():
    plain = learn(replace(LEARN, steps=6))[0]
    for extra in ({"ema": 0.99}, {"clip": 1e-6}, {"augment": True}, {"warmup": 6}):
        other = learn(replace(LEARN, steps=6, **extra))[0]
        pairs = zip(plain.parameters(), other.parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in pairs), extra


def test_the_learning_rate_falls_from_first_to_final_along_a_cosine():
    settings = PatchSettings(steps=200, learning_rate=1e-3, final_learning_rate=1e-5)
    rates = [learning_rate_at(step, settings) for step in range(201)]
    assert rates[0] == pytest.approx(1e-3) and rates[200] == pytest.approx(1e-5)
    assert rates[100] == pytest.approx((1e-3 + 1e-5) / 2) and all(a > b for a, b in zip(rates, rates[1:], strict=False))
    warm = replace(settings, warmup=10)
    assert learning_rate_at(0, warm) == pytest.approx(1e-4) and learning_rate_at(9, warm) == pytest.approx(rates[9])


def test_timesteps_are_one_from_each_slice_of_the_whole_range():
    for count in (1, 4, 8):
        drawn = torch.stack([stratified_timesteps(count, 1000, seeded(i)) for i in range(300)])
        assert torch.equal((drawn - 1) * count // 1000, torch.arange(count).expand(300, count))
        assert 1 <= int(drawn.min()) < 10 and 990 < int(drawn.max()) <= 1000


@pytest.mark.parametrize("augment", [False, True])
def test_crops_are_square_in_range_and_from_the_picture(augment):
    picture = torch.arange(3 * 40 * 50).reshape(3, 40, 50) / 3000 - 1  # every value occurs once
    settings, generator, values = PatchSettings(crop=16, augment=augment), seeded(), set(picture.flatten().tolist())
    crops = [random_crop([picture], settings, generator) for _ in range(40)]
    assert {tuple(crop.shape) for crop in crops} == {(3, 16, 16)} and len({float(c[0, 0, 0]) for c in crops}) > 30
    as_they_are = [set(crop.flatten().tolist()) <= values for crop in crops]
    assert all(as_they_are) if not augment else 0 < sum(as_they_are) < 40
    stripes = torch.tensor([0, 255], dtype=torch.uint8).repeat(3, 32, 16)
    assert set(random_crop([stripes], PatchSettings(crop=8), generator).flatten().tolist()) == {-1.0, 1.0}
