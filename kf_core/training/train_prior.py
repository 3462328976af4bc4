"""A patch prior from a folder of photographs: what phase 1 starts from when it does not start from nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from kf_core.checkpoints.file import save_prior
from kf_core.denoisers.learn import Training, learn_patches, random_batch, stratified_timesteps
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.device import channels_last, choose_device, describe
from kf_core.errors import Cancelled
from kf_core.files.atomic import check_writable_folder
from kf_core.files.picture import read_picture
from kf_core.progress import Monitor, Progress
from kf_core.settings import DiffusionSettings, PatchSettings
from kf_core.training.error_table import errors_by_noise
from kf_core.training.photographs import credits_of, split
from kf_core.training.state import load_training, save_training

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
    timestep_power=1.5,
    check_every=200,
    precision="auto",
)
SECONDS_BETWEEN_SAVES = 60


def train_prior(
    folder: str | Path,
    out: str | Path,
    *,
    steps: int = RECIPE.steps,
    channels: int = RECIPE.channels,
    batch: int = RECIPE.batch,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> dict:
    """Trains PD on the photographs in `folder` (sorted by name, every tenth held out) and writes `out`.

    The unfinished training is kept beside `out`, as state_file(out), once a minute and when it is cancelled.

    Args:
        resume: goes on with it where there is one; the result is the same as without the interruption.

    Returns what is also in the checkpoint's metadata: recipe, files used, loss of the first and last hundred steps, the
    velocity error on the held-out photographs, its curve, and the error per noise level beside that of trivial
    predictors. Raises BadInput, Cancelled, Diverged.
    """
    check_writable_folder(out)
    training_paths, held_out_paths = split(folder)
    recipe = replace(RECIPE, steps=steps, channels=channels, batch=batch)
    processor, diffusion = choose_device(device), DiffusionSettings()
    schedule = NoiseSchedule(diffusion.schedule, diffusion.steps, processor)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PatchDiffusion(channels, activation=recipe.activation, residual=recipe.residual)
    network = channels_last(network.to(processor))
    training = Training.begin(network, recipe, torch.Generator().manual_seed(seed))
    about = {
        "recipe": asdict(recipe),
        "diffusion": asdict(diffusion),
        "seed": seed,
        "trained_on": [path.name for path in training_paths],
        "held_out": [path.name for path in held_out_paths],
    }
    state, monitor, last = state_file(out), Monitor(progress, should_stop), time.monotonic()
    if resume and state.is_file():
        load_training(training, state, about)

    def keep(training: Training, cancelled: bool) -> None:
        nonlocal last
        if cancelled or time.monotonic() - last > SECONDS_BETWEEN_SAVES:
            save_training(training, state, about)
            last = time.monotonic()

    pictures = [as_tensor(path) for path in training_paths]
    held_out = [as_tensor(path) for path in held_out_paths]

    def check(network: PatchDiffusion) -> float:
        return held_out_loss(network, held_out, schedule, recipe)

    try:
        network = learn_patches(
            training, pictures, schedule, recipe, monitor, check=check if held_out else None, keep=keep
        )
        save_training(training, state, about)
        errors = errors_by_noise(network, pictures, held_out, schedule, recipe, monitor)
    except Cancelled:
        raise Cancelled("Stopped as you asked; what was learned so far is kept, to go on with.") from None
    losses = training.losses
    report = about | {
        "loss_first": float(np.mean(losses[:100])),
        "loss_last": float(np.mean(losses[-100:])),
        "loss_held_out": check(network) if held_out else None,
        "curve": curve(training),
        "errors": errors,
        "command": f"kf train-prior FOLDER -o {Path(out).name} --steps {steps} --channels {channels} --batch {batch}"
        f" --seed {seed}",
        "credits": credits_of(folder, training_paths),
        "machine": describe(processor),
        "torch": torch.__version__,
    }
    save_prior(network, Path(out), report)
    state.unlink(missing_ok=True)
    return report


def state_file(out: str | Path) -> Path:
    """Where the unfinished training of the prior `out` is kept."""
    return Path(out).with_suffix(".training")


def curve(training: Training) -> list[dict]:
    """[{"step", "loss", "held_out"}]: at each check, with the mean training loss since the one before."""
    rows, before = [], 0
    for step, error in training.checks:
        since = training.losses[before:step]
        rows.append({"step": step, "loss": float(np.mean(since)) if since else None, "held_out": error})
        before = step
    return rows


def as_tensor(path: Path) -> torch.Tensor:
    """(3, H, W) uint8; grey is repeated."""
    pixels = read_picture(path).pixels
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


@torch.no_grad()
def held_out_loss(
    network: PatchDiffusion, pictures: list[torch.Tensor], schedule: NoiseSchedule, recipe: PatchSettings
) -> float:
    """Mean squared velocity error on 16 fixed batches of held-out crops, all timesteps alike."""
    generator, plain = torch.Generator().manual_seed(1), replace(recipe, augment=False, batch=16)
    device, errors = next(network.parameters()).device, []
    for _ in range(16):
        clean = random_batch(pictures, plain, generator).to(device)
        t = stratified_timesteps(plain.batch, schedule.steps, generator).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        predicted = network(schedule.add_noise(clean, noise, t), t)
        errors.append(float((predicted - schedule.velocity(clean, noise, t)).square().mean()))
    return float(np.mean(errors))
