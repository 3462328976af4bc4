"""Finding GIMP's folders on each system, installing and removing the filter, and what `kf doctor` says."""

from __future__ import annotations

import json
import os
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kf_core import doctor, gimp_find, gimp_install
from kf_core.engine import places
from kf_core.errors import BadInput, CannotWrite
from kf_core.gimp_find import Gimp
from kf_core.physics.kernel import check_kernel_size

SYSTEM = Gimp(("/usr/bin/gimp-console-3.0",), "3.0.4")
FLATPAK = Gimp(("/usr/bin/flatpak", "run", "org.gimp.GIMP"), "3.2.0", "flatpak")


def kf(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kf_core", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


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


def test_an_activated_environment_is_left_out_when_gimp_is_asked(tmp_path):
    """Its python3 has no gi; a GIMP that is started from the desktop never sees it."""
    environment = tmp_path / "venv"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin/python3"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    gimp = tmp_path / "gimp"
    gimp.write_text("#!/bin/sh\npython3 && echo kernelfusion yes\n")  # works with the system's Python alone
    gimp.chmod(0o755)
    system = tmp_path / "system"
    system.mkdir()
    (system / "python3").write_text("#!/bin/sh\nexit 0\n")
    (system / "python3").chmod(0o755)
    variables = {"VIRTUAL_ENV": str(environment), "PATH": os.pathsep.join([f"{environment}/bin/", str(system), "/bin"])}
    assert gimp_install.ask(Gimp((str(gimp),), "3.0.4"), variables).seen is True
    own = gimp_find.without_own_environment({"PATH": f"{sys.prefix}/bin{os.pathsep}/bin", "HOME": "/h"})
    assert own == {"PATH": "/bin", "HOME": "/h"}


def test_the_engine_is_greeted(tmp_path):
    for name in ("random.py", "numpy/__init__.py"):  # it starts in the home folder, and runs nothing that lies there
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close(); raise SystemExit(9)")
    assert gimp_install.greet(Path(sys.executable), tmp_path, dict(os.environ)) == ""
    assert not (tmp_path / "ran").exists()
    assert "could not be started" in gimp_install.greet(tmp_path / "gone", tmp_path, dict(os.environ))
    for body, words in (
        ("exit 3", "status 3"),
        ("echo Ouch >&2; exit 3", "Ouch"),
        ('echo \'{"type": "hello", "protocol": 99}\'', "99"),
        ('echo \'{"type": "error", "message": "No room.", "hint": "Make some."}\'', "No room. Make some."),
    ):
        engine = tmp_path / "engine"
        engine.write_text(f"#!/bin/sh\n{body}\n")
        engine.chmod(0o755)
        assert words in gimp_install.greet(engine, tmp_path, dict(os.environ))


def test_plugin_and_installer_start_the_engine_alike():
    source = next(file for file in gimp_install.plugin_files() if file.name == "engine.py").read_text()
    assert f"\nCOMMAND = {gimp_install.ENGINE_COMMAND!r}\n".replace("'", '"') in source


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "plug-ins").touch()
    with pytest.raises(CannotWrite, match=str(tmp_path / "plug-ins")):
        gimp_install.install(tmp_path / "plug-ins", Path(sys.executable))
    (tmp_path / "GIMP" / "plug-ins").mkdir(parents=True)
    (tmp_path / "GIMP/plug-ins/kernelfusion").touch()
    told = kf("install-gimp", "--gimp-dir", tmp_path / "GIMP", HOME=str(tmp_path), PATH=str(tmp_path))
    assert told.returncode == 2 and "Traceback" not in told.stderr
    assert str(tmp_path / "GIMP/plug-ins/kernelfusion") in told.stderr.replace("\n", "")


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


def test_install_and_uninstall(tmp_path):
    folder = tmp_path / "plug-ins"
    target = gimp_install.install(folder, Path(sys.executable))
    assert target == folder / "kernelfusion" / "kernelfusion.py"
    assert target.stat().st_mode & (stat.S_IXUSR | stat.S_IROTH | stat.S_IXOTH) and target.read_text().startswith("#!")
    about = json.loads((folder / "kernelfusion/kernelfusion.json").read_text())
    assert about["engine"] == sys.executable and Path(about["logs"]).is_absolute()
    assert gimp_install.faults(folder) == []
    names = {path.name for path in target.parent.iterdir()}
    own = Path(__file__).parents[1] / "gimp_plugin" / "kernelfusion"
    assert names == {path.name for path in own.glob("*.py")} | {"kernelfusion.json", "gimp.md"}
    assert [path.name for path in target.parent.iterdir() if path.suffix == ".py" and os.access(path, os.X_OK)] == [
        "kernelfusion.py"
    ]

    (folder / "other").mkdir()
    assert gimp_install.uninstall(folder) is True
    assert [path.name for path in folder.iterdir()] == ["other"]
    assert gimp_install.uninstall(folder) is False


