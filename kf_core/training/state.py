"""A training put away in one .safetensors file, to go on with later exactly where it was. Never unpickled."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from kf_core.denoisers.learn import Training
from kf_core.errors import BadInput
from kf_core.files.atomic import write_atomically

FORMAT = "kernelfusion-training-1"


def save_training(training: Training, path: Path, recipe: dict) -> None:
    """Writes everything the next step depends on, with the recipe (a JSON-able dict) that it may go on with."""
    from safetensors.torch import save

    tensors = {f"network.{name}": value for name, value in training.network.state_dict().items()}
    if training.average is not training.network:
        tensors |= {f"average.{name}": value for name, value in training.average.state_dict().items()}
    tensors |= moments(training.optimizer)
    tensors["generator"] = training.generator.get_state()
    tensors["losses"] = torch.tensor(training.losses, dtype=torch.float64)
    tensors["checks"] = torch.tensor(training.checks, dtype=torch.float64).reshape(-1, 2)
    about = {"format": FORMAT, "recipe": recipe}
    content = save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        {"kernelfusion": json.dumps(about, sort_keys=True)},
    )
    write_atomically(path, lambda file: file.write(content))


def load_training(training: Training, path: Path, recipe: dict) -> None:
    """Puts what save_training wrote into a training just begun. Raises BadInput: unreadable, or another recipe."""
    from safetensors import SafetensorError, safe_open

    start_anew = "Train without resuming to start anew."
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("kernelfusion", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about.get("format") != FORMAT:
            raise BadInput(f"{path.name} is not an unfinished training.", start_anew)
        if about["recipe"] != json.loads(json.dumps(recipe)):
            raise BadInput(
                "The unfinished training had other settings or photographs.",
                "Give the same ones to go on, or train without resuming.",
            )
        training.network.load_state_dict(under("network.", tensors))
        if training.average is not training.network:
            training.average.load_state_dict(under("average.", tensors))
        load_moments(training.optimizer, tensors)
        training.generator.set_state(tensors["generator"])
        training.losses[:] = tensors["losses"].tolist()
        training.checks[:] = [(int(step), error) for step, error in tensors["checks"].tolist()]
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError, AttributeError) as error:
        raise BadInput(f"{path.name} cannot be read, or does not fit this version.", start_anew) from error


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's memory of every weight, by names that begin with "adam."."""
    every = optimizer.state_dict()["state"].items()
    return {f"adam.{number}.{name}": value for number, state in every for name, value in state.items()}


def load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Puts back what `moments` gave, from among other tensors."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in under("adam.", tensors).items():
        number, kind = name.split(".", 1)
        found.setdefault(int(number), {})[kind] = value
    optimizer.load_state_dict({"state": found, "param_groups": optimizer.state_dict()["param_groups"]})


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
