"""The package as a whole: importing it is cheap, and the engine knows nothing of windows and terminals."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kf_core

PACKAGE = Path(kf_core.__file__).parent
TERMINAL_SIDE = {"cli.py", "cli_checkpoints.py", "cli_priors.py", "console.py", "__main__.py"}
ENGINE = sorted(path for path in PACKAGE.rglob("*.py") if path.name not in TERMINAL_SIDE)


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("torch", "typer", "rich", "gradio", "PIL")
    code = f"import sys, kf_core; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_is_described_without_loading_the_engine():
    code = "import sys, kf_core.cli; print([name for name in ('torch', 'PIL') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_engine_neither_prints_nor_imports_an_interface(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{path.name}:{node.lineno} prints"
        for module in modules:
            assert module.split(".")[0] not in {"typer", "rich", "gradio", "click"}, f"{path.name} imports {module}"


def test_the_version_is_one_number_everywhere():
    root = PACKAGE.parent
    citation = root / "CITATION.cff"
    if not citation.exists():
        pytest.skip("installed without its repository")
    assert f"\nversion: {kf_core.__version__}\n" in citation.read_text(encoding="utf-8")


def test_all_names_of_the_interface_can_be_had():
    for name in kf_core.__all__:
        assert getattr(kf_core, name) is not None
    with pytest.raises(AttributeError):
        kf_core.no_such_name  # noqa: B018
