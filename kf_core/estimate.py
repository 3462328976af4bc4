"""How long a run will take and how much memory it needs, before anything of it is loaded or begun."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from kf_core import device as devices
from kf_core.checkpoints import hub
from kf_core.checkpoints.file import BUNDLED, read_checkpoint
from kf_core.checkpoints.load import PACKAGED
from kf_core.checkpoints.networks import build
from kf_core.checkpoints.sources import on_hub, published
from kf_core.denoisers.adapt import Prior
from kf_core.denoisers.diffusion import VelocityNetwork
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.errors import KernelFusionError, TooLarge
from kf_core.photo import Photo
from kf_core.physics.grid import crop_size
from kf_core.physics.kernel import check_kernel_size, default_kernel_size
from kf_core.pipeline import make_stages
from kf_core.progress import Monitor
from kf_core.run import Run
from kf_core.settings import SMALLEST, Settings
from kf_core.state import Stage

PROBE_SIDE = 96  # pixels of the image on which the speed is measured
PROBE_SECONDS = 0.15  # the measurement ends after the pass in which this is over


def estimate(width: int, height: int, settings: Settings, kernel_known: bool = False) -> dict[str, Any]:
    """Seconds and memory of a run, from the costs of its stages and the measured speed of this computer.

    The first call in a process takes a few tenths of a second for the measurement, the others some milliseconds.
    Nothing is downloaded: of a prior that is not there yet the size of the bundled one is assumed.

    Args:
        width, height: of the photo, in pixels.
        kernel_known: whether super_resolve will be given a kernel.

    Returns:
        "seconds": of the whole run, roughly. "memory_bytes": at the peak, beyond what is in use now, as the run itself
        checks it. Both are None where not even the smallest photo would fit. "free_bytes": what is free now, None where
        that is unknown. "fits": whether the needed is within the free. "device": "cpu", "cuda" or "mps".

    Raises BadSetting, BadKernel, NoDevice for what no run can use.

    >>> estimate(128, 96, Settings.preset("fast", device="cpu"))["fits"]
    True
    """
    settings = settings.checked()
    device = devices.choose_device(settings.device)
    free = devices.memory_available(device)
    about = {"free_bytes": free, "device": device.type}
    try:
        stages = stages_of(width, height, settings, kernel_known)
    except TooLarge:  # for the smallest photo already
        return {"seconds": None, "memory_bytes": None, "fits": False, **about}
    costs = [stage.cost(height, width) for stage in stages]
    memory = int(max(cost.memory for cost in costs))
    seconds = sum(cost.work for cost in costs) / speed(device)
    return {"seconds": seconds, "memory_bytes": memory, "fits": free is None or memory <= free, **about}


def stages_of(width: int, height: int, settings: Settings, kernel_known: bool) -> list[Stage]:
    """The stages of a run on a photo of that size, made without the photo and without a network's weights."""
    size = settings.kernel_size or default_kernel_size(settings.scale)
    settings = Settings(**{**vars(settings), "kernel_size": check_kernel_size(size, settings.scale)})
    # A photo that is small, so that its own memory check passes; cut where the real one would be cut.
    is_cut = crop_size(height, width, settings.kernel_crop) != (height, width)
    side = SMALLEST + is_cut
    photo = Photo(torch.zeros(1, 3, side, side), (0, 0, SMALLEST, SMALLEST))
    kernel = torch.full((size, size), 1 / size**2) if kernel_known else None
    prior = Prior(prior_network(settings), {})
    run = Run(torch.device("meta"), torch.Generator(), Monitor())
    with torch.random.fork_rng(devices=[]):
        stages, _ = make_stages(photo, settings, kernel, prior, None, None, run, want_image=True)
    return stages


def prior_network(settings: Settings) -> VelocityNetwork:
    """The network that a run would load, on the meta device: what it costs, without its weights."""
    source, patches = settings.patches.prior, settings.patches
    if source == "none":
        with torch.device("meta"):
            return PatchDiffusion(patches.channels)
    with suppress(KernelFusionError, OSError, ImportError):  # what is wrong with it the run itself will say
        path: Path | None = PACKAGED.get(source)
        if source == "auto":
            path = hub.cached(on_hub(published())) if published() else BUNDLED
        elif path is None:
            path = Path(os.path.expanduser(source))
            path = path if os.path.isfile(path) else hub.cached(on_hub(source))
        return _without_weights(path or BUNDLED)
    return _without_weights(BUNDLED)


@cache
def _without_weights(path: Path) -> VelocityNetwork:
    network: VelocityNetwork = build(read_checkpoint(path))
    return network.to("meta")


@cache
def speed(device: torch.device) -> float:
    """Millions of multiply-adds of PD per second, measured once per process and device."""
    with torch.random.fork_rng(devices=[]):
        network = devices.channels_last(PatchDiffusion(64).eval().requires_grad_(False).to(device))
    image = torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE, device=device).contiguous(memory_format=torch.channels_last)
    t = torch.ones(1, dtype=torch.long, device=device)
    work = network.work * PROBE_SIDE**2
    network(image, t).sum().item()  # the first pass also sets up the libraries
    fastest, end = float("inf"), time.perf_counter() + PROBE_SECONDS
    while (began := time.perf_counter()) < end or fastest == float("inf"):
        network(image, t).sum().item()  # .item() waits for the device
        fastest = min(fastest, time.perf_counter() - began)  # the others were held up by something else
    return work / fastest
