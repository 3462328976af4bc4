"""A prior by its name: from the package, a file, the cache of the Hub, or the Hub itself. And the kernel estimator."""

from __future__ import annotations

import copy
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from kf_core.checkpoints import hub
from kf_core.checkpoints.file import (
    BUNDLED,
    BUNDLED_FFDNET,
    BUNDLED_KERNEL_NETWORK,
    KERNEL_NETWORK,
    Checkpoint,
    WrongHash,
    read_checkpoint,
)
from kf_core.checkpoints.networks import build
from kf_core.checkpoints.sources import on_hub, published
from kf_core.denoisers.adapt import Prior
from kf_core.device import channels_last, choose_device
from kf_core.errors import Cancelled, KernelFusionError
from kf_core.kernels.corrnet import CorrNet
from kf_core.progress import Monitor

PACKAGED = {"bundled": BUNDLED, "ffdnet": BUNDLED_FFDNET}  # the priors that are always there


def load_prior(source: str = "auto", device: str | torch.device = "auto", monitor: Monitor | None = None) -> Prior:
    """A prior by its name, on a device, for super_resolve(prior=...).

    What was pulled from the Hub before is taken without any request, also for a branch; only `kf checkpoints pull`
    looks whether the branch has moved.

    Args:
        source: "bundled", "auto" (the published one if it can be had, else the bundled one), "ffdnet" (bundled too: no
            prior of patches, but quicker at making images once the kernel is known), a .safetensors file, or OWNER/NAME
            or OWNER/NAME@REVISION on the Hugging Face Hub.
        device: "auto", "cpu", "cuda" or "mps".
        monitor: told of a download, which ends when the user wants to stop.

    Raises:
        BadInput: there is no such prior, or it is damaged or not one.
        Unavailable: the Hub cannot give it now.
        Cancelled: the monitor was asked to stop.

    >>> load_prior("bundled", "cpu").network.config["channels"]
    64
    """
    device = choose_device(device) if isinstance(device, str) else device
    network, about = _best(monitor) if source == "auto" else _load(source, monitor)
    network = channels_last(network.eval().requires_grad_(False).to(device))
    return Prior(network, {"prior": source, **about, **network.config})


def load_kernel_network(source: str = "bundled", device: str | torch.device = "auto") -> tuple[CorrNet, dict[str, Any]]:
    """The network that finds kernels, frozen, on a device; and what a report says of it.

    Args:
        source: "bundled", or a .safetensors file that `kf train-kernel` wrote.

    Raises BadInput.

    >>> load_kernel_network("bundled", "cpu")[0].config["maps"]
    12
    """
    device = choose_device(device) if isinstance(device, str) else device
    path = BUNDLED_KERNEL_NETWORK if source == "bundled" else Path(os.path.expanduser(source))
    changed = path.stat().st_mtime_ns if os.path.exists(path) else 0
    network, sha256 = _kernel_network(path, changed)
    if device.type != "cpu":
        network = copy.deepcopy(network).to(device)
    return network, {"source": source, "file": path.name, "sha256": sha256}


@lru_cache(maxsize=2)
def _kernel_network(path: Path, changed: int) -> tuple[CorrNet, str]:
    """The frozen network on the CPU and its file's hash; read anew when the file has `changed`."""
    checkpoint = read_checkpoint(path)
    return build(checkpoint, KERNEL_NETWORK).eval().requires_grad_(False), checkpoint.sha256


def _best(monitor: Monitor | None) -> Prior:
    reason = "No other one is published yet."
    if published():
        try:
            return _load(published(), monitor)
        except Cancelled:
            raise
        except KernelFusionError as error:
            reason = error.message
    network, about = _load("bundled", monitor)
    return Prior(network, about | {"note": f"The bundled prior was used. {reason}"})


def _load(source: str, monitor: Monitor | None) -> Prior:
    path = PACKAGED.get(source) or Path(os.path.expanduser(source))
    if os.path.exists(path):  # os.path, because pathlib raises for some names that cannot be
        checkpoint, origin = read_checkpoint(path), dict[str, str]()
    else:
        checkpoint, origin = _from_hub(on_hub(source), monitor)
    about: dict[str, Any] = {"file": checkpoint.path.name, "sha256": checkpoint.sha256, **origin}
    if isinstance(learned := checkpoint.training.get("diffusion"), dict):
        about["diffusion"] = learned
    return Prior(build(checkpoint), about)


def _from_hub(wanted: hub.OnHub, monitor: Monitor | None) -> tuple[Checkpoint, dict[str, str]]:
    path = hub.cached(wanted) or hub.pull(wanted, monitor=monitor)
    about = {"repo": wanted.repo, "revision": path.parent.name}
    if not wanted.pinned:
        about["note"] = f"'{wanted.revision}' is not pinned; it stood for this commit when it was pulled."
    try:
        return read_checkpoint(path, hub.announced_hash(path)), about
    except WrongHash:
        hub.discard(path)  # so that the next pull mends it
        raise
