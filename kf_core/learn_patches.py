"""Phase 1: the patch diffusion network learns what small patches look like (appendix A.2).

The same loop learns one photo (the paper) or a folder of photos (a prior to start from). Data: pictures -> random crops
-> noised at a random timestep -> the network predicts the velocity -> mean squared error.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from kf_core.networks.patch_diffusion import PatchDiffusion
from kf_core.progress import Monitor
from kf_core.schedule import NoiseSchedule
from kf_core.settings import PatchSettings


def learn_patches(
    network: PatchDiffusion,
    pictures: Sequence[Tensor],
    schedule: NoiseSchedule,
    settings: PatchSettings,
    generator: Generator,
    monitor: Monitor,
) -> tuple[PatchDiffusion, list[float]]:
    """Trains `network` in place and returns it (or its moving average) with the loss of every step.

    Args:
        pictures: (3, H, W) each, uint8 or float in [-1, 1]; any sizes.
        generator: a CPU generator; all crops, timesteps and noise come from it.
        monitor: told of every step; raises Cancelled when the user wants to stop.
    """
    device = next(network.parameters()).device
    network.train().requires_grad_(True)
    average = copy.deepcopy(network) if settings.ema else network
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    losses: list[float] = []
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, settings)
        clean = random_batch(pictures, settings, generator)
        clean = clean.to(device).contiguous(memory_format=torch.channels_last)
        t = stratified_timesteps(settings.batch, schedule.steps, generator).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            predicted = network(schedule.add_noise(clean, noise, t), t)
        loss = F.mse_loss(predicted.float(), schedule.velocity(clean, noise, t))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if settings.clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimizer.step()
        if settings.ema:
            follow(average, network, min(settings.ema, (1 + step) / (10 + step)))
        losses.append(loss.detach().item())
        monitor.finite(losses[-1])
        monitor.step("learning patches", step + 1, settings.steps)
    return average.eval().requires_grad_(False), losses


def learning_rate_at(step: int, settings: PatchSettings) -> float:
    """Cosine annealing from learning_rate to final_learning_rate, after a linear rise over `warmup` steps."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / max(1, settings.steps)))
    rate = settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * cosine
    return rate * min(1.0, (step + 1) / settings.warmup) if settings.warmup else rate


def stratified_timesteps(count: int, steps: int, generator: Generator) -> Tensor:
    """`count` timesteps in 1..steps, uniform, one from each of `count` equal slices: less noise in the loss."""
    position = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (position * steps).long().clamp(0, steps - 1) + 1


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
def follow(average: PatchDiffusion, network: PatchDiffusion, decay: float) -> None:
    """Exponential moving average of the weights."""
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
