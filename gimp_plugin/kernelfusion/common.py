"""What every part of the plug-in needs: failures that carry a sentence, and a check of what GIMP answers."""

import json
import os
import time
from pathlib import Path

from gi.repository import Gimp, GLib

PROCEDURE = "plug-in-kernelfusion"
FOLDER = Path(__file__).resolve().parent
LARGEST_LOG = 1 << 20


class Failure(Exception):
    """Ends the run; its text is the sentence the user reads."""

    status = Gimp.PDBStatusType.EXECUTION_ERROR


class BadCall(Failure):
    """As Failure, where what was asked for is at fault."""

    status = Gimp.PDBStatusType.CALLING_ERROR


class Refused(Failure):
    """GIMP did not do what it was asked for; the result can still go somewhere else."""


def must(done, what):
    """`done`, what a function of GIMP returned. Raises Refused where that is False or None."""
    if not done:
        raise Refused(f"GIMP refused to {what}: {Gimp.get_pdb().get_last_error()}.")
    return done


def installed():
    """What the installer wrote: {"engine": path of a Python, "logs": folder}. Empty if it never ran."""
    try:
        return json.loads((FOLDER / "kernelfusion.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def log_path():
    """The log of this plug-in and of the engines that it starts; the null device where none can be written."""
    folder = Path(installed().get("logs") or Path(GLib.get_user_cache_dir()) / "kernelfusion" / "logs")
    path = folder / "gimp.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LARGEST_LOG:
            path.replace(folder / "gimp.log.1")
        with open(path, "a", encoding="utf-8") as log:
            log.write(time.strftime("\n%Y-%m-%d %H:%M:%S GIMP plug-in\n"))
    except OSError:
        return Path(os.devnull)
    return path


def as_parasite(name, content):
    """A note for an image, a layer or GIMP itself."""
    return Gimp.Parasite.new(name, 1, list(json.dumps(content).encode()))  # 1: kept with the image


def read_parasite(parasite):
    """Its content, None where there is no such note or it is damaged."""
    try:
        return json.loads(bytes(parasite.get_data()).decode())
    except (AttributeError, ValueError, TypeError):
        return None
