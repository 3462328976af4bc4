"""Checkpoint files: .safetensors, with what they hold stated in their header. Never unpickled.

What is read may come from anybody, so its size, its type and its hash are looked at before anything is made of it.
Making a network of it is the work of networks.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kf_core.errors import BadPrior, reason

if TYPE_CHECKING:
    from torch import Tensor, nn

BUNDLED = Path(__file__).parents[1] / "weights" / "pd-small.safetensors"
BUNDLED_FFDNET = BUNDLED.with_name("ffdnet.safetensors")
BUNDLED_KERNEL_NETWORK = BUNDLED.with_name("corrnet.safetensors")
PRIOR = "kernelfusion-pd-1"  # the "format" of a patch diffusion network
FFDNET = "kernelfusion-ffdnet-1"  # of an FFDNet, which makes images and is no prior of patches
KERNEL_NETWORK = "kernelfusion-corrnet-1"  # and of a CorrNet, which finds kernels
WEIGHTS = "pd.safetensors"  # the name of a published one
MAX_BYTES = 64 << 20  # the largest so far has 9 MB
PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}


class WrongHash(BadPrior):
    """A checkpoint is not the file it was announced to be."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A file that was read and found to be whole. Whether its weights fit its architecture is not yet known.

    Attributes:
        sha256: of the file, 64 hexadecimal digits.
        format: which network it holds.
        config: the architecture it claims, anything that JSON can say.
        training: how it was trained, as the file says; any key may be missing.
        weights: by their names, on the CPU.
    """

    path: Path
    sha256: str
    format: str
    config: Any
    training: dict[str, Any]
    weights: dict[str, Tensor] = field(repr=False)


def save_prior(network: nn.Module, path: Path, training: dict, format: str = PRIOR) -> None:
    """Writes a network, its `config` and how it was trained (a JSON-able dict) to `path`, atomically."""
    from safetensors.torch import save

    from kf_core.files.atomic import write_atomically

    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    about = {"format": format, "config": network.config, "training": training}
    content = save(weights, {"kernelfusion": json.dumps(about)})  # one key: the bytes do not depend on their order
    write_atomically(path, lambda file: file.write(content))


def read_checkpoint(path: Path, sha256: str | None = None) -> Checkpoint:
    """The checkpoint at `path`. Raises BadPrior, and WrongHash if its hash is not `sha256`."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = _read(path)
    # A .safetensors file has its header's length in the first eight bytes, which may be anything, then a brace.
    pickled = content[:2] == b"PK" or (content[:1] == b"\x80" and content[1:2] <= b"\x05")
    if path.suffix.lower() in PICKLES or (pickled and content[8:9] != b"{"):
        told = f"{path.name} is a pickle, which can run code when it is opened, so it is not."
        raise BadPrior(told, "Use a prior saved as .safetensors.")
    digest = hashlib.sha256(content).hexdigest()
    if sha256 and digest != sha256.lower():
        raise WrongHash(f"{path.name} is damaged or not the checkpoint that was announced.", "Fetch it again.")
    try:
        weights = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, ValueError, RecursionError) as error:
        raise BadPrior(f"{path.name} is not a readable .safetensors file.", "Fetch or train it again.") from error
    try:
        about = json.loads((header.get("__metadata__") or {}).get("kernelfusion", "{}"))
        training, config, said = about.get("training"), about.get("config"), str(about.get("format"))
    except (ValueError, AttributeError, RecursionError) as error:
        raise BadPrior(f"{path.name} does not fit this version's network.", "Train it again.") from error
    return Checkpoint(path, digest, said, config, training if isinstance(training, dict) else {}, weights)


def _read(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # reading a pipe or a device may never end
            raise BadPrior(f"'{path}' is not an ordinary file.", "Give the path of a .safetensors file.")
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "Give the path of a .safetensors file, or 'bundled'."
        raise BadPrior(f"There is no prior checkpoint at {path}.", hint) from None
    except OSError as error:
        raise BadPrior(f"{path.name} could not be read: {reason(error)}.", "Check its permissions.") from error
    if len(content) > MAX_BYTES:
        raise BadPrior(f"{path.name} is larger than {MAX_BYTES >> 20} MiB, too large for a prior.", "Check the file.")
    return content
