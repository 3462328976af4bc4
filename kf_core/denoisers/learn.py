"""Phase 1: the patch diffusion network learns what small patches look like (appendix A.2).

The same loop learns one photo (the paper), a folder of photos (a prior to start from), or a photo from a prior
(adaptation). Data: pictures -> random crops -> noised at a random timestep -> the network predicts the velocity -> mean
squared error.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from kf_core.denoisers.diffusion import VelocityNetwork
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.device import resolve_precision
from kf_core.errors import BadSetting, Cancelled
from kf_core.progress import Monitor
from kf_core.settings import PatchSettings

LEARNING = {"all": ("",), "last": ("blocks.4.", "blocks.5."), "condition": (".condition.",)}  # parts of names


@dataclass
class Training:
    """Where a training is: everything the next step depends on, so that it can be put away and taken up again.

    Attributes:
        network, average: the weights, and their moving average (the same object where there is none).
        losses: of every step done so far.
        checks: (step, error on what is not learned from), see learn_patches.
        best: step and weights of the lowest check so far; only kept where the training may stop early.
    """

    network: VelocityNetwork
    average: VelocityNetwork
    optimizer: torch.optim.Optimizer
    generator: Generator
    losses: list[float] = field(default_factory=list)
    checks: list[tuple[int, float]] = field(default_factory=list)
    best: tuple[int, dict[str, Tensor]] | None = None

    @classmethod
    def begin(cls, network: VelocityNetwork, settings: PatchSettings, generator: Generator) -> Training:
        """Of `network`, in place; `generator`, on the CPU, makes all crops, timesteps and noise."""
        network.train()
        for name, weight in network.named_parameters():
            weight.requires_grad_(any(part in name for part in LEARNING[settings.layers]))
        average = copy.deepcopy(network).requires_grad_(False) if settings.ema else network
        learning = [weight for weight in network.parameters() if weight.requires_grad]
        if not learning:
            raise BadSetting(f"This prior has no layers '{settings.layers}'.", "Let all of them learn: layers=all.")
        return cls(network, average, torch.optim.Adam(learning, lr=settings.learning_rate), generator)

    @property
    def result(self) -> VelocityNetwork:
        """The network to use: of the best check where the training may stop early, else the last."""
        if self.best:
            self.average.load_state_dict(self.best[1])
        return self.average.eval().requires_grad_(False)


def learn_patches(
    training: Training,
    pictures: Sequence[Tensor],
    schedule: NoiseSchedule,
    settings: PatchSettings,
    monitor: Monitor,
    *,
    check: Callable[[VelocityNetwork], float] | None = None,
    keep: Callable[[Training, bool], None] | None = None,
) -> VelocityNetwork:
    """Goes on with `training` until settings.steps are done, or it stops early, and returns the network.

    Args:
        pictures: (3, H, W) each, uint8 or float in [-1, 1]; any sizes.
        monitor: told of every step; raises Cancelled when the user wants to stop.
        check: the error on what is not learned from, asked before the first and after every settings.check_every steps.
            With settings.patience, training ends when that many checks in a row were no better than the best, and
            the best network is returned.
        keep: called after every step with True where the user wants to stop: the place to put the training away.
    """
    network, average, optimizer, generator = training.network, training.average, training.optimizer, training.generator
    device, latest = next(network.parameters()).device, network.latest or schedule.steps
    bf16 = resolve_precision(settings.precision, device) == "bf16"
    if check and not training.checks and not training.losses:
        note_check(training, check(average), settings)
    while len(training.losses) < settings.steps and not out_of_patience(training, settings):
        step = len(training.losses)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, settings)
        clean = random_batch(pictures, settings, generator)
        clean = clean.to(device).contiguous(memory_format=torch.channels_last)
        t = stratified_timesteps(settings.batch, latest, generator, settings.timestep_power).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            predicted = network(schedule.add_noise(clean, noise, t), t)
        loss = F.mse_loss(predicted.float(), schedule.velocity(clean, noise, t))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if settings.clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimizer.step()
        if settings.ema:
            follow(average, network, min(settings.ema, (1 + step) / (10 + step)))
        training.losses.append(loss.detach().item())
        monitor.finite(training.losses[-1])
        if check and (step + 1) % settings.check_every == 0:
            note_check(training, check(average), settings)
        try:
            monitor.step("learn_patches", step + 1, settings.steps)
        except Cancelled:
            if keep:
                keep(training, True)
            raise
        if keep:
            keep(training, False)
    return training.result


def note_check(training: Training, error: float, settings: PatchSettings) -> None:
    """Remembers a check and, where training may stop early, the weights of the best one."""
    first = not training.checks
    better = first or error < min(value for _, value in training.checks)
    training.checks.append((len(training.losses), error))
    if settings.patience and better:
        weights = {name: value.detach().clone() for name, value in training.average.state_dict().items()}
        training.best = (len(training.losses), weights)


def out_of_patience(training: Training, settings: PatchSettings) -> bool:
    """Whether the last settings.patience checks brought nothing better than the one before them."""
    errors = [value for _, value in training.checks]
    if not settings.patience or len(errors) <= settings.patience:
        return False
    return min(errors[-settings.patience :]) >= min(errors[: -settings.patience])


def learning_rate_at(step: int, settings: PatchSettings) -> float:
    """Cosine annealing from learning_rate to final_learning_rate, after a linear rise over `warmup` steps."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / max(1, settings.steps)))
    rate = settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * cosine
    return rate * min(1.0, (step + 1) / settings.warmup) if settings.warmup else rate


