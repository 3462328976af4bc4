"""Problems of learning and restoring that take a second, for the tests of the phases."""

from __future__ import annotations

import torch

from kf_core.denoisers.learn import Training, learn_patches
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.progress import Monitor
from kf_core.settings import PatchSettings

SCHEDULE = NoiseSchedule()
LEARN = PatchSettings(steps=40, crop=16, batch=4, learning_rate=2e-3)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blocks(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A sharp picture of overlapping flat rectangles, (1, 3, height, width) in [-1, 1]."""
    generator, picture = seeded(seed), torch.zeros(1, 3, height, width)
    for _ in range(height * width // 60):
        top, left = (int(torch.randint(n, (1,), generator=generator)) for n in (height, width))
        h, w = torch.randint(3, 15, (2,), generator=generator).tolist()
        picture[..., top : top + h, left : left + w] = torch.rand(3, 1, 1, generator=generator) * 1.8 - 0.9
    return picture


def tiny_prior(seed: int = 0) -> PatchDiffusion:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return PatchDiffusion(8).eval().requires_grad_(False)


def learn(settings: PatchSettings, seed: int = 0):
    pictures = [blocks(40, 37)[0], ((blocks(30, 44, 1)[0] + 1) * 127.5).to(torch.uint8)]
    training = Training.begin(tiny_prior(1), settings, seeded(seed))
    return learn_patches(training, pictures, SCHEDULE, settings, Monitor()), training.losses
