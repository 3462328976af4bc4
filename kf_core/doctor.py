"""What a bug report needs, as lines of text. The home folder and the user's name are left out."""

from __future__ import annotations

import getpass
import importlib.metadata
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import kf_core
from kf_core import gimp_find, gimp_install
from kf_core.engine import PROTOCOL
from kf_core.engine.places import log_dir

PACKAGES = ("torch", "numpy", "pillow", "safetensors", "huggingface-hub", "filelock", "platformdirs")
LOG_LINES = 20


def examine(home: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The report, line by line as it is found out."""
    for line in _examine(home, environment):
        yield without_names(line, home)


def _examine(home: Path, environment: Mapping[str, str]) -> Iterator[str]:
    yield f"KernelFusion {kf_core.__version__}, engine protocol {PROTOCOL}"
    yield f"Python {platform.python_version()} at {sys.executable} (made from {sys.base_prefix})"
    yield f"System {platform.system()} {platform.release()} {platform.machine()}"
    for package in PACKAGES:
        yield f"  {package} {_version(package)}"
    yield from devices()

    told = gimp_install.greet(gimp_install.engine_python(), home, environment)
    yield f"Engine: {told or 'answers'}"
    environment = gimp_find.without_own_environment(environment)
    gimps = gimp_find.find_gimps(home, environment)
    if not gimps:
        yield f"GIMP 3: none found. {gimp_find.too_old(home, environment)}".rstrip()
    for gimp in gimps:
        yield f"GIMP {gimp.version} ({gimp.kind}): {' '.join(gimp.command)}"
        answer = gimp_install.ask(gimp, environment)
        yield f"  filter: {'seen' if answer.seen else answer.why or 'not seen'}"
        if unreachable := gimp_find.unreachable_for(gimp, home):
            yield f"  {unreachable}"
    for folder in gimp_find.plugin_folders(home, environment, gimps):
        yield f"  {folder}: {' '.join(gimp_install.faults(folder)) or 'installed'}"
        engine = gimp_install.installed_engine(folder)
        if engine is not None and engine != gimp_install.engine_python():
            yield f"    its engine {engine}: {gimp_install.greet(engine, home, environment) or 'answers'}"
    if python := gimp_find.foreign_python(environment):
        yield f"  {python} is first on PATH and has no gi: started with this PATH, GIMP has no Python plug-ins"
    else:
        yield f"  python3 on PATH: {shutil.which('python3', path=environment.get('PATH')) or 'none'}"
    yield from logs(log_dir())


def devices() -> Iterator[str]:
    """What torch can compute on."""
    try:
        import torch
    except Exception as error:  # a broken torch is what this is for
        yield f"Devices: torch does not load: {error}"
        return
    yield f"Devices: cpu ({torch.get_num_threads()} threads)"
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        yield f"  cuda {index}: {name}, {free >> 20} of {total >> 20} MiB free, CUDA {torch.version.cuda}"
    if torch.backends.mps.is_available():
        yield "  mps"


def logs(folder: Path) -> Iterator[str]:
    """The end of every log."""
    found = sorted(folder.glob("*.log"))
    if not found:
        yield f"Logs: none in {folder}"
    for path in found:
        yield f"Log {path}, its end:"
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]:
            yield f"  {line}"


def without_names(line: str, home: Path) -> str:
    """The line with ~ for the home folder and USER for the user's name."""
    line = line.replace(str(home), "~") if str(home) not in ("/", "") else line
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        return line
    return re.sub(rf"(?<![\w-]){re.escape(user)}(?![\w-])", "USER", line) if len(user) > 1 else line


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "is not installed"
