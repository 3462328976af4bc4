"""Finding GIMP 3: its folders and its programs, on each system."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kf_core.errors import BadInput

FLATPAK = "org.gimp.GIMP"
BINARIES = ("bin", "Scripts")  # of a virtual environment


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

    @property
    def fits(self) -> bool:
        """Whether it can run the filter."""
        return self.version.startswith("3.")


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


def given_folder(text: str, home: Path) -> Path:
    """The plug-in folder the user means: that one, or the one in GIMP's own folder. Raises BadInput."""
    hint = "GIMP shows its folder under Edit > Preferences > Folders; it ends in a version, such as 3.0."
    if not text.strip():
        raise BadInput("The name of GIMP's folder is empty.", hint)
    folder = home / text[2:] if text.startswith(("~/", "~\\")) else home if text == "~" else Path(text)
    own = folder.absolute().parent if folder.name == "plug-ins" else folder.absolute()
    if re.fullmatch(r"[012]\.\d+", own.name):
        raise BadInput(f"{own} is the folder of GIMP {own.name}, and the filter needs GIMP 3.", "Install GIMP 3.")
    if not own.is_dir():
        what = "is a file" if own.exists() else "does not exist"
        raise BadInput(f"The folder {own} {what}.", hint)
    return own / "plug-ins"


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
    names = ("gimp-console-3.2", "gimp-console-3.0", "gimp-console-3", "gimp-console", "gimp-3", "gimp", "gimp-2.10")
    if found := next((shutil.which(name, path=path) for name in names if shutil.which(name, path=path)), None):
        commands.append(((found,), "system"))
    if flatpak := shutil.which("flatpak", path=path):
        commands.append(((flatpak, "run", FLATPAK), "flatpak"))
    return commands


def find_gimps(home: Path, environment: Mapping[str, str], system: str = sys.platform) -> list[Gimp]:
    """Every GIMP 3 that answers when asked for its version."""
    return [gimp for gimp in every_gimp(home, environment, system) if gimp.fits]


def every_gimp(home: Path, environment: Mapping[str, str], system: str = sys.platform) -> list[Gimp]:
    """The same with those that are too old."""
    gimps = []
    for command, kind in gimp_commands(home, environment, system):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            told = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, env=environment)
            if match := re.search(r"version (\d+\.\d+(?:\.\d+)?)", told.stdout):
                gimps.append(Gimp(tuple(command), match[1], kind))
    return gimps


def too_old(home: Path, environment: Mapping[str, str], system: str = sys.platform) -> str:
    """A sentence if there is a GIMP that cannot run the filter, or the folder of one; else nothing."""
    versions = [gimp.version for gimp in every_gimp(home, environment, system) if not gimp.fits]
    for parent in config_folders(home, environment, system):
        versions += [each.name for each in sorted(parent.glob("2.*")) if re.fullmatch(r"2\.\d+", each.name)]
    return f"GIMP {versions[0]} was found, and the filter needs GIMP 3." if versions else ""


def without_own_environment(environment: Mapping[str, str], prefix: str = sys.prefix) -> dict[str, str]:
    """The variables without the virtual environment that this Python belongs to.

    It comes first on PATH where it is activated, and GIMP would take its Python for the one to run plug-ins with. GIMP
    is mostly started from the desktop, where it is not activated.
    """
    own = {os.path.join(each, bin) for each in (prefix, environment.get("VIRTUAL_ENV")) if each for bin in BINARIES}
    path = [each for each in environment.get("PATH", "").split(os.pathsep) if os.path.normpath(each) not in own]
    rest = {name: value for name, value in environment.items() if name not in ("VIRTUAL_ENV", "PATH")}
    return {**rest, "PATH": os.pathsep.join(path)}


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


def unreachable_for(gimp: Gimp, home: Path) -> str:
    """A sentence if that GIMP cannot start this Python: a Flatpak sees the home folder, but not the system."""
    base = Path(sys.base_prefix).resolve()
    if gimp.kind == "flatpak" and not base.is_relative_to(home.resolve()):
        return f"The Flatpak GIMP cannot see {base}, where this environment's Python lives."
    return ""
