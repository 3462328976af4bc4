"""A checkpoint as a repository on the Hugging Face Hub: the folder, and its upload in one commit."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from kf_core.checkpoints import CONFIG, FORMAT, WEIGHTS, read_checkpoint
from kf_core.errors import BadInput, KernelFusionError, Unavailable
from kf_core.hub import client, within
from kf_core.model_card import LIBRARY, model_card, uncredited
from kf_core.sources import is_repository

CARD = "README.md"
BULKY = ("credits", "curve")  # in the card and in the checkpoint itself, but not in config.json
SECONDS_TO_CREATE = 30  # for the first answer; what follows is huggingface_hub's own


@dataclass(frozen=True)
class Prepared:
    """A folder ready for the Hub.

    Attributes:
        files: (name, bytes, sha256) of each.
        warnings: what its author should mend first, in sentences.
    """

    folder: Path
    files: list[tuple[str, int, str]]
    warnings: list[str]


def prepare(checkpoint: Path, folder: Path, repo: str, licence: str) -> Prepared:
    """Writes pd.safetensors (the very bytes), config.json and the model card into `folder` and checks that it loads.

    Raises BadInput if `checkpoint` is no prior, or `repo` or `licence` cannot be names of such.
    """
    if not is_repository(repo):
        raise BadInput(f"'{repo}' is not the name of a repository.", "It has the form OWNER/NAME.")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", licence):
        raise BadInput(f"'{licence}' is not the identifier of a licence.", "Use one of the Hub's, as apache-2.0.")
    read = read_checkpoint(checkpoint)
    about = {
        "format": FORMAT,
        "library_name": LIBRARY,
        "weights": WEIGHTS,
        "sha256": read.sha256,
        "architecture": read.network.config,
        "training": {key: value for key, value in read.training.items() if key not in BULKY},
    }
    card = model_card(WEIGHTS, repo, licence, read.sha256, read.network.config, read.training)
    contents = {WEIGHTS: read.content, CONFIG: (json.dumps(about, indent=2) + "\n").encode(), CARD: card.encode()}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    read_checkpoint(folder / WEIGHTS)
    files = [(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()]
    return Prepared(folder, files, _missing(read.training))


def push(prepared: Prepared, repo: str, private: bool = False) -> str:
    """Uploads the folder as one commit to `repo`, which is made if need be, and returns the commit in full.

    Raises BadInput, Unavailable.
    """
    with client() as hub:
        if not hub.get_token():
            hint = "Log in with `hf auth login`, or put a token that may write into HF_TOKEN."
            raise BadInput("Without a token the Hub lets nobody write.", hint)
        try:
            api = hub.HfApi()
            within(SECONDS_TO_CREATE, lambda: api.create_repo(repo, private=private or None, exist_ok=True))
            message = f"KernelFusion prior {prepared.files[0][2][:12]}"
            commit = api.upload_folder(repo_id=repo, folder_path=prepared.folder, commit_message=message)
        except Exception as error:
            raise _refused(error, repo, hub.constants.ENDPOINT) from error
    return commit.oid


def _missing(training: dict) -> list[str]:
    missing = uncredited(training)
    if not training.get("credits"):
        return ["The checkpoint names no authors and licences of its photographs; add them to the card."]
    if missing:
        return [f"{len(missing)} of the photographs have no licence in the card, as {missing[0]}; add them."]
    return []


def _refused(error: Exception, repo: str, endpoint: str) -> KernelFusionError:
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403, 404):
        hint = "Check its owner, and that the token in HF_TOKEN or of `hf auth login` may write there."
        return BadInput(f"The Hub does not let you write to '{repo}'.", hint)
    if status:
        return Unavailable(f"The Hub answered with the error {status} when writing to '{repo}'.", "Try again later.")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return BadInput("HF_HUB_OFFLINE forbids to write to the Hub.", "Unset it.")
    if isinstance(error, ValueError):  # of its check of the card, or of the repository's name
        return BadInput(f"The Hub does not accept it: {' '.join(str(error).split()).rstrip('.')}.", "Change it.")
    message = f"'{repo}' could not be written: {endpoint} cannot be reached, or the connection broke off."
    return Unavailable(message, "Check the network and try again.")
