"""Phase 1 of a run: PD for this photo, from scratch or from a checkpoint that adapts to it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from kf_core.denoisers.diffusion import VelocityNetwork
from kf_core.denoisers.learn import Training, learn_patches
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.device import channels_last
from kf_core.run import Run
from kf_core.settings import PatchSettings

LEVELS = (25, 50, 100, 200, 400)  # timesteps at which the photo's held-out part is looked at
HELD_OUT = 8  # one part in so many of the photo's longer side ...
LONGEST = 512  # ... of which at most so many pixels each way are looked at


class Prior(NamedTuple):
    """A network that has learned what patches of photographs look like, and what a report says of it.

    Attributes:
        network: PD, the paper's patch diffusion network (A.2), or one in its place; frozen, on a device.
        about: its name, file, hash and architecture; "diffusion": the noise schedule it learned, where that is known.
    """

    network: VelocityNetwork
    about: dict[str, Any]


def fresh_prior(patches: PatchSettings, device: torch.device) -> Prior:
    """An untrained PD, its weights from torch's global generator."""
    network = PatchDiffusion(patches.channels, 3, patches.activation, patches.residual)
    network = channels_last(network.to(device))
    return Prior(network.eval().requires_grad_(False), {"prior": "none", **network.config})


def learn_photo(lr: Tensor, prior: Prior, schedule: NoiseSchedule, patches: PatchSettings, run: Run) -> Prior:
    """Phase 1: `prior` after at most patches.steps of learning the patches of the photo (1, 3, h, w) in [-1, 1].

    With patches.patience an eighth of the photo is held out, and learning ends when it no longer helps there. `prior`
    itself stays as it is. Raises Cancelled, Diverged.
    """
    photo, check = lr[0].cpu(), None
    if patches.patience:
        photo, check = hold_out(lr, schedule, prior.network)
    training = Training.begin(copy.deepcopy(prior.network).to(run.device), patches, run.generator)
    network = learn_patches(training, [photo], schedule, patches, run.monitor, check=check)
    learned = {
        "loss": float(np.mean(training.losses[-100:])) if training.losses else None,
        "steps_taken": len(training.losses),
        "step_kept": training.best[0] if training.best else len(training.losses),
        "held_out_errors": training.checks,
    }
    return Prior(network.eval().requires_grad_(False), {**prior.about, **learned})


def hold_out(
    lr: Tensor, schedule: NoiseSchedule, network: VelocityNetwork
) -> tuple[Tensor, Callable[[VelocityNetwork], float]]:
    """The photo (3, h, w) without a strip along one shorter side, and the mean velocity error of a network there.

    The strip is seen in its surroundings, always with the same noise, so that two networks of the same reach can be
    compared; `network` is one of them.
    """
    upright = lr if lr.shape[3] >= lr.shape[2] else lr.transpose(2, 3)  # patches have no up and down
    cut = upright.shape[3] - upright.shape[3] // HELD_OUT
    first = max(0, cut - network.reach)
    seen = upright[:, :, :LONGEST, first : cut + LONGEST]
    levels = [level for level in LEVELS if level <= (network.latest or level)]
    noise = torch.randn((len(levels), *seen.shape[1:]), generator=Generator().manual_seed(3)).to(lr.device)
    t = torch.tensor(levels, device=lr.device)
    noisy, velocity = schedule.add_noise(seen, noise, t), schedule.velocity(seen, noise, t)
    noisy = noisy.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def check(network: VelocityNetwork) -> float:
        wrong = network(noisy, t) - velocity
        return float(wrong[..., cut - first :].square().mean())

    learned = lr[0, :, :, :cut] if upright is lr else lr[0, :, :cut]
    return learned.cpu(), check
