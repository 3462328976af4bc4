"""Checkpoints of the patch diffusion network: one .safetensors file with its architecture inside. Never unpickled."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from kf_core.errors import BadInput
from kf_core.networks.patch_diffusion import PatchDiffusion

BUNDLED = Path(__file__).parent / "weights" / "pd-small.safetensors"
FORMAT = "kernelfusion-pd-1"


def save_prior(network: PatchDiffusion, path: Path, training: dict) -> None:
    """Writes the network and how it was trained (a JSON-able dict) to `path`, atomically."""
    from safetensors.torch import save

    from kf_core.picture import write_atomically

    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    about = {"format": FORMAT, "config": network.config, "training": training}
    content = save(weights, {"kernelfusion": json.dumps(about)})  # one key: the bytes do not depend on their order
    write_atomically(path, lambda file: file.write(content))


def load_prior(source: str, device: torch.device) -> tuple[PatchDiffusion, dict]:
    """The frozen network from "bundled" or a path, and what the report says of it. Raises BadInput."""
    from safetensors import SafetensorError, safe_open

    path = BUNDLED if source == "bundled" else Path(source)
    if not path.is_file():
        raise BadInput(
            f"There is no prior checkpoint at {path}.", "Give the path of a .safetensors file, or 'bundled'."
        )
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path.name} is not a readable .safetensors file.", "Fetch or train it again.") from error
    try:
        about = json.loads(metadata.get("kernelfusion", "{}"))
        if about.get("format") != FORMAT:
            raise BadInput(f"{path.name} is not a KernelFusion prior.", "Make one with `kf train-prior`.")
        network = PatchDiffusion(**about["config"])
        network.load_state_dict(weights, strict=True)
        if network.config["colours"] != 3:
            raise ValueError("only priors of three colours are used")
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise BadInput(f"{path.name} does not fit this version's network.", "Train it again.") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    network = network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
    return network, {"prior": source, "file": path.name, "sha256": digest, **network.config}
