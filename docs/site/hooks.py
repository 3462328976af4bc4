"""What MkDocs needs to show the documents as they lie in the repository, without copies that would grow old.

README.md is the start page. Whatever else a document links to outside docs/ (other documents, pictures, source files)
becomes part of the site, under repository/, and the link leads there. Links to folders become plain text, since a site
has none. Notebooks become pages.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^(```+|~~~+)[^\n]*\n.*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
FENCED = {".py": "python", ".toml": "toml", ".json": "json", ".cff": "yaml", "": "text"}
CARDS = ("kf_core/weights/ffdnet.md", "kf_core/weights/corrnet.md")
ALWAYS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *CARDS)  # in the navigation of mkdocs.yml
PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".webp")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds to the site what its documents link to outside docs/, and a page for every notebook."""
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        page = notebook.src_uri.removesuffix(".ipynb") + ".md"
        text = notebook_page(json.loads(Path(notebook.abs_src_path or "").read_text(encoding="utf-8")), notebook.name)
        files.append(File.generated(config, page, content=text))
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()] + list(ALWAYS)
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        if not name.startswith("docs/"):
            add(files, config, name)
        if name.endswith(".md") and (ROOT / name).exists():
            found = {inside(name, link[3]) for link in LINK.finditer(outside_code(name))} - {None}
            fresh = {each for each in found if each and (ROOT / each).is_file()} - seen
            seen |= fresh
            waiting += sorted(each for each in fresh if not each.startswith("docs/"))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links out of docs/ into links to where the site has the file."""
    source = source_of(page.file.src_uri)

    def lead(link: re.Match[str]) -> str:
        bang, text, target = link.groups()
        name = inside(source, target)
        if name is None:
            return link[0]
        if (ROOT / name).is_dir():
            return text
        anchor = "#" + target.partition("#")[2] if "#" in target else ""
        return (
            f"{bang}[{text}]({posixpath.relpath(place_of(name), posixpath.dirname(page.file.src_uri) or '.')}{anchor})"
        )

    parts, last = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [LINK.sub(lead, markdown[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, LINK.sub(lead, markdown[last:])])


def outside_code(name: str) -> str:
    return FENCE.sub("", (ROOT / name).read_text(encoding="utf-8"))


def inside(source: str, target: str) -> str | None:
    """The repository's file or folder that a link in `source` leads to. None: an address, or a place on the page."""
    path = target.partition("#")[0]
    if not path or "://" in path or path.startswith(("mailto:", "/")):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), path))


def source_of(page: str) -> str:
    """The repository's file that a page of the site is made of."""
    if page == "index.md":
        return "README.md"
    return page.removeprefix("repository/") if page.startswith("repository/") else f"docs/{page}"


def place_of(name: str) -> str:
    """Where the site has a file of the repository."""
    if name == "README.md":
        return "index.md"
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    suffix = posixpath.splitext(name)[1]
    return f"repository/{name}" + (".md" if suffix in FENCED else "")


def add(files: Files, config: MkDocsConfig, name: str) -> None:
    suffix, place = posixpath.splitext(name)[1], place_of(name)
    if suffix in PICTURES:
        files.append(File.generated(config, place, abs_src_path=os.fspath(ROOT / name)))
        return
    text = (ROOT / name).read_text(encoding="utf-8")
    if suffix in FENCED:
        text = f"# {name}\n\n````{FENCED[suffix]}\n{text}\n````\n"
    files.append(File.generated(config, place, content=text))


def notebook_page(notebook: dict, name: str) -> str:
    """A notebook as Markdown: its text, its code, and the texts and pictures that the code put out."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if picture := data.get("image/png"):
                shown = "".join(picture).replace("\n", "")
                parts.append(f'<img alt="What this cell shows" src="data:image/png;base64,{shown}">')
            elif text := "".join(output.get("text", data.get("text/plain", []))):
                parts.append(f"```text\n{text.rstrip()}\n```")
    parts.insert(1, f"[Download the notebook]({name}.ipynb)")  # below its title
    return "\n\n".join(parts) + "\n"
