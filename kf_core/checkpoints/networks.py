"""The networks that checkpoints hold: one function per format of kf_core.checkpoints.file."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from kf_core.checkpoints.file import FFDNET, KERNEL_NETWORK, PRIOR, Checkpoint
from kf_core.denoisers.ffdnet import FFDNet
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.errors import BadPrior
from kf_core.kernels.corrnet import CorrNet

Network = TypeVar("Network", bound=nn.Module)
LARGEST = 100_000  # filters, blocks or timesteps: what claims more is not made


def patch_diffusion(config: dict, weights: dict[str, Tensor]) -> PatchDiffusion:
    """The patch diffusion network of three colours that `config` describes."""
    if type(config["channels"]) is not int or config["channels"] < 1:
        raise ValueError("a number of channels that cannot be")
    if config.get("colours", 3) != 3:
        raise ValueError("only priors of three colours are used")
    return _filled(PatchDiffusion, config, weights)


def ffdnet(config: dict, weights: dict[str, Tensor]) -> FFDNet:
    """The denoiser that `config` describes."""
    numbers = [config[name] for name in ("channels", "depth", "latest", "timesteps")]
    if any(type(number) is not int or not 1 <= number <= LARGEST for number in numbers) or numbers[2] > numbers[3]:
        raise ValueError("widths or timesteps that cannot be")
    return _filled(FFDNet, config, weights)


def corrnet(config: dict, weights: dict[str, Tensor]) -> CorrNet:
    """The network that finds kernels. It is made only where the weights have the widths that `config` states."""
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    widths = {
        "width": shapes["first.bias"][0] * 2,
        "maps": shapes["last.bias"][0] * 2,
        "mixed": shapes["mix_even.bias"][0],
        "narrow": shapes["narrow.bias"][0],
        "odd": shapes["mix_odd.weight"][0],
        "hidden": shapes["head.weight"][1],
    }
    if config != widths or not all(bool(value.isfinite().all()) for value in weights.values()):
        raise ValueError("other widths than it says, or weights that are not numbers")
    network = CorrNet(**widths)
    network.load_state_dict(weights, strict=True)
    return network


BUILDERS = {PRIOR: patch_diffusion, FFDNET: ffdnet, KERNEL_NETWORK: corrnet}
PRIORS = (PRIOR, FFDNET)  # what load_prior can load
TOLD = {  # what a file of another format is not, and how to get one
    PRIOR: ("a KernelFusion prior", "Make one with `kf train-prior`."),
    KERNEL_NETWORK: ("a kernel estimator", "Make one with `kf train-kernel`."),
}


def build(checkpoint: Checkpoint, *formats: str) -> Any:
    """The network of a checkpoint, on the CPU. Raises BadPrior if it is of none of the formats or does not fit.

    No format: any that load_prior knows.
    """
    formats = formats or PRIORS
    name = checkpoint.path.name
    if checkpoint.format not in formats:
        what, hint = TOLD[formats[0]]
        raise BadPrior(f"{name} is not {what}.", hint)
    try:
        return BUILDERS[checkpoint.format](checkpoint.config, checkpoint.weights)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise BadPrior(f"{name} does not fit this version's network.", "Train it again.") from error


def _filled(kind: type[Network], config: dict, weights: dict[str, Tensor]) -> Network:
    """kind(**config) with `weights`. It is made only once the shapes fit, so that a lie in `config` costs no memory."""
    with torch.device("meta"):
        planned = kind(**config).state_dict()
    if {name: value.shape for name, value in planned.items()} != {name: value.shape for name, value in weights.items()}:
        raise ValueError("other shapes than the architecture has")
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise ValueError("weights that are not numbers")
    network = kind(**config)
    network.load_state_dict(weights, strict=True)
    return network