def test_what_keeps_gimp_from_using_it_is_said(tmp_path):
    assert gimp_install.faults(tmp_path) == ["It is not installed there."]
    target = gimp_install.install(tmp_path, tmp_path / "gone" / "python")
    target.chmod(0o644)
    told = " ".join(gimp_install.faults(tmp_path))
    assert "not executable" in told and "Python it was installed with is gone" in told
    target.with_name("dialog.py").unlink()
    target.with_name("engine.py").write_text("# older")
    told = " ".join(gimp_install.faults(tmp_path))
    assert "dialog.py beside the plug-in is missing" in told and "engine.py was changed" in told
    target.with_name("kernelfusion.json").write_text("{")
    assert "damaged" in " ".join(gimp_install.faults(tmp_path))


def test_a_flatpak_cannot_start_a_python_of_the_system(tmp_path):
    assert "cannot see" in gimp_find.unreachable_for(FLATPAK, tmp_path)
    assert gimp_find.unreachable_for(FLATPAK, Path(sys.base_prefix).parent) == ""
    assert gimp_find.unreachable_for(SYSTEM, tmp_path) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="GIMP brings its own Python there")
def test_a_python_that_breaks_gimp_is_found(tmp_path):
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    assert gimp_find.foreign_python({"PATH": str(tmp_path)}) == python
    gimp = tmp_path / "gimp"
    gimp.write_text("#!/bin/sh\n")
    gimp.chmod(0o755)
    answer = gimp_install.ask(Gimp((str(gimp),), "3.0.4"), {"PATH": str(tmp_path)})
    assert answer.seen is None and str(python) in answer.why


@pytest.mark.parametrize(("word", "seen"), [("yes", True), ("no", False)])
def test_gimps_answer(tmp_path, word, seen):
    gimp = tmp_path / "gimp"
    gimp.write_text(f"#!/bin/sh\necho GIMP-Warning: noise\necho kernelfusion {word}\n")
    gimp.chmod(0o755)
    assert gimp_install.ask(Gimp((str(gimp),), "3.0.4"), {"PATH": "/bin"}).seen is seen


def test_install_where_there_is_no_gimp(tmp_path):
    told = kf("install-gimp", HOME=str(tmp_path), PATH=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path))
    assert told.returncode == 1
    assert "No GIMP 3 was found." in told.stderr and "hint:" in told.stderr
    assert list(tmp_path.iterdir()) == []


def test_install_into_a_given_folder_and_remove(tmp_path):
    environment = {"HOME": str(tmp_path), "PATH": str(tmp_path)}
    (tmp_path / "GIMP").mkdir()
    told = kf("install-gimp", "--gimp-dir", "~/GIMP", **environment)
    assert told.returncode == 0, told.stderr
    assert "Restart a GIMP that is open." in told.stdout
    assert (tmp_path / "GIMP/plug-ins/kernelfusion/kernelfusion.py").is_file()
    told = kf("install-gimp", "--uninstall", "--gimp-dir", tmp_path / "GIMP", **environment)
    assert told.returncode == 0 and "Removed" in told.stdout
    assert not (tmp_path / "GIMP/plug-ins/kernelfusion").exists()


def test_doctor_says_what_a_report_needs_and_nothing_private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(doctor.getpass, "getuser", lambda: "margarete")
    places.log_dir().mkdir(parents=True)
    (places.log_dir() / "gimp.log").write_text(f"one\ncannot read {tmp_path}/x of margarete\n")
    gimp_install.install(tmp_path / ".config/GIMP/3.0/plug-ins", Path(sys.executable))
    text = "\n".join(doctor.examine(tmp_path, {"PATH": str(tmp_path)}))
    for word in (
        "KernelFusion 0",
        "engine protocol 1",
        "Python 3",
        "torch 2",
        "Devices: cpu",
        "GIMP 3: none",
        "Engine: answers",
        "installed",
    ):
        assert word in text
    assert "cannot read ~/x of USER" in text
    assert str(tmp_path) not in text and "margarete" not in text


def test_plugin_and_engine_speak_the_same_protocol():
    from kf_core.engine import PROTOCOL
    from kf_core.physics.kernel import default_kernel_size, largest_kernel_size
    from kf_core.settings import PRESETS, SCALES, SMALLEST

    source = "".join(file.read_text() for file in gimp_install.plugin_files() if file.suffix == ".py")
    assert f"\nPROTOCOL = {PROTOCOL}\n" in source
    for name in (*PRESETS, gimp_install.PROCEDURE):
        assert f'"{name}"' in source
    limits = runpy.run_path(str(gimp_install.plugin_files()[0].with_name("limits.py")))
    assert limits["SCALES"] == SCALES and limits["SMALLEST"] == SMALLEST
    for scale in SCALES:
        assert limits["usual_kernel"](scale) == default_kernel_size(scale)
        assert limits["largest_kernel"](scale) == largest_kernel_size(scale)
        for size in range(80):
            assert limits["kernel_fits"](size, scale) == fits(size, scale), (size, scale)
            near = limits["nearest_kernel"](size, scale)
            assert near == 0 or fits(near, scale), (size, scale)
        assert limits["nearest_kernel"](scale - 1, scale, before=scale) == 0


def fits(size: int, scale: int) -> bool:
    try:
        return check_kernel_size(size, scale) == size
    except BadInput:
        return False
