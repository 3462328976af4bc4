"""The documentation site builds without a broken link, its commands exist, and its notebook runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import torch

import kf_core

torch.set_num_threads(1)
ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebooks" / "quickstart.ipynb"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


class Leads(HTMLParser):
    """What a page of HTML links to or loads, and the places on it that can be linked to."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        self.places |= {said[name] for name in ("id", "name") if said.get(name)}
        if tag == "a" and said.get("href"):
            self.links.append(said["href"])
        elif tag in ("img", "script", "source") and said.get("src"):
            self.loaded.append(said["src"])
        elif tag == "link" and said.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(said["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=quiet)
    assert not done.returncode, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere_and_nothing_comes_from_elsewhere(site):
    pages = {path: Leads(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 20
    broken = []
    for page, leads in pages.items():
        broken += [f"{page.name} loads {each}" for each in leads.loaded if "://" in each or each.startswith("//")]
        for link in leads.links + leads.loaded:
            parts = urlsplit(link)
            if parts.scheme:  # an address, or a picture that is in the page itself
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if target.is_dir():
                target /= "index.html"
            lost = parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places
            if not target.exists() or lost:
                broken.append(f"{page.name}: {link}")
    assert not broken


@pytest.mark.slow
def test_the_site_has_the_readme_the_interface_the_cards_and_the_notebook(site):
    start = (site / "index.html").read_text(encoding="utf-8")
    assert "recovers both, the large image and the kernel" in " ".join(start.split())
    interface = Leads((site / "api.html").read_text(encoding="utf-8")).places
    assert {"kf_core.pipeline.super_resolve", "kf_core.settings.Settings", "kf_core.progress.Progress"} <= interface
    public = set(kf_core.__all__) - {"__version__"}
    assert public <= {place.rpartition(".")[2] for place in interface}
    assert "4.37 million" in (site / "repository/kf_core/weights/corrnet.html").read_text(encoding="utf-8")
    shown = (site / "notebooks" / "quickstart.html").read_text(encoding="utf-8")
    assert shown.count("data:image/png;base64") == 3 and (site / "notebooks" / "quickstart.ipynb").exists()


def commands(document: Path) -> list[list[str]]:
    """The words of every `kf ...` in the document's blocks of shell commands."""
    text = "".join(re.findall(r"^ *```sh\n(.*?)^ *```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip().startswith("kf ")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_in_the_documents_exist_with_their_options(document):
    from typer.main import get_command

    from kf_core.cli.main import app

    for _, *words in commands(document):
        command = get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        under = getattr(command, "commands", {})
        command = under.get("recover", command)  # `kf kernel PHOTO` is short for `kf kernel recover PHOTO`
        assert not under or command is not get_command(app) and "recover" in under, f"kf {words} names no command"
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        options = {word.partition("=")[0] for word in words if re.match(r"-{1,2}[a-z]", word)}
        assert options <= known | {"--help"}, f"{command.name} has no {options - known}"


def outputs(notebook: dict) -> list[list[str]]:
    """The kinds of output of each cell of code."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [[output["output_type"] for output in cell["outputs"]] for cell in cells]


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_is_kept_in_it(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    kept, notebook = nbformat.read(NOTEBOOK, as_version=4), nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(kept)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(
        notebook, timeout=300, coalesce_streams=True, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert outputs(notebook) == outputs(kept)
    assert (tmp_path / "hats_x4.png").exists() and (tmp_path / "kernel.npy").exists()


def test_the_gallery_shows_what_its_script_made():
    folder = ROOT / "docs" / "images" / "gallery"
    made = json.loads((folder / "gallery.json").read_text(encoding="utf-8"))
    text = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("gallery.md", "method.md"))
    assert (
        set(re.findall(r"images/gallery/(\w+)\.jpg", text)) == set(made) == {path.stem for path in folder.glob("*.jpg")}
    )
    assert {each["version"] for each in made.values()} == {kf_core.__version__}
