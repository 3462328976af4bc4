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
    for number, state in training.optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{name}": value for name, value in state.items()}
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
        training.network.load_state_dict(_under("network.", tensors))
        if training.average is not training.network:
            training.average.load_state_dict(_under("average.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("adam.", tensors).items():
            number, kind = name.split(".", 1)
            moments.setdefault(int(number), {})[kind] = value
        groups = training.optimizer.state_dict()["param_groups"]
        training.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        training.generator.set_state(tensors["generator"])
        training.losses[:] = tensors["losses"].tolist()
        training.checks[:] = [(int(step), error) for step, error in tensors["checks"].tolist()]
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError, AttributeError) as error:
        raise BadInput(f"{path.name} cannot be read, or does not fit this version.", start_anew) from error


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
