"""A patch prior from a folder of photographs: what phase 1 starts from when it does not start from nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kf_core.checkpoints.file import FFDNET, PRIOR, save_prior
from kf_core.checkpoints.load import load_prior
from kf_core.denoisers.diffusion import VelocityNetwork
from kf_core.denoisers.ffdnet import FFDNet
from kf_core.denoisers.learn import Training, learn_patches, random_batch, stratified_timesteps
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.device import channels_last, choose_device, describe
from kf_core.errors import BadInput, Cancelled
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
FFDNET_RECIPE = replace(RECIPE, steps=12_000, crop=48, ema=0.999, timestep_power=2.0)
SECONDS_BETWEEN_SAVES = 60


def train_prior(
    folder: str | Path,
    out: str | Path,
    *,
    network: str = "pd",
    start: str | None = None,
    steps: int | None = None,
    channels: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> dict:
    """Trains a prior on the photographs in `folder` (sorted by name, every tenth held out) and writes `out`.

    The unfinished training is kept beside `out`, as state_file(out), once a minute and when it is cancelled.

    Args:
        network: "pd", the patch prior, or "ffdnet", which is quicker at making images.
        start: a prior of the same network to begin from, as load_prior understands it; None: from scratch.
        steps, channels, batch: None: as in the network's recipe, or as the prior has that it begins from.
        resume: goes on with it where there is one; the result is the same as without the interruption.

    Returns what is also in the checkpoint's metadata: recipe, files used, loss of the first and last hundred steps, the
    velocity error on the held-out photographs, its curve, and the error per noise level beside that of trivial
    predictors. Raises BadInput, Cancelled, Diverged.
    """
    check_writable_folder(out)
    training_paths, held_out_paths = split(folder)
    usual = {"pd": RECIPE, "ffdnet": FFDNET_RECIPE}[network]
    begun = load_prior(start, device) if start else None
    if begun is not None:
        check_start(begun.network, network, channels)
        channels = begun.network.config["channels"]
    changed: dict[str, Any] = {"steps": steps, "channels": channels, "batch": batch}
    recipe = replace(usual, **{name: value for name, value in changed.items() if value is not None})
    processor, diffusion = choose_device(device), DiffusionSettings()
    schedule = NoiseSchedule(diffusion.schedule, diffusion.steps, processor)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = new_network(network, recipe) if begun is None else begun.network
    training = Training.begin(channels_last(fresh.to(processor)), recipe, torch.Generator().manual_seed(seed))
    about = {
        "recipe": asdict(recipe),
        "diffusion": asdict(diffusion),
        "seed": seed,
        "begun_from": None if begun is None else begun.about["sha256"],
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

    def check(network: VelocityNetwork) -> float:
        return held_out_loss(network, held_out, schedule, recipe)

    try:
        learned = learn_patches(
            training, pictures, schedule, recipe, monitor, check=check if held_out else None, keep=keep
        )
        save_training(training, state, about)
        errors = errors_by_noise(learned, pictures, held_out, schedule, recipe, monitor)
    except Cancelled:
        raise Cancelled("Stopped as you asked; what was learned so far is kept, to go on with.") from None
    losses = training.losses
    report = about | {
        "loss_first": float(np.mean(losses[:100])),
        "loss_last": float(np.mean(losses[-100:])),
        "loss_held_out": check(learned) if held_out else None,
        "curve": curve(training),
        "errors": errors,
        "command": f"kf train-prior FOLDER -o {Path(out).name} --network {network} --steps {recipe.steps}"
        f" --channels {recipe.channels} --batch {recipe.batch} --seed {seed}{' --from PRIOR' if start else ''}",
        "credits": credits_of(folder, training_paths),
        "machine": describe(processor),
        "torch": torch.__version__,
    }
    save_prior(learned, Path(out), report, FORMATS[network])
    state.unlink(missing_ok=True)
    return report


FORMATS = {"pd": PRIOR, "ffdnet": FFDNET}


def new_network(kind: str, recipe: PatchSettings) -> VelocityNetwork:
    """An untrained network, its weights from torch's global generator."""
    if kind == "ffdnet":
        return FFDNet(recipe.channels)
    return PatchDiffusion(recipe.channels, activation=recipe.activation, residual=recipe.residual)


def check_start(begun: VelocityNetwork, kind: str, channels: int | None) -> None:
    """Raises BadInput where a prior is not what a training of that kind and width can begin from."""
    if isinstance(begun, FFDNet) != (kind == "ffdnet"):
        raise BadInput(f"The prior to begin from is not of the network '{kind}'.", "Give one of the same network.")
    if channels not in (None, begun.config["channels"]):
        told = f"The prior to begin from has {begun.config['channels']} channels, not {channels}."
        raise BadInput(told, "Leave the number of channels out.")


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
    network: VelocityNetwork, pictures: list[torch.Tensor], schedule: NoiseSchedule, recipe: PatchSettings
) -> float:
    """Mean squared velocity error on 16 fixed batches of held-out crops, all timesteps alike."""
    generator, plain = torch.Generator().manual_seed(1), replace(recipe, augment=False, batch=16)
    device, errors = next(network.parameters()).device, []
    for _ in range(16):
        clean = random_batch(pictures, plain, generator).to(device)
        t = stratified_timesteps(plain.batch, network.latest or schedule.steps, generator).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        predicted = network(schedule.add_noise(clean, noise, t), t)
        errors.append(float((predicted - schedule.velocity(clean, noise, t)).square().mean()))
    return float(np.mean(errors))
