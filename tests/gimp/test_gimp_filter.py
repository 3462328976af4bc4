"""The filter inside a real GIMP 3 without a window. The checks themselves are in inside/: GIMP's Python runs them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

INSIDE = Path(__file__).parent / "inside"
FILES = ("placement", "protection", "kernels", "spots", "failures", "engine")


def checks() -> list[tuple[str, str]]:
    """(file, check) of all there are, read without importing: that takes GIMP."""
    found = []
    for file in FILES:
        tree = ast.parse((INSIDE / f"{file}.py").read_text())
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        found += [(file, name) for name in names if name.startswith("check_")]
    return found


@pytest.fixture(scope="session")
def camera_photo(gimp_home) -> None:
    """A JPEG with what a camera writes into it."""
    photo = Image.effect_noise((48, 40), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Kamera", "Model 7", 1
    photo.save(gimp_home / "camera.jpg", exif=exif, dpi=(200, 200))


@pytest.mark.parametrize(("file", "check"), checks(), ids=lambda value: value.removeprefix("check_"))
def test_in_gimp(outcome, camera_photo, file, check):
    wrong = outcome(file, check)
    assert wrong is None, wrong


def test_exif_of_the_camera_is_in_the_exported_result(outcome, camera_photo, gimp_home):
    assert outcome("placement", "check_a_photo_of_a_camera_keeps_its_exif") is None
    with Image.open(gimp_home / "larger.jpg") as larger:
        exif = larger.getexif()
        assert larger.size == (96, 80)
        assert (exif[0x010F], exif[0x0110]) == ("Kamera", "Model 7")
        assert larger.info["dpi"] == pytest.approx((400, 400), rel=0.01)


def test_install_into_an_empty_home_and_gimp_has_it(gimp_home):
    told = (gimp_home / "install.txt").read_text()
    assert "GIMP 3.0" in told and "has it: Filters > Enhance > KernelFusion" in told
    assert (gimp_home / ".config/GIMP/3.0/plug-ins/kernelfusion/kernelfusion.py").stat().st_mode & 0o111


def test_an_activated_environment_is_no_trouble(testbed, tmp_path):
    """Its python3 has no gi; GIMP would take it for its plug-ins."""
    variables = {"VIRTUAL_ENV": sys.prefix, "PATH": f"{sys.prefix}/bin:/usr/bin:/bin"}
    told = testbed(tmp_path, "kf", "install-gimp", **variables)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "has it: Filters > Enhance" in told.stdout and "Restart a GIMP that is open." in told.stdout


def test_a_read_only_folder_is_named(testbed, tmp_path):
    """The checkout is mounted read-only in the testbed, and its administrator may not write to it either."""
    told = testbed(tmp_path, "kf", "install-gimp", "--gimp-dir", INSIDE, COLUMNS="300")
    assert told.returncode == 2 and "Traceback" not in told.stderr
    assert f"The folder {INSIDE}/plug-ins/kernelfusion may not be written to." in told.stderr


def test_the_testbed_leaves_no_mounts(testbed, gimp_home):
    testbed(gimp_home, "true")
    assert "trixie" not in subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
