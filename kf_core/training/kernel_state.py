"""A training of the kernel estimator in files: the state to go on with, and the weights to use. Never unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from kf_core.checkpoints.file import KERNEL_NETWORK
from kf_core.errors import BadInput
from kf_core.files.atomic import write_atomically
from kf_core.kernels.corrnet import CorrNet
from kf_core.training.state import load_moments, moments, under

if TYPE_CHECKING:
    from kf_core.training.train_kernel import Training

STATE_FORMAT, WEIGHTS_FORMAT = "kernelfusion-kernel-training-1", KERNEL_NETWORK


def save_state(training: Training, path: Path, about: dict) -> None:
    """Writes everything the next step depends on, with what it may only go on with: `about`, a JSON-able dict."""
    tensors = {f"network.{name}": value for name, value in training.network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in training.average.state_dict().items()}
    tensors |= moments(training.optimizer)
    counts = {"step": training.step, "seen": training.seen, "recent": training.recent, "curve": training.curve}
    _write(path, tensors, {"format": STATE_FORMAT, "about": about, **counts})


def load_state(training: Training, path: Path, about: dict) -> None:
    """Puts what save_state wrote into a training just begun. Raises BadInput: unreadable, or of something else."""
    start_anew = "Train without resuming to start anew."
    try:
        tensors, known = _read(path)
        if known.get("format") != STATE_FORMAT:
            raise BadInput(f"{path.name} is not an unfinished training of the kernel estimator.", start_anew)
        if _without_length(known["about"]) != _without_length(json.loads(json.dumps(about))):
            raise BadInput(
                "The unfinished training had other settings or photographs.",
                "Give the same ones to go on, or train without resuming.",
            )
        training.network.load_state_dict(under("network.", tensors))
        training.average.load_state_dict(under("average.", tensors))
        load_moments(training.optimizer, tensors)
        training.step, training.seen = known["step"], known["seen"]
        training.recent, training.curve = known["recent"], known["curve"]
    except _unreadable() as error:
        raise BadInput(f"{path.name} cannot be read, or does not fit this version.", start_anew) from error


def _without_length(about: dict) -> dict:
    """A training may be given more or fewer samples than it began with."""
    return about | {"recipe": {name: value for name, value in about["recipe"].items() if name != "samples"}}


def save_weights(network: CorrNet, path: Path, about: dict) -> None:
    """The weights in float16; `about`, which has "config", becomes the metadata."""
    tensors = {name: value.half() for name, value in network.state_dict().items()}
    _write(path, tensors, {"format": WEIGHTS_FORMAT, **about})


def load_weights(path: str | Path) -> tuple[CorrNet, dict]:
    """The network, ready to use, and its metadata. Raises BadInput."""
    path = Path(path)
    try:
        tensors, about = _read(path)
        if about.get("format") != WEIGHTS_FORMAT:
            raise BadInput(f"{path.name} is not a kernel estimator.", "Give a file that `kf train-kernel` wrote.")
        network = CorrNet(**about["config"])
        network.load_state_dict({name: value.float() for name, value in tensors.items()})
    except _unreadable() as error:
        raise BadInput(f"{path.name} cannot be read, or does not fit this version.", "Train it anew.") from error
    return network.eval().requires_grad_(False), about


def _write(path: Path, tensors: dict[str, Tensor], about: dict) -> None:
    from safetensors.torch import save

    content = save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        {"kernelfusion": json.dumps(about, sort_keys=True)},
    )
    write_atomically(path, lambda file: file.write(content))


def _read(path: Path) -> tuple[dict[str, Tensor], dict]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        about = json.loads((file.metadata() or {}).get("kernelfusion", "{}"))
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118


def _unreadable() -> tuple[type[Exception], ...]:
    from safetensors import SafetensorError

    return SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, AttributeError
