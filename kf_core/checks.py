"""What makes a run impossible, said before its work begins: too little memory, or a prior that does not fit."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kf_core import device as devices
from kf_core.cost import Cost
from kf_core.denoisers.adapt import Prior
from kf_core.denoisers.base import Denoiser
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.errors import BadPrior, TooLarge
from kf_core.photo import Photo
from kf_core.settings import DiffusionSettings, Settings


def check_memory(costs: Sequence[Cost], photo: Photo, settings: Settings, device: torch.device) -> None:
    """Raises TooLarge when a stage needs more memory than is free."""
    free = devices.memory_available(device)
    needed = max(cost.memory for cost in costs)
    if free is not None and needed > free:
        height, width = photo.size
        raise TooLarge(
            f"A picture of {width} x {height} pixels needs about {needed / 2**30:.1f} GiB with the "
            f"'{settings.preset_name}' preset, and {free / 2**30:.1f} GiB are free.",
            smaller(settings),
        )


def smaller(settings: Settings) -> str:
    """What to do where the memory does not suffice."""
    if settings.preset_name == "fast":
        return "Use a smaller part of the photo, or a smaller scale." if settings.scale > 2 else "Use a smaller part."
    return "Use a smaller part of the photo, or the preset 'fast'."


def check_noise(denoiser: Denoiser, settings: Settings, walks: bool) -> None:
    """Raises BadPrior when the stages ask for more noise than the prior has learned to take away."""
    latest = denoiser.network.latest if isinstance(denoiser, DiffusionDenoiser) else None
    if latest is None:
        return
    asked = {
        "recovery.timesteps": settings.recovery.timesteps[0] if walks else 0,
        "refine.start": settings.refine.start if settings.refine.rounds else 0,
        "finish.start": settings.finish.start,
    }
    name = max(asked, key=lambda name: asked[name])
    if asked[name] > latest:
        told = f"This prior has learned timesteps up to {latest}, and the setting {name} asks for {asked[name]}."
        raise BadPrior(told, "Use a patch prior, such as 'bundled'; this one is for the preset 'fast'.")


def check_schedule(prior: Prior | None, diffusion: DiffusionSettings) -> None:
    """Raises BadPrior when the prior learned another noise schedule than the one asked for."""
    learned = (prior.about if prior else {}).get("diffusion")
    asked = {"schedule": diffusion.schedule, "steps": diffusion.steps}
    if learned and {name: learned.get(name) for name in asked} != asked:
        raise BadPrior(
            f"The prior learned the {learned.get('schedule')} noise schedule with {learned.get('steps')} steps, "
            f"not the {diffusion.schedule} one with {diffusion.steps}.",
            "Use its own schedule, or no prior.",
        )
