"""A patch prior from a folder of photographs: what phase 1 starts from when it does not start from nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from kf_core.checkpoints import save_prior
from kf_core.device import choose_device
from kf_core.errors import BadInput
from kf_core.learn_patches import learn_patches, random_batch, stratified_timesteps
from kf_core.networks.patch_diffusion import PatchDiffusion
from kf_core.picture import check_writable_folder, read_picture
from kf_core.progress import Monitor, Progress
from kf_core.schedule import NoiseSchedule
from kf_core.settings import DiffusionSettings, PatchSettings

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}
RECIPE = PatchSettings(
    steps=6000,
    channels=64,
    batch=16,
    learning_rate=1e-3,
    final_learning_rate=1e-6,
    warmup=200,
    augment=True,
    ema=0.999,
    clip=1.0,
    precision="bf16",
)


def train_prior(
    folder: str | Path,
    out: str | Path,
    *,
    steps: int = RECIPE.steps,
    channels: int = RECIPE.channels,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> dict:
    """Trains PD on the photographs in `folder` (sorted by name, every tenth held out) and writes `out`.

    Returns what is also in the checkpoint's metadata: recipe, files used, loss of the first and last hundred steps, and
    the velocity error on the held-out photographs. Raises BadInput, Cancelled, Diverged.
    """
    check_writable_folder(out)
    training, held_out = split(folder)
    recipe = replace(RECIPE, steps=steps, channels=channels)
    processor, diffusion = choose_device(device), DiffusionSettings()
    schedule = NoiseSchedule(diffusion.schedule, diffusion.steps, processor)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PatchDiffusion(channels, activation=recipe.activation, residual=recipe.residual)
    network = network.to(processor).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(seed)
    pictures = [as_tensor(path) for path in training]
    network, losses = learn_patches(network, pictures, schedule, recipe, generator, Monitor(progress, should_stop))
    report = {
        "recipe": asdict(recipe),
        "diffusion": asdict(diffusion),
        "seed": seed,
        "trained_on": [path.name for path in training],
        "held_out": [path.name for path in held_out],
        "loss_first": float(np.mean(losses[:100])),
        "loss_last": float(np.mean(losses[-100:])),
        "loss_held_out": held_out_loss(network, [as_tensor(path) for path in held_out], schedule, recipe),
    }
    save_prior(network, Path(out), report)
    return report


def split(folder: str | Path) -> tuple[list[Path], list[Path]]:
    """(training, held-out) photographs: every tenth by name is held out. Raises BadInput when there are none."""
    folder = Path(folder)
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not found:
        raise BadInput(f"There are no photographs in {folder}.", "Give a folder of PNG, JPEG, TIFF or WebP files.")
    held_out = found[::10] if len(found) >= 10 else []
    return [path for path in found if path not in held_out], held_out


def as_tensor(path: Path) -> torch.Tensor:
    """(3, H, W) uint8; grey is repeated."""
    pixels = read_picture(path).pixels
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


@torch.no_grad()
def held_out_loss(
    network: PatchDiffusion, pictures: list[torch.Tensor], schedule: NoiseSchedule, recipe: PatchSettings
) -> float | None:
    """Mean squared velocity error on 64 fixed batches of held-out crops; None without held-out photographs."""
    if not pictures:
        return None
    generator, plain = torch.Generator().manual_seed(1), replace(recipe, augment=False)
    device = next(network.parameters()).device
    errors = []
    for _ in range(64):
        clean = random_batch(pictures, plain, generator).to(device)
        t = stratified_timesteps(plain.batch, schedule.steps, generator).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        predicted = network(schedule.add_noise(clean, noise, t), t)
        errors.append(float((predicted - schedule.velocity(clean, noise, t)).square().mean()))
    return float(np.mean(errors))
