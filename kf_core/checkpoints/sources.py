"""Where the project's checkpoints are published, and how the names of others are read."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kf_core.checkpoints.file import PICKLES
from kf_core.checkpoints.hub import OnHub
from kf_core.errors import BadPrior

# OWNER/NAME@COMMIT of the project's own checkpoints on the Hub, which "auto" looks for. Nothing is published yet.
PUBLISHED_REPOSITORY = ""
VARIABLE = "KF_CHECKPOINTS"  # in the environment: another repository instead, or empty for none

# As the Hub has it: no two dots or hyphens in a row, none at an end, a name of at most 96 characters.
_REPOSITORY = r"(?![^@]*--)(\w(?:[\w.-]*\w)?/(?![^@]{97})\w(?:[\w.-]*\w)?)"
_NAME = re.compile(rf"(?!.*\.\.){_REPOSITORY}(?:@(\w[\w./-]*))?", re.ASCII)


def published() -> str:
    """The repository of the project's checkpoints, OWNER/NAME@COMMIT; empty while there is none."""
    return os.environ.get(VARIABLE, PUBLISHED_REPOSITORY).strip()


def on_hub(source: str) -> OnHub:
    """The place on the Hub that OWNER/NAME[@REVISION] means. Raises BadPrior, also for what looks like a path."""
    named = _NAME.fullmatch(source)
    if not named or Path(source).suffix in {".safetensors", *PICKLES}:
        hint = "Use 'bundled', 'ffdnet', 'auto', a .safetensors file, or OWNER/NAME@REVISION on the Hugging Face Hub."
        raise BadPrior(f"There is no prior checkpoint at '{source}', nor any of that name.", hint)
    repo, revision = named[1], named[2] or "main"
    return OnHub(repo, revision.lower() if re.fullmatch("[0-9a-fA-F]{40}", revision) else revision)
