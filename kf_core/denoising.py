"""How well a patch prior denoises, per noise level, beside predictors that have learned nothing.

What a prior is worth to the method is its estimate of the clean image from a noised one, at every level the reverse
diffusion passes. Errors are root mean squares in grey levels of 0..255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from kf_core.learn_patches import Training, learn_patches, random_batch
from kf_core.networks.patch_diffusion import PatchDiffusion
from kf_core.progress import Monitor
from kf_core.schedule import NoiseSchedule
from kf_core.settings import PatchSettings

LEVELS = (1, 5, 10, 25, 50, 100, 200, 400, 800)  # timesteps
BLUR_SIGMAS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)  # pixels
FROM_SCRATCH = PatchSettings(batch=1, learning_rate=1e-3, ema=0.999, clip=1.0)
PHOTOS_FROM_SCRATCH = 3
BATCHES = 4  # of crops that a level is measured on


def errors_by_noise(
    network: PatchDiffusion,
    learned_from: Sequence[Tensor],
    held_out: Sequence[Tensor],
    schedule: NoiseSchedule,
    recipe: PatchSettings,
    monitor: Monitor,
    scratch_steps: int = 0,
    seed: int = 0,
) -> list[dict[str, float]]:
    """[{"t", "prior", "unchanged", "mean", "blur"}], one row per level of LEVELS, on held-out pictures (3, H, W) uint8.

    unchanged: the noised image itself, its signal scaled back to full. mean: the mean colour of `learned_from`. blur:
    the Gaussian blur that serves best at that level. With scratch_steps also "from_scratch" and "prior_there": networks
    that learned only the left half of one held-out picture, as the paper's phase 1, and the prior on the same right
    halves. [] without held-out pictures.
    """
    if not held_out:
        return []
    plain = replace(recipe, augment=False, batch=16)
    colours = torch.stack([picture.float().mean((1, 2)) for picture in learned_from]).mean(0) / 127.5 - 1
    rows = [errors_at(network, held_out, schedule, plain, t, colours) for t in LEVELS]
    if not scratch_steps:
        return rows
    sums = torch.zeros(len(LEVELS), 2)
    chosen = [p for p in held_out if min(p.shape[1], p.shape[2] // 2) >= recipe.crop][:PHOTOS_FROM_SCRATCH]
    for picture in chosen:
        half = picture.shape[2] // 2
        own = from_scratch(picture[:, :, :half], network, schedule, recipe, monitor, scratch_steps, seed)
        for number, t in enumerate(LEVELS):
            for column, each in enumerate((own, network)):
                sums[number, column] += mse(each, [picture[:, :, half:]], schedule, plain, t)
    for row, (own_error, there) in zip(rows, grey_levels(sums / max(1, len(chosen))).tolist(), strict=True):
        row |= {"from_scratch": round(own_error, 3), "prior_there": round(there, 3)}
    return rows


def from_scratch(
    picture: Tensor,
    like: PatchDiffusion,
    schedule: NoiseSchedule,
    recipe: PatchSettings,
    monitor: Monitor,
    steps: int,
    seed: int,
) -> PatchDiffusion:
    """A network of the same architecture that has seen nothing but `picture` (phase 1 of the paper, fewer steps)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PatchDiffusion(**like.config).to(next(like.parameters()).device)
    settings = replace(FROM_SCRATCH, steps=steps, crop=recipe.crop)
    network = network.to(memory_format=torch.channels_last)
    training = Training.begin(network, settings, Generator().manual_seed(seed))
    own = Monitor(monitor.progress, monitor.should_stop)  # its time left is not that of the training before
    return learn_patches(training, [picture], schedule, settings, own)


def errors_at(
    network: PatchDiffusion,
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
    network: PatchDiffusion, pictures: Sequence[Tensor], schedule: NoiseSchedule, plain: PatchSettings, t: int
):
    """Yields (clean, noised, the network's estimate of the clean) for fixed batches of crops."""
    generator, device = Generator().manual_seed(2), next(network.parameters()).device
    for _ in range(BATCHES):
        clean = random_batch(pictures, plain, generator).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        timesteps = torch.full((len(clean),), t, device=device)
        noisy = schedule.add_noise(clean, noise, timesteps)
        estimate = schedule.clean_from_velocity(noisy, network(noisy, timesteps), timesteps)
        yield clean, noisy, estimate.clamp(-1, 1)


def mse(
    network: PatchDiffusion, pictures: Sequence[Tensor], schedule: NoiseSchedule, plain: PatchSettings, t: int
) -> float:
    """Mean squared error of the clean estimate at timestep t, in [-1, 1] units."""
    pairs = denoised_crops(network, pictures, schedule, plain, t)
    return sum(float((estimate - clean).square().mean()) for clean, _, estimate in pairs) / BATCHES


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
