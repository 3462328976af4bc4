"""How well a patch prior denoises, per noise level, beside predictors that have learned nothing.

What a prior is worth to the method is its estimate of the clean image from a noised one, at every level the reverse
diffusion passes. Errors are root mean squares in grey levels of 0..255.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from kf_core.denoisers.diffusion import VelocityNetwork
from kf_core.denoisers.learn import random_batch
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.progress import Monitor
from kf_core.settings import PatchSettings

LEVELS = (1, 5, 10, 25, 50, 100, 200, 400, 800)  # timesteps
BLUR_SIGMAS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)  # pixels
BATCHES = 4  # of crops that a level is measured on


def errors_by_noise(
    network: VelocityNetwork,
    learned_from: Sequence[Tensor],
    held_out: Sequence[Tensor],
    schedule: NoiseSchedule,
    recipe: PatchSettings,
    monitor: Monitor,
) -> list[dict[str, float]]:
    """[{"t", "prior", "unchanged", "mean", "blur"}], one row per level of LEVELS, on held-out pictures (3, H, W) uint8.

    unchanged: the noised image itself, its signal scaled back to full. mean: the mean colour of `learned_from`. blur:
    the Gaussian blur that serves best at that level. [] without held-out pictures. Raises Cancelled.
    """
    if not held_out:
        return []
    plain = replace(recipe, augment=False, batch=16)
    colours = torch.stack([picture.float().mean((1, 2)) for picture in learned_from]).mean(0) / 127.5 - 1
    rows = []
    for t in LEVELS:
        if t > (network.latest or t):
            break
        monitor.check()
        rows.append(errors_at(network, held_out, schedule, plain, t, colours))
    return rows


def errors_at(
    network: VelocityNetwork,
    pictures: Sequence[Tensor],
    schedule: NoiseSchedule,
    plain: PatchSettings,
    t: int,
    colours: Tensor,
) -> dict[str, float]:
    """One row: the network and the trivial predictors on the same noised crops."""
    sums: dict[str, float] = {}
    blurs = dict.fromkeys(BLUR_SIGMAS, 0.0)
    for clean, noisy, estimate in denoised_crops(network, pictures, schedule, plain, t):
        signal, _ = schedule.signal_and_noise(torch.tensor([t]))
        scaled = (noisy / signal.to(noisy.device)).clamp(-1, 1)
        guesses = {"prior": estimate, "unchanged": scaled, "mean": colours.to(clean.device)[None, :, None, None]}
        for name, guess in guesses.items():
            sums[name] = sums.get(name, 0.0) + float((guess - clean).square().mean()) / BATCHES
        for sigma in BLUR_SIGMAS:
            blurs[sigma] += float((blur(noisy / signal.to(noisy.device), sigma) - clean).square().mean()) / BATCHES
    sums["blur"] = min(blurs.values())
    return {"t": t} | {name: round(float(grey_levels(torch.tensor(value))), 3) for name, value in sums.items()}


@torch.no_grad()
def denoised_crops(
    network: VelocityNetwork, pictures: Sequence[Tensor], schedule: NoiseSchedule, plain: PatchSettings, t: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yields (clean, noised, the network's estimate of the clean) for fixed batches of crops."""
    generator, device = Generator().manual_seed(2), next(network.parameters()).device
    for _ in range(BATCHES):
        clean = random_batch(pictures, plain, generator).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        timesteps = torch.full((len(clean),), t, device=device)
        noisy = schedule.add_noise(clean, noise, timesteps)
        estimate = schedule.clean_from_velocity(noisy, network(noisy, timesteps), timesteps)
        yield clean, noisy, estimate.clamp(-1, 1)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (B, C, H, W), borders reflected."""
    reach = min(int(3 * sigma + 0.5), min(images.shape[-2:]) - 1)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=images.device) / sigma) ** 2)
    taps = (taps / taps.sum())[None, None]
    flat = images.flatten(0, 1)[:, None]
    flat = F.pad(flat, (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(flat, taps[..., None, :]), taps[..., :, None]).reshape(images.shape)


def grey_levels(squared: Tensor) -> Tensor:
    """Root of a mean square in [-1, 1] units, in grey levels of 0..255."""
    return 127.5 * squared.sqrt()
