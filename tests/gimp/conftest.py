"""A real GIMP 3 for the tests in this folder: made by testbed.sh, entered with chroot, driven from inside."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from kf_core.examples import example

HERE = Path(__file__).parent
TESTBED = HERE / "testbed.sh"
INSIDE = HERE / "inside"
SECONDS = 150  # that one run at the tiny setting may take on a busy machine


def inside(home: Path, *command: object, timeout: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in the testbed, with `home` as its home folder. What it leaves running is ended."""
    words = [str(Path(sys.executable).parent / "kf") if word == "kf" else str(word) for word in command]
    variables = [f"{name}={value}" for name, value in environment.items()]
    process = subprocess.Popen(
        [TESTBED, "run", home, "env", *variables, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        env={**os.environ, "KF_GIMP_PYTHON": sys.executable},
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"{command} took longer than {timeout} s.\n{out[-3000:]}\n{err[-3000:]}")
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.fixture(scope="session")
def testbed() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs commands in the testbed. Where there can be none the test is skipped, or fails in CI."""
    why = subprocess.run([TESTBED, "why"], capture_output=True, text=True).stdout.strip()
    made = not why and subprocess.run([TESTBED, "setup"], capture_output=True, text=True)
    if made and made.returncode:
        why = f"the GIMP testbed could not be made: {made.stderr.strip()[-500:]}"
    if not why and sys.base_prefix in ("/", "/usr", "/usr/local"):
        why = "this Python is the system's own, and the testbed is another system; use one of pyenv or the like"
    if why:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no GIMP 3 to test in: {why}")
    return inside


@pytest.fixture(scope="session")
def gimp_home(testbed, tmp_path_factory) -> Path:
    """A home folder with the filter in it, put there by `kf install-gimp`."""
    home = tmp_path_factory.mktemp("gimp")
    told = testbed(home, "kf", "install-gimp")
    assert told.returncode == 0, told.stdout + told.stderr
    (home / "install.txt").write_text(told.stdout)
    return home


@pytest.fixture(scope="session")
def outcome(testbed, gimp_home) -> Callable[[str, str], str | None]:
    """outcome(file, check): what went wrong in that check inside GIMP. Each file is run once, in one GIMP."""
    done: dict[str, dict[str, str | None]] = {}

    def look_up(file: str, check: str) -> str | None:
        if file not in done:
            code = f"exec(open('{INSIDE}/run.py').read())"
            command = [
                "gimp-console",
                "-n",
                "-i",
                "-d",
                "--batch-interpreter=python-fu-eval",
                "-b",
                code,
                "--quit",
            ]
            told = testbed(gimp_home, *command, KF_INSIDE=str(INSIDE), KF_CHECKS=file)
            results = gimp_home / f"{file}.json"
            done[file] = json.loads(results.read_text()) if results.exists() else {}
            done[file]["output"] = told.stdout[-3000:] + told.stderr[-3000:]
        return done[file].get(check, f"It did not run.\n{done[file]['output']}")

    return look_up


@pytest.fixture(scope="session")
def inside_folder() -> Path:
    return INSIDE


def tiny(inside) -> str:
    """The setting of the checks inside GIMP, which cannot be imported outside."""
    tree = ast.parse((inside / "kit.py").read_text())
    return next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "TINY"
    )


@pytest.fixture(scope="module")
def driven(testbed, inside_folder, tmp_path_factory):
    """driven(script, box): what that script saw on a part of a photo, and the folder with its pictures."""

    def drive(script, box):
        for _ in range(2):  # keys sent from outside are now and then lost on a busy machine: one failure is none
            home = tmp_path_factory.mktemp("window")  # of its own: no settings are remembered yet
            assert testbed(home, "kf", "install-gimp").returncode == 0
            with Image.open(example("windmill")) as photo:
                photo.crop(box).save(home / "mill.png")
            settings = f"{tiny(inside_folder)} doubt=True"
            command = ("python3", inside_folder / script, home / "mill.png", SECONDS, settings)
            told = testbed(home, *command, timeout=500)
            if told.returncode == 0:
                break
        assert told.returncode == 0, told.stderr[-2000:]
        return home, json.loads((home / "window.json").read_text())

    return drive
