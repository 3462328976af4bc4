"""What the name of a prior stands for: the bundled file, one on this computer, or one on the Hugging Face Hub."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from kf_core.checkpoints import hub
from kf_core.checkpoints.file import BUNDLED, PICKLES, checkpoint_in
from kf_core.errors import BadPrior
from kf_core.progress import Monitor

# Name -> (repository, its commit in full, sha256 of pd.safetensors), the best first. Nothing is published yet.
PUBLISHED: dict[str, tuple[str, str, str]] = {}

FORMS = "Use 'bundled', 'auto', the path of a .safetensors file, or OWNER/NAME@REVISION on the Hugging Face Hub."


@dataclass(frozen=True)
class Found:
    """Where a prior lies.

    Attributes:
        sha256: what the file must have, None: nobody said.
        about: what the report says of where it came from.
    """

    path: Path
    sha256: str | None = None
    from_hub: bool = False
    about: dict[str, str] = field(default_factory=dict)


def candidates(source: str) -> list[str]:
    """The sources to try in turn: itself, or for "auto" all published ones and last the bundled one."""
    return [*PUBLISHED, "bundled"] if source == "auto" else [source]


def find(source: str, ask_hub: bool = True, monitor: Monitor | None = None) -> Found:
    """The file that `source` (anything but "auto") stands for; from the Hub if need be and if `ask_hub`.

    What was pulled before is taken without any request, also for a branch; only hub.pull looks whether the branch has
    moved. Raises BadInput, Unavailable.
    """
    if source == "bundled":
        return Found(BUNDLED)
    path = Path(source).expanduser() if source.startswith("~") else Path(source)
    if os.path.exists(path):  # os.path, because pathlib raises for some names that cannot be
        return Found(checkpoint_in(path) if path.is_dir() else path)
    if source not in PUBLISHED and looks_like_a_path(source):
        raise BadPrior(f"There is no prior checkpoint at {path}.", FORMS)
    wanted = on_hub(source)
    here = hub.cached(wanted)
    if not here:
        if not ask_hub:
            raise BadPrior(f"'{source}' is not on this computer.", f"Fetch it with `kf checkpoints pull {source}`.")
        here = hub.pull(wanted, monitor=monitor)
    about = {"repo": wanted.repo, "revision": here.commit}
    if not wanted.pinned:
        about["note"] = f"'{wanted.revision}' is not pinned; it stood for this commit when it was pulled."
    return Found(here.path, wanted.sha256, True, about)


def on_hub(source: str) -> hub.OnHub:
    """The place on the Hub that a published name or OWNER/NAME[@REVISION] means. Raises BadInput."""
    if source in PUBLISHED:
        return hub.OnHub(*PUBLISHED[source])
    repo, _, revision = source.partition("@")
    revision = revision or "main"
    valid = is_repository(repo) and re.fullmatch(r"\w[\w./-]*", revision, re.ASCII) and ".." not in revision
    if not valid or source.endswith("@"):
        known = f" Published are: {', '.join(PUBLISHED)}." if PUBLISHED else ""
        raise BadPrior(f"There is no prior called '{source}'.", FORMS + known)
    return hub.OnHub(repo, revision.lower() if re.fullmatch("[0-9a-fA-F]{40}", revision) else revision)


def is_repository(name: str) -> bool:
    """Whether it has the form OWNER/NAME; the Hub's own rules are stricter."""
    return bool(re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, re.ASCII)) and ".." not in name and "--" not in name


def looks_like_a_path(source: str) -> bool:
    """Whether it cannot be meant as the name of something on the Hub."""
    drive = re.match(r"[A-Za-z]:", source) or "\\" in source
    return bool(drive) or source.startswith((".", "/", "~")) or Path(source).suffix in {".safetensors", *PICKLES}
