"""Runs the notebook and keeps in it what it shows: `python docs/site/notebook.py`"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from kf_core.files.atomic import write_atomically  # noqa: E402 - after the path

NOTEBOOK = ROOT / "docs" / "notebooks" / "quickstart.ipynb"


def main() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:  # for the files that it writes
        about = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=600, record_timing=False, coalesce_streams=True, resources=about).execute()
    text = nbformat.writes(notebook) + "\n"
    write_atomically(NOTEBOOK, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    main()
