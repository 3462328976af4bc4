"""A prior by its name: from the package, a file, the cache of the Hub, or the Hub itself."""

from __future__ import annotations

import torch

from kf_core.checkpoints import hub
from kf_core.checkpoints.file import Checkpoint, WrongHash, read_checkpoint
from kf_core.checkpoints.sources import candidates, find
from kf_core.denoisers.adapt import Prior
from kf_core.device import choose_device
from kf_core.errors import Cancelled, KernelFusionError, Unavailable
from kf_core.progress import Monitor


def load_prior(source: str = "auto", device: str | torch.device = "auto", monitor: Monitor | None = None) -> Prior:
    """A prior by its name, on a device, for super_resolve(prior=...).

    Args:
        source: "bundled", "auto" (the first published one that can be had, else the bundled one), a published name, a
            .safetensors file, a folder that holds one, or OWNER/NAME or OWNER/NAME@REVISION on the Hugging Face Hub.
        monitor: told of a download, which ends when the user wants to stop.

    Raises BadInput, Cancelled, or Unavailable when the Hub cannot give it now.
    """
    device = choose_device(device) if isinstance(device, str) else device
    monitor = monitor or Monitor()
    checkpoint, about, reasons, ask_hub = None, {}, [], True
    names = candidates(source)
    for name in names:
        try:
            checkpoint, about = _load(name, ask_hub, monitor)
            break
        except Cancelled:
            raise
        except KernelFusionError as error:
            if name == names[-1]:
                raise
            reasons.append(error.message)
            ask_hub = ask_hub and not isinstance(error, Unavailable)  # one wait for a Hub that is down is enough
    if source == "auto" and name == "bundled":
        about["note"] = "The bundled prior was used. " + (" ".join(reasons) or "No other one is published yet.")
    network = checkpoint.network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
    told = {"prior": source, "file": checkpoint.path.name, "sha256": checkpoint.sha256, **about}
    if isinstance(learned := checkpoint.training.get("diffusion"), dict):
        told["diffusion"] = learned
    return Prior(network, {**told, **network.config})


def _load(name: str, ask_hub: bool, monitor: Monitor) -> tuple[Checkpoint, dict]:
    found = find(name, ask_hub, monitor)
    try:
        return read_checkpoint(found.path, found.sha256), dict(found.about)
    except WrongHash:
        if found.from_hub:
            hub.discard(found.path)  # so that the next pull mends it
        raise
