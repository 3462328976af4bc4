"""Finding GIMP 3 and the folder of its plug-ins on each system."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from kf_process import kf

from kf_core import gimp_find
from kf_core.errors import BadInput
from kf_core.gimp_find import Gimp

SYSTEM = Gimp(("/usr/bin/gimp-console-3.0",), "3.0.4")
FLATPAK = Gimp(("/usr/bin/flatpak", "run", "org.gimp.GIMP"), "3.2.0", "flatpak")


@pytest.mark.parametrize(
    ("system", "environment", "wanted"),
    [
        ("linux", {}, "home/.config/GIMP"),
        ("linux", {"XDG_CONFIG_HOME": "elsewhere"}, "elsewhere/GIMP"),
        ("darwin", {}, "home/Library/Application Support/GIMP"),
        ("win32", {}, "home/AppData/Roaming/GIMP"),
        ("win32", {"APPDATA": "roaming"}, "roaming/GIMP"),
    ],
)
def test_where_gimp_keeps_its_folders(system, environment, wanted):
    assert gimp_find.config_folders(Path("home"), environment, system)[0] == Path(wanted)


def test_every_gimp_3_that_ran_here_is_found(tmp_path):
    flatpak = tmp_path / ".var/app/org.gimp.GIMP/config/GIMP"
    for folder in (tmp_path / ".config/GIMP/2.10", tmp_path / ".config/GIMP/3.0", flatpak / "3.2", flatpak / "3.x"):
        folder.mkdir(parents=True)
    found = gimp_find.plugin_folders(tmp_path, {}, system="linux")
    assert found == [tmp_path / ".config/GIMP/3.0/plug-ins", flatpak / "3.2/plug-ins"]


def test_a_gimp_that_never_ran_gets_its_folder(tmp_path):
    assert gimp_find.plugin_folders(tmp_path, {}, [SYSTEM], "linux") == [tmp_path / ".config/GIMP/3.0/plug-ins"]
    own = tmp_path / ".var/app/org.gimp.GIMP/config/GIMP/3.2/plug-ins"
    assert gimp_find.plugin_folders(tmp_path, {}, [FLATPAK], "linux") == [own]
    (tmp_path / ".config/GIMP/3.2").mkdir(parents=True)  # a Flatpak GIMP then uses this one
    shared = tmp_path / ".config/GIMP/3.2/plug-ins"
    assert gimp_find.plugin_folders(tmp_path, {}, [FLATPAK], "linux") == [shared]


def test_the_folder_of_a_portable_gimp_wins(tmp_path):
    assert gimp_find.plugin_folders(tmp_path, {"GIMP3_DIRECTORY": "D"}, [SYSTEM], "linux") == [Path("D/plug-ins")]
    own = tmp_path / "D"
    (own / "plug-ins").mkdir(parents=True)
    for given in (own, own / "plug-ins"):
        assert gimp_find.given_folder(str(given), tmp_path) == own / "plug-ins"
    assert gimp_find.given_folder("~/D", tmp_path) == gimp_find.given_folder("~/D/plug-ins", tmp_path)
    assert gimp_find.given_folder("~/D", tmp_path) == own / "plug-ins"


def test_a_folder_that_cannot_be_gimps_is_refused(tmp_path):
    (tmp_path / "2.10" / "plug-ins").mkdir(parents=True)
    (tmp_path / "file").touch()
    for given, words in (
        ("", "empty"),
        ("  ", "empty"),
        (str(tmp_path / "2.10"), "needs GIMP 3"),
        (str(tmp_path / "2.10" / "plug-ins"), "needs GIMP 3"),
        (str(tmp_path / "none"), "does not exist"),
        ("~/none", "does not exist"),
        (str(tmp_path / "file"), "is a file"),
    ):
        with pytest.raises(BadInput, match=words) as caught:
            gimp_find.given_folder(given, tmp_path)
        assert caught.value.hint.endswith(".")
        told = kf("install-gimp", "--gimp-dir", given, HOME=str(tmp_path), PATH=str(tmp_path))
        assert told.returncode == 2 and words in told.stderr and "Traceback" not in told.stderr
    assert not (tmp_path / "none").exists()


def test_gimp_2_is_named(tmp_path):
    program = tmp_path / "gimp"
    program.write_text("#!/bin/sh\necho GNU Image Manipulation Program version 2.10.38\n")
    program.chmod(0o755)
    told = kf("install-gimp", HOME=str(tmp_path), PATH=f"{tmp_path}:/bin", XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert told.returncode == 1
    assert "GIMP 2.10.38 was found, and the filter needs GIMP 3." in told.stderr
    program.unlink()
    (tmp_path / "config/GIMP/2.10").mkdir(parents=True)  # its folder alone tells it, too
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "PATH": str(tmp_path)}
    assert "GIMP 2.10 was found" in gimp_find.too_old(tmp_path, environment, "linux")
    assert gimp_find.too_old(tmp_path, {"PATH": str(tmp_path)}, "linux") == ""


def test_gimp_of_windows_is_found_where_its_installer_puts_it(tmp_path):
    console = tmp_path / "GIMP 3/bin/gimp-console-3.0.exe"
    console.parent.mkdir(parents=True)
    console.touch()
    found = gimp_find.gimp_commands(tmp_path, {"ProgramFiles": str(tmp_path)}, "win32")
    assert found == [((str(console),), "system")]


def test_only_gimp_3_counts(tmp_path):
    for name, version in (("gimp-console-3.0", "3.0.4"), ("flatpak", "2.10.38")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho GNU Image Manipulation Program version {version}\n")
        program.chmod(0o755)
    found = gimp_find.find_gimps(tmp_path, {"PATH": f"{tmp_path}:/bin"}, "linux")
    assert [(gimp.version, gimp.series, gimp.kind) for gimp in found] == [("3.0.4", "3.0", "system")]


def test_a_flatpak_cannot_start_a_python_of_the_system(tmp_path):
    assert "cannot see" in gimp_find.unreachable_for(FLATPAK, tmp_path)
    assert gimp_find.unreachable_for(FLATPAK, Path(sys.base_prefix).parent) == ""
    assert gimp_find.unreachable_for(SYSTEM, tmp_path) == ""
