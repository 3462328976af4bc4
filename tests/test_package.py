"""The package as a whole: importing it is cheap, and the engine knows nothing of windows and terminals."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kf_core

PACKAGE = Path(kf_core.__file__).parent
ENGINE = sorted(path for path in PACKAGE.rglob("*.py") if "cli" not in path.parts and path.name != "__main__.py")
MODULES = {
    path: ".".join(("kf_core", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in PACKAGE.rglob("*.py")
}
ABOVE = ("pipeline", "cli", "engine", "training", "batch")  # of everything that computes
NEVER = {  # folder: what it may not import
    "physics": ("denoisers", "restore", "kernels", "trust", "checkpoints", "files", *ABOVE),
    "denoisers": ("restore", "kernels", "trust", "checkpoints", "files", *ABOVE),
    "restore": ("kernels", "trust", "checkpoints", "files", *ABOVE),
    "kernels": ("trust", "checkpoints", "files", *ABOVE),
    "trust": ("denoisers", "restore", "checkpoints", "files", *ABOVE),
    "checkpoints": ("restore", "trust", *ABOVE),
    "training": ("restore", "trust", "pipeline", "cli", "engine", "batch"),
    "files": ("physics", "denoisers", "restore", "kernels", "trust", "checkpoints", *ABOVE),
    "engine": ("physics", "denoisers", "restore", "kernels", "trust", "checkpoints", "training", "cli", "batch"),
    "batch": ("denoisers", "restore", "checkpoints", "engine", "training", "cli"),
}


def imports(path):
    """Modules of the package that the file imports, also inside functions but not only for type hints."""
    found, tree = set(), ast.parse(path.read_text(encoding="utf-8"))
    hints = [n for n in ast.walk(tree) if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING"]
    skipped = {id(inside) for block in hints for inside in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name for name in found if name.startswith("kf_core")}


@pytest.mark.parametrize("folder", NEVER)
def test_no_folder_imports_what_stands_above_it(folder):
    for path in (PACKAGE / folder).rglob("*.py"):
        for name in imports(path):
            for above in NEVER[folder]:
                assert not f"{name}.".startswith(f"kf_core.{above}."), f"{path.name} imports {name}"


def test_the_imports_go_in_no_circle():
    names = {name.removesuffix(".__init__"): path for path, name in MODULES.items()}
    arrows = {name: (imports(path) & set(names)) - {name, "kf_core"} for name, path in names.items()}
    while arrows:  # take away what imports nothing that is left
        free = [name for name, to in arrows.items() if not to & set(arrows)]
        assert free, f"in a circle: {sorted(arrows)}"
        for name in free:
            del arrows[name]


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("torch", "typer", "rich", "gradio", "PIL")
    code = f"import sys, kf_core; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_is_described_without_loading_the_engine():
    code = "import sys, kf_core.cli.main; print([name for name in ('torch', 'PIL') if name in sys.modules])"
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
