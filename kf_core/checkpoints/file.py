"""Checkpoints of the patch diffusion network: one .safetensors file with its architecture inside. Never unpickled.

What is read may come from anybody: its size, its kind, its hash and the shapes it claims are looked at before anything
is made of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import torch

from kf_core.denoisers.patch import PatchDiffusion
from kf_core.errors import BadPrior

BUNDLED = Path(__file__).parents[1] / "weights" / "pd-small.safetensors"
FORMAT = "kernelfusion-pd-1"
WEIGHTS, CONFIG = "pd.safetensors", "config.json"  # of a published folder
MAX_BYTES, MAX_CONFIG_BYTES = 64 << 20, 1 << 20  # the paper's network, the largest so far, has 5 MB
PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}


class WrongHash(BadPrior):
    """A checkpoint is not the file it was announced to be."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint that was read and found to be whole.

    Attributes:
        network: on the CPU.
        training: how it was trained, as its file says; any key may be missing.
        content: the file, byte for byte.
    """

    path: Path
    sha256: str
    network: PatchDiffusion
    training: dict
    content: bytes = field(repr=False)


def save_prior(network: PatchDiffusion, path: Path, training: dict) -> None:
    """Writes the network and how it was trained (a JSON-able dict) to `path`, atomically."""
    from safetensors.torch import save

    from kf_core.files.atomic import write_atomically

    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    about = {"format": FORMAT, "config": network.config, "training": training}
    content = save(weights, {"kernelfusion": json.dumps(about)})  # one key: the bytes do not depend on their order
    write_atomically(path, lambda file: file.write(content))


def read_checkpoint(path: Path, sha256: str | None = None) -> Checkpoint:
    """The checkpoint at `path`. Raises BadInput, WrongHash if its hash is not `sha256`.

    Without `sha256` a config.json beside it is asked.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = _read(path)
    _refuse_pickle(path, content)
    digest = hashlib.sha256(content).hexdigest()
    expected = sha256 or announced_hash(path)
    if expected and digest != expected.lower():
        raise WrongHash(f"{path.name} is damaged or not the checkpoint that was announced.", "Fetch it again.")
    try:
        weights = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, ValueError, RecursionError) as error:
        raise BadPrior(f"{path.name} is not a readable .safetensors file.", "Fetch or train it again.") from error
    try:
        about = json.loads((header.get("__metadata__") or {}).get("kernelfusion", "{}"))
        if about.get("format") != FORMAT:
            raise BadPrior(f"{path.name} is not a KernelFusion prior.", "Make one with `kf train-prior`.")
        network = _build(about["config"], weights)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, RecursionError) as error:
        raise BadPrior(f"{path.name} does not fit this version's network.", "Train it again.") from error
    training = about.get("training")
    return Checkpoint(path, digest, network, training if isinstance(training, dict) else {}, content)


def announced_hash(path: Path) -> str | None:
    """The sha256 that the config.json beside a published checkpoint states. Raises WrongHash if that is unreadable.

    Only beside a file of the published name: elsewhere a config.json belongs to something else.
    """
    config = path.with_name(CONFIG)
    if path.name != WEIGHTS or not config.is_file():
        return None
    try:
        about = json.loads(_read(config, MAX_CONFIG_BYTES))
    except (ValueError, RecursionError) as error:
        raise WrongHash(f"The {CONFIG} beside {path.name} is damaged.", "Fetch both again.") from error
    sha256 = about.get("sha256") if isinstance(about, dict) else None
    return sha256 if isinstance(sha256, str) else None


def checkpoint_in(folder: Path) -> Path:
    """The one checkpoint of a folder: pd.safetensors, or the only .safetensors file there is. Raises BadInput."""
    found = sorted(path for path in folder.glob("*.safetensors") if path.is_file())
    if folder / WEIGHTS in found:
        return folder / WEIGHTS
    if len(found) != 1:
        how_many = f"{len(found)} .safetensors files" if found else "no .safetensors file"
        raise BadPrior(f"The folder '{folder}' holds {how_many}.", "Name the file itself.")
    return found[0]


def _read(path: Path, limit: int = MAX_BYTES) -> bytes:
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):  # reading a pipe or a device may never end
            raise BadPrior(f"'{path}' is not an ordinary file.", "Give the path of a .safetensors file.")
        if about.st_size > limit:
            raise BadPrior(f"{path.name} is larger than {limit >> 20} MiB, too large for a prior.", "Check the file.")
        with open(path, "rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        hint = "Give the path of a .safetensors file, or 'bundled'."
        raise BadPrior(f"There is no prior checkpoint at {path}.", hint) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadPrior(f"{path.name} could not be read: {reason}.", "Check its permissions.") from error


def _refuse_pickle(path: Path, content: bytes) -> None:
    # A .safetensors file has its header's length in the first eight bytes, which may be anything, then a brace.
    looks_like_one = content[8:9] != b"{" and (
        content[:2] == b"PK" or (content[:1] == b"\x80" and content[1:2] <= b"\x05")
    )
    if path.suffix.lower() in PICKLES or looks_like_one:
        raise BadPrior(
            f"{path.name} is a pickle, which can run code when it is opened, so it is not.",
            "Use a prior saved as .safetensors.",
        )


def _build(config: dict, weights: dict[str, torch.Tensor]) -> PatchDiffusion:
    """The network, once the shapes it would have are those of the weights: a lie in `config` costs no memory."""
    if type(config["channels"]) is not int or config["channels"] < 1:
        raise ValueError("a number of channels that cannot be")
    with torch.device("meta"):
        planned = PatchDiffusion(**config).state_dict()
    if {name: value.shape for name, value in planned.items()} != {name: value.shape for name, value in weights.items()}:
        raise ValueError("other shapes than the architecture has")
    network = PatchDiffusion(**config)
    network.load_state_dict(weights, strict=True)
    if network.config["colours"] != 3:
        raise ValueError("only priors of three colours are used")
    if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
        raise ValueError("weights that are not numbers")
    return network
