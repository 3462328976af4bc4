"""The presets, and settings changed by name."""

from __future__ import annotations

import pytest

from kf_core import BadInput, Settings
from kf_core.physics.kernel import default_kernel_size
from kf_core.settings import PRESETS


def test_the_presets_exist_and_the_papers_has_its_numbers():
    assert list(PRESETS) == [Settings.preset(name).preset_name for name in PRESETS] == ["fast", "balanced", "paper"]
    assert Settings.preset() == Settings.preset("fast") and Settings.preset("fast", scale=3).scale == 3
    with pytest.raises(ValueError, match="best"):
        Settings.preset("best")
    p, r = (paper := Settings.preset("paper")).patches, paper.recovery
    assert (p.steps, p.channels, p.crop, p.learning_rate, p.final_learning_rate) == (600_000, 128, 64, 1e-4, 0)
    assert (p.prior, p.augment, p.ema, paper.kernel_crop) == ("none", False, 0, 0)
    assert (r.unet_channels, r.unet_depth, r.separate_unets) == (32, 5, False)
    assert (r.first_iterations, r.iterations, r.learning_rate, r.final_learning_rate) == (100, 20, 1e-4, 1e-5)
    assert (r.kernel_learning_rate, r.kernel_final_learning_rate, r.scale) == (None, None, None)
    assert (r.kernel_model, r.inr_layers, r.inr_width, r.inr_omega) == ("inr", 5, 256, 5)
    assert (r.method, r.prior_gradient, r.prior_every, r.posterior_noise) == ("kernelfusion", True, 1, "posterior")
    assert (paper.refine.rounds, paper.finish.method, paper.diffusion.steps) == (0, "none", 1000)
    assert (paper.scale, default_kernel_size(paper.scale)) == (4, 24)


def test_any_setting_can_be_changed_by_name():
    names = ["scale=2", "recovery.kernel_model=direct_relu", "recovery.timesteps=100,1", " finish.steps = 7 "]
    changed = Settings().with_overrides([*names, "recovery.com_weight=1", "recovery.scale=2", "patches.augment=True"])
    assert (changed.scale, changed.recovery.kernel_model, changed.finish.steps) == (2, "direct_relu", 7)
    assert changed.recovery.timesteps == (100, 1) and changed.recovery.scale == 2 and changed.patches.augment is True
    assert isinstance(changed.recovery.com_weight, float)
    assert Settings().with_overrides(["recovery.timesteps=5"]).recovery.timesteps == (5,)


BAD_OVERRIDES = [
    "scale", "recovery=5", "recovery", "no.such=1", "recovery.nothing=1", "scale.deeper=1", "recovery.iterations=many",
    "recovery.iterations=1.5", "patches.augment=1", "recovery.kernel_model=3", "recovery.timesteps=a", "=1", "",
]  # fmt: skip


@pytest.mark.parametrize("wrong", BAD_OVERRIDES)
def test_a_setting_that_does_not_exist_or_has_another_type_is_refused(wrong):
    with pytest.raises(BadInput) as caught:
        Settings().with_overrides([wrong])
    assert caught.value.hint
