"""Finding GIMP 3, putting the plug-in where it looks, and asking it whether it found it.

GIMP says nothing when it does not like a plug-in: the folder must be called as the file in it, and the file must be
executable. So after copying, a GIMP without a window is asked whether the procedure is there.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import kf_core
from kf_core import Unavailable
from kf_core.engine.places import log_dir
from kf_core.files.atomic import write_atomically

NAME = "kernelfusion"
PROCEDURE = "plug-in-kernelfusion"
CONFIG = f"{NAME}.json"
VERSIONS = ("3.0", "3.2")  # of GIMP's folder; development versions (3.1, 3.3) have one of their own too
FLATPAK = "org.gimp.GIMP"
SECONDS_TO_ASK = 180  # the first start of GIMP reads all fonts and plug-ins
QUESTION = (
    "from gi.repository import Gimp; "
    f"print('kernelfusion', 'yes' if Gimp.get_pdb().procedure_exists('{PROCEDURE}') else 'no', flush=True)"
)


@dataclass(frozen=True)
class Gimp:
    """A GIMP that can be started: its command, its version ("3.0.4") and where it came from ("system", "flatpak")."""

    command: tuple[str, ...]
    version: str
    kind: str = "system"

    @property
    def series(self) -> str:
        """As GIMP names its folder: 3.0 for 3.0.4."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True)
class Answer:
    """What GIMP said: `seen` is None when it said nothing, and `why` then has a sentence."""

    seen: bool | None
    why: str = ""


def config_folders(home: Path, environment: Mapping[str, str], system: str = sys.platform) -> list[Path]:
    """The folders that hold GIMP's numbered ones ("3.0"), the likeliest first; they need not exist."""
    if system == "win32":
        return [Path(environment.get("APPDATA") or home / "AppData" / "Roaming") / "GIMP"]
    if system == "darwin":
        return [home / "Library" / "Application Support" / "GIMP"]
    native = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "GIMP"
    # A Flatpak GIMP uses the native folder if there is one, and else one of its own.
    return [native, home / ".var" / "app" / FLATPAK / "config" / "GIMP"]


def plugin_folders(
    home: Path, environment: Mapping[str, str], gimps: Sequence[Gimp] = (), system: str = sys.platform
) -> list[Path]:
    """The plug-in folders of every GIMP 3 that has ever run here, or that can be started."""
    if environment.get("GIMP3_DIRECTORY"):
        return [Path(environment["GIMP3_DIRECTORY"]) / "plug-ins"]
    parents = config_folders(home, environment, system)
    found = [each for parent in parents for each in sorted(parent.glob("3.*")) if re.fullmatch(r"3\.\d+", each.name)]
    for gimp in gimps:
        own = parents[-1] if gimp.kind == "flatpak" else parents[0]
        # Where Flatpak's own folder is not there but the native one is, GIMP uses that.
        if not any(folder.name == gimp.series and (folder.parent == own or gimp.kind == "flatpak") for folder in found):
            found.append(own / gimp.series)
    return [folder / "plug-ins" for folder in found]


def given_folder(folder: Path) -> Path:
    """The plug-in folder the user means: that one, or the one in GIMP's own folder."""
    return folder if folder.name == "plug-ins" else folder / "plug-ins"


