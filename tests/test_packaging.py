"""What is published: the wheel, built by `python -m build`, runs with its stated dependencies and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kf_core

ROOT = Path(__file__).parents[1]
NOT_SOURCE = (".*", "__pycache__", "build", "dist", "demo", "site", "*.egg-info", "shared")
pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="installed without its repository")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the source distribution and the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*NOT_SOURCE))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "source"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert not done.returncode, done.stdout + done.stderr
    shutil.rmtree(folder / "source")
    return folder / "dist"


@pytest.fixture(scope="module")
def clean(built, tmp_path_factory):
    """The programs of an environment that holds the wheel and copies (links) of what the wheel depends on."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", programs / "python"]
    wheel = next(built.glob("*.whl"))
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([programs / "python", "-c", ask], text=True).strip())
    for part in parts_of("kernelfusion", wheel_requires(wheel)):
        if not (packages / part.name).exists():
            (packages / part.name).symlink_to(part)
    return programs


def wheel_requires(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().split("\n\n")[0].splitlines()
    return [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]


def parts_of(name: str, requires: list[str]) -> set[Path]:
    """Files and folders, at the top of this environment's packages, of all that `name` needs without its extras."""
    from packaging.requirements import Requirement

    found: set[Path] = set()
    waiting, seen = [(name, "", requires)], set()
    while waiting:
        _, extra, lines = waiting.pop()
        for needed in map(Requirement, lines):
            if needed.marker and not needed.marker.evaluate({"extra": extra}):
                continue
            for wanted in ("", *needed.extras):
                if (needed.name, wanted) in seen:
                    continue
                seen.add((needed.name, wanted))
                have = metadata.distribution(needed.name)
                waiting.append((needed.name, wanted, have.requires or []))
                tops = {Path(str(file)).parts[0] for file in have.files or []} - {"..", "__pycache__"}
                found |= {Path(str(have.locate_file(top))) for top in tops}
    return found


@pytest.mark.slow
def test_the_wheel_enlarges_a_photo_far_from_its_source(clean, tmp_path):
    dots = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    Image.fromarray(dots).resize((48, 40), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "KF_CHECKPOINTS": "", "PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""}
    command = [clean / "kf", "upscale", "photo.png", "-o", "large.png", "--scale", "2", "--report", "report.json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=quiet)
    assert not done.returncode, done.stderr
    assert Image.open(tmp_path / "large.png").size == (96, 80)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["versions"]["kernelfusion"] == kf_core.__version__
    assert report["kernel_network"] and report["patch_prior"]  # both are files of the wheel

    ask = "import kf_core, sys; print(kf_core.__file__); import scipy"
    where = subprocess.run([clean / "python", "-c", ask], capture_output=True, text=True, cwd=tmp_path, env=quiet)
    assert Path(where.stdout.strip()).is_relative_to(clean.parent)  # the wheel's own, not the checkout's
    assert "No module named 'scipy'" in where.stderr  # a package of the tests: what is not stated is not there


@pytest.mark.slow
def test_the_wheel_has_the_version_the_weights_their_cards_and_the_gimp_filter(built):
    wheel = next(built.glob("*.whl"))
    assert wheel.name == f"kernelfusion-{kf_core.__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    weights = {path.name for path in (ROOT / "kf_core" / "weights").iterdir()}
    assert {f"kf_core/weights/{name}" for name in weights} <= names
    assert any(name.endswith("share/kernelfusion/gimp_plugin/kernelfusion/kernelfusion.py") for name in names)
    assert not [
        name for name in names if name.startswith(("tests/", "web_demo/", "benchmarks/")) or "__pycache__" in name
    ]


@pytest.mark.slow
def test_the_source_distribution_has_the_changes_and_the_citation(built):
    archive = next(built.glob("*.tar.gz"))
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "kf_core/version.py"} <= names
