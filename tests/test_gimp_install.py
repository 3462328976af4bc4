"""Installing and removing the filter for GIMP, and what `kf doctor` says."""

from __future__ import annotations

import json
import os
import runpy
import stat
import sys
from pathlib import Path

import pytest
from kf_process import kf

from kf_core import doctor, gimp_find, gimp_install
from kf_core.engine import places
from kf_core.errors import BadInput, CannotWrite
from kf_core.gimp_find import Gimp
from kf_core.physics.kernel import check_kernel_size


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
    from kf_core.settings import MOST_REGIONS, PRESETS, SCALES, SMALLEST

    source = "".join(file.read_text() for file in gimp_install.plugin_files() if file.suffix == ".py")
    assert f"\nPROTOCOL = {PROTOCOL}\n" in source
    for name in (*PRESETS, gimp_install.PROCEDURE):
        assert f'"{name}"' in source
    limits = runpy.run_path(str(gimp_install.plugin_files()[0].with_name("limits.py")))
    assert limits["SCALES"] == SCALES and limits["SMALLEST"] == SMALLEST
    assert limits["MOST_REGIONS"] == MOST_REGIONS and min(limits["TIMES"]) == 0
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