def stratified_timesteps(count: int, steps: int, generator: Generator, power: float = 1.0) -> Tensor:
    """`count` timesteps in 1..steps, one from each of `count` equally likely slices: less noise in the loss.

    Uniform with power 1; with a larger one, low noise levels are drawn more often (2: the median is steps / 4).
    """
    position = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (position**power * steps).long().clamp(0, steps - 1) + 1


def random_batch(pictures: Sequence[Tensor], settings: PatchSettings, generator: Generator) -> Tensor:
    """(batch, 3, crop, crop); the crop is smaller where one of the pictures is, as a batch has one size."""
    smallest = min(min(picture.shape[1:]) for picture in pictures)
    settings = replace(settings, crop=min(settings.crop, smallest))
    return torch.stack([random_crop(pictures, settings, generator) for _ in range(settings.batch)])


def random_crop(pictures: Sequence[Tensor], settings: PatchSettings, generator: Generator) -> Tensor:
    """One random crop (3, crop, crop) as float in [-1, 1]; no picture may be smaller than the crop."""

    def draw(n: int) -> int:
        return int(torch.randint(n, (1,), generator=generator))

    picture = pictures[draw(len(pictures))]
    half = settings.augment and min(picture.shape[1:]) >= 2 * settings.crop and draw(10) < 3
    size = 2 * settings.crop if half else settings.crop
    top, left = draw(picture.shape[1] - size + 1), draw(picture.shape[2] - size + 1)
    crop = picture[:, top : top + size, left : left + size]
    crop = crop.float() / 127.5 - 1 if crop.dtype == torch.uint8 else crop
    if half:  # the scene from twice as far away: as sharp, other patches
        crop = F.interpolate(crop[None], scale_factor=0.5, mode="bicubic", antialias=True)[0].clamp(-1, 1)
    if settings.augment:
        if draw(2):
            crop = crop.flip(2)
        if draw(2):
            crop = crop.transpose(1, 2)
        if draw(10) < 3:
            crop = crop.mean(0, keepdim=True).expand(3, -1, -1)
    return crop


@torch.no_grad()
def follow(average: VelocityNetwork, network: VelocityNetwork, decay: float) -> None:
    """Exponential moving average of the weights."""
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