def gimp_commands(
    home: Path, environment: Mapping[str, str], system: str = sys.platform
) -> list[tuple[tuple[str, ...], str]]:
    """(command, kind) of every GIMP that may be here, the version not asked yet."""
    path = environment.get("PATH")
    commands: list[tuple[tuple[str, ...], str]] = []
    if system == "win32":
        roots = [environment.get("ProgramFiles", r"C:\Program Files")]
        roots.append(str(Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local") / "Programs"))
        for root in roots:
            for file in sorted(Path(root).glob("GIMP 3*/bin/gimp-console-3*.exe")):
                commands.append(((str(file),), "system"))
        return commands
    if system == "darwin":
        for folder in (Path("/Applications"), home / "Applications"):
            for file in sorted(folder.glob("GIMP*.app/Contents/MacOS/gimp-console*")):
                commands.append(((str(file),), "system"))
    names = ("gimp-console-3.2", "gimp-console-3.0", "gimp-console-3", "gimp-console", "gimp-3", "gimp")
    if found := next((shutil.which(name, path=path) for name in names if shutil.which(name, path=path)), None):
        commands.append(((found,), "system"))
    if flatpak := shutil.which("flatpak", path=path):
        commands.append(((flatpak, "run", FLATPAK), "flatpak"))
    return commands


def find_gimps(home: Path, environment: Mapping[str, str], system: str = sys.platform) -> list[Gimp]:
    """Every GIMP 3 that answers when asked for its version."""
    gimps = []
    for command, kind in gimp_commands(home, environment, system):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            told = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, env=environment)
            if match := re.search(r"version (3\.\d+(?:\.\d+)?)", told.stdout):
                gimps.append(Gimp(tuple(command), match[1], kind))
    return gimps


def plugin_source() -> Path:
    """The plug-in file that came with this installation. Raises Unavailable."""
    file = Path("gimp_plugin") / NAME / f"{NAME}.py"
    checkout = Path(kf_core.__file__).parent.parent / file
    if checkout.is_file():
        return checkout
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for each in importlib.metadata.files("kernelfusion") or []:
            if each.name == file.name and each.parent.name == NAME and Path(each.locate()).is_file():
                return Path(each.locate()).resolve()
    raise Unavailable("The GIMP plug-in is missing from this installation.", "Install KernelFusion again.")


def install(folder: Path, engine: Path, source: Path | None = None) -> Path:
    """Copies the plug-in into a plug-in folder, with the path of the engine beside it. Returns the plug-in file."""
    source = source or plugin_source()
    target = folder / NAME / f"{NAME}.py"
    target.parent.mkdir(parents=True, exist_ok=True)
    about = {"engine": str(engine), "logs": str(log_dir()), "version": kf_core.__version__}
    write(target.with_name(CONFIG), (json.dumps(about, indent=2) + "\n").encode(), 0o644)
    write(target, source.read_bytes(), 0o755)
    return target


def write(path: Path, content: bytes, mode: int) -> None:
    """All of it or nothing, even if GIMP is reading right now. Raises CannotWrite."""

    def whole(file: BinaryIO) -> None:
        file.write(content)
        os.chmod(file.name, mode)

    write_atomically(path, whole)


def uninstall(folder: Path) -> bool:
    """Removes what `install` made, and nothing else. False: it was not there."""
    own = folder / NAME
    there = (own / f"{NAME}.py").exists()
    for name in (f"{NAME}.py", CONFIG):
        (own / name).unlink(missing_ok=True)
    shutil.rmtree(own / "__pycache__", ignore_errors=True)
    with contextlib.suppress(OSError):
        own.rmdir()  # stays if the user put something in it
    return there


def faults(folder: Path) -> list[str]:
    """What would keep GIMP from showing or running the plug-in in that folder, in sentences."""
    plugin = folder / NAME / f"{NAME}.py"
    if not plugin.is_file():
        return ["It is not installed there."]
    found = []
    if sys.platform != "win32" and not os.access(plugin, os.X_OK):
        found.append("The plug-in file is not executable, so GIMP ignores it.")
    try:
        engine = Path(json.loads(plugin.with_name(CONFIG).read_text())["engine"])
        if not engine.exists():
            found.append("The Python it was installed with is gone.")
    except (OSError, ValueError, KeyError):
        found.append(f"{CONFIG} beside the plug-in is missing or damaged.")
    return found


def ask(gimp: Gimp, environment: Mapping[str, str]) -> Answer:
    """Starts GIMP without a window and asks whether it has the procedure."""
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
        return Answer(None, f"GIMP could not be started: {error.strerror}.")
    if match := re.search(r"^kernelfusion (yes|no)$", told.stdout, re.MULTILINE):
        return Answer(match[1] == "yes")
    if (python := foreign_python(environment)) is not None:
        return Answer(
            None,
            f"GIMP cannot run any Python plug-in: {python} comes first on PATH and is not the Python made for GIMP.",
        )
    return Answer(None, "GIMP started but could not run Python, so it has no Python plug-ins at all.")


def foreign_python(environment: Mapping[str, str]) -> Path | None:
    """The python3 on PATH, if it cannot import gi: GIMP starts its Python plug-ins with it, and none works."""
    python = shutil.which("python3", path=environment.get("PATH"))
    if python is None or sys.platform in ("win32", "darwin"):  # there GIMP brings its own
        return None
    try:
        told = subprocess.run([python, "-c", "import gi"], capture_output=True, timeout=60, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return Path(python)
    return None if told.returncode == 0 else Path(python)


def engine_python() -> Path:
    """The Python that runs this, as an absolute path; not resolved, or it would leave its virtual environment."""
    return Path(os.path.abspath(sys.executable))


def unreachable_for(gimp: Gimp, home: Path) -> str:
    """A sentence if that GIMP cannot start this Python: a Flatpak sees the home folder, but not the system."""
    base = Path(sys.base_prefix).resolve()
    if gimp.kind == "flatpak" and not base.is_relative_to(home.resolve()):
        return f"The Flatpak GIMP cannot see {base}, where this environment's Python lives."
    return ""
