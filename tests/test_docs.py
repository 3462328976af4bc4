"""The documents: their code runs, their links and file names lead somewhere, their table of imports is the one kept."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch
from test_package import NEVER

torch.set_num_threads(1)
ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("[A-Z]*.md"), *(ROOT / "docs").glob("*.md")])
FOLDERS = {*NEVER, "pipeline"}


def code_blocks(document: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def classes(source: str) -> dict[str, str]:
    return {node.name: ast.dump(node) for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("number", [0, 1], ids=["estimator", "denoiser"])
def test_the_examples_of_contributing_run_and_are_those_of_test_stages(number):
    block = code_blocks(ROOT / "CONTRIBUTING.md")[number]
    exec(compile(block, "CONTRIBUTING.md", "exec"), {})
    tested = classes((ROOT / "tests" / "test_stages.py").read_text(encoding="utf-8"))
    shown = classes(block)
    assert shown and shown.items() <= tested.items()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_names_of_files_in_the_documents_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'src="([^"]+)"', text)
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    named = re.findall(r"`((?:kf_core|benchmarks|tests|docs|web_demo)/[\w./-]+)`", text)
    missing += [name for name in named if not (ROOT / name).exists()]
    assert not missing


def test_the_table_of_folders_in_the_design_is_what_the_imports_are_checked_for():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    stated = {folder: set(re.findall(r"`(\w+)`", allowed)) for folder, allowed in rows if folder in NEVER}
    assert stated == {folder: FOLDERS - {folder, *banned} for folder, banned in NEVER.items()}
