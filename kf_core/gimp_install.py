"""Putting the plug-in where GIMP looks, and asking GIMP whether it found it and the engine whether it starts.

GIMP says nothing when it does not like a plug-in: the folder must be called as the file in it, and the file must be
executable. So after copying, a GIMP without a window is asked whether the procedure is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import kf_core
from kf_core import Unavailable
from kf_core.engine import PROTOCOL
from kf_core.engine.places import log_dir
from kf_core.errors import NOT_ALLOWED, CannotWrite, reason
from kf_core.files.atomic import write_atomically
from kf_core.gimp_find import Gimp, foreign_python, without_own_environment

NAME = "kernelfusion"
PROCEDURE = "plug-in-kernelfusion"
CONFIG = f"{NAME}.json"
GUIDE = "gimp.md"  # of docs/, which the plug-in shows as its help
ENGINE_COMMAND = ("-I", "-m", "kf_core.engine")  # as the plug-in starts it
SECONDS_TO_GREET = 60
SECONDS_TO_ASK = 180  # the first start of GIMP reads all fonts and plug-ins
QUESTION = (
    "from gi.repository import Gimp; "
    f"print('kernelfusion', 'yes' if Gimp.get_pdb().procedure_exists('{PROCEDURE}') else 'no', flush=True)"
)


@dataclass(frozen=True)
class Answer:
    """What GIMP said: `seen` is None when it said nothing, and `why` then has a sentence."""

    seen: bool | None
    why: str = ""


def plugin_files() -> list[Path]:
    """What came with this installation: the plug-in, the modules that lie beside it, and its guide.

    Raises Unavailable.
    """
    root = Path(kf_core.__file__).parent.parent
    found = sorted((root / "gimp_plugin" / NAME).glob("*.py"))
    if found:
        found.append(root / "docs" / GUIDE)
    else:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            every = importlib.metadata.files("kernelfusion") or []
            found = [Path(each.locate()).resolve() for each in every if each.parent.name == NAME and _belongs(each)]
    names = {path.name for path in found if path.is_file()}
    if not {f"{NAME}.py", GUIDE} <= names:
        raise Unavailable("The GIMP plug-in is missing from this installation.", "Install KernelFusion again.")
    return found


def _belongs(file: importlib.metadata.PackagePath) -> bool:
    return file.parent.parent.name == "gimp_plugin" and (file.suffix == ".py" or file.name == GUIDE)


def install(folder: Path, engine: Path) -> Path:
    """Copies the plug-in into a plug-in folder, with the path of the engine beside it. Returns the plug-in file.

    Raises CannotWrite.
    """
    target = folder / NAME / f"{NAME}.py"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_folder(target.parent, error) from error
    files = plugin_files()
    about = {
        "engine": str(engine),
        "logs": str(log_dir()),
        "version": kf_core.__version__,
        "files": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
    }
    write(target.with_name(CONFIG), (json.dumps(about, indent=2) + "\n").encode(), 0o644)
    for file in files:
        # The plug-in last: GIMP sees it only when all that it needs is there. Executable, or GIMP ignores it.
        if file.name != target.name:
            write(target.with_name(file.name), file.read_bytes(), 0o644)
    write(target, next(file for file in files if file.name == target.name).read_bytes(), 0o755)
    return target


def _no_folder(folder: Path, error: OSError) -> CannotWrite:
    if error.errno in NOT_ALLOWED:
        message = f"The folder {folder} may not be written to."
    else:
        message = f"The folder {folder} cannot be made: {reason(error)}."
    return CannotWrite(message, "Change its permissions, or choose another of GIMP's folders.")


def write(path: Path, content: bytes, mode: int) -> None:
    """All of it or nothing, even if GIMP is reading right now. Raises CannotWrite."""

    def whole(file: BinaryIO) -> None:
        file.write(content)
        os.chmod(file.name, mode)

    write_atomically(path, whole)


def uninstall(folder: Path) -> bool:
    """Removes what `install` made, and nothing else. False: it was not there. Raises CannotWrite."""
    own = folder / NAME
    there = (own / f"{NAME}.py").exists()
    names = {f"{NAME}.py", CONFIG, *_installed(own).get("files", {})}
    try:
        for name in names:
            (own / Path(name).name).unlink(missing_ok=True)
    except OSError as error:
        raise _no_folder(own, error) from error
    shutil.rmtree(own / "__pycache__", ignore_errors=True)
    with contextlib.suppress(OSError):
        own.rmdir()  # stays if the user put something in it
    return there


def _installed(own: Path) -> dict[str, Any]:
    """What `install` wrote into the plug-in's folder, empty where it is missing or damaged."""
    try:
        about = json.loads((own / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def installed_engine(folder: Path) -> Path | None:
    """The Python that the plug-in in that folder starts, None where it is not installed."""
    engine = _installed(folder / NAME).get("engine")
    return Path(engine) if isinstance(engine, str) else None


def faults(folder: Path) -> list[str]:
    """What would keep GIMP from showing or running the plug-in in that folder, in sentences."""
    plugin = folder / NAME / f"{NAME}.py"
    if not plugin.is_file():
        return ["It is not installed there."]
    found = []
    if sys.platform != "win32" and not os.access(plugin, os.X_OK):
        found.append("The plug-in file is not executable, so GIMP ignores it.")
    about = _installed(plugin.parent)
    if not isinstance(about.get("engine"), str) or not isinstance(about.get("files"), dict):
        return [*found, f"{CONFIG} beside the plug-in is missing or damaged, or older than this version."]
    if not Path(about["engine"]).exists():
        found.append("The Python it was installed with is gone.")
    for name, digest in about["files"].items():
        file = plugin.with_name(name)
        if not file.is_file():
            found.append(f"The file {name} beside the plug-in is missing.")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            found.append(f"The file {name} was changed since it was installed.")
    if about.get("version") != kf_core.__version__:
        found.append(f"It is of version {about.get('version')}, and this is {kf_core.__version__}.")
    return found


def greet(engine: Path, home: Path, environment: Mapping[str, str]) -> str:
    """Starts the engine as the plug-in does, and returns "" once it has said hello; else a sentence why not."""
    scrubbed = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
    process = None
    try:
        process = subprocess.Popen(
            [str(engine), *ENGINE_COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=scrubbed,
            cwd=home,
        )
        out, err = process.communicate(b'{"type": "quit"}\n', timeout=SECONDS_TO_GREET)
        hello = json.loads(out.split(b"\n")[0] or b"{}")
    except subprocess.TimeoutExpired:
        assert process is not None
        process.kill()
        process.communicate()
        return f"The engine at {engine} did not answer within {SECONDS_TO_GREET} seconds."
    except (OSError, ValueError) as error:
        return f"The engine at {engine} could not be started: {error}."
    if hello.get("type") == "error":
        return f"{hello.get('message', '')} {hello.get('hint', '')}".strip()
    if hello.get("type") != "hello":
        last = err.decode(errors="replace").strip().split("\n")[-1]
        return f"The engine at {engine} does not start: {last or f'it ended with status {process.returncode}'}."
    if hello.get("protocol") != PROTOCOL:
        return f"The engine at {engine} speaks version {hello.get('protocol')} of its protocol, not {PROTOCOL}."
    return ""


def ask(gimp: Gimp, environment: Mapping[str, str]) -> Answer:
    """Starts GIMP without a window and asks whether it has the procedure."""
    environment = without_own_environment(environment)
    options = ["-n", "-i", "-d", "-f", "--batch-interpreter=python-fu-eval", "-b", QUESTION, "--quit"]
    try:
        told = subprocess.run(
            [*gimp.command, *options],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS_TO_ASK,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Answer(None, f"GIMP did not answer within {SECONDS_TO_ASK} seconds.")
    except OSError as error:
        return Answer(None, f"GIMP could not be started: {reason(error)}.")
    if match := re.search(r"^kernelfusion (yes|no)$", told.stdout, re.MULTILINE):
        return Answer(match[1] == "yes")
    if (python := foreign_python(environment)) is not None:
        return Answer(
            None,
            f"GIMP cannot run any Python plug-in: {python} comes first on PATH and is not the Python made for GIMP.",
        )
    return Answer(None, "GIMP started but could not run Python, so it has no Python plug-ins at all.")


def engine_python() -> Path:
    """The Python that runs this, as an absolute path; not resolved, or it would leave its virtual environment."""
    return Path(os.path.abspath(sys.executable))
