"""A batch as a table for programs (CSV) and as a page to look at (HTML)."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from kf_core.batch.job import picture_name
from kf_core.batch.manifest import DONE, FAILED, Entry
from kf_core.batch.sources import WORK
from kf_core.files.atomic import write_atomically

TABLE, PAGE = "kf-batch.csv", "kf-batch.html"
COLUMNS = ("photo", "status", "seconds", "confidence", "kernel", "sentence", "result")
WAITING = "waiting"  # of a photo that has not been made yet


def status(entry: Entry) -> str:
    return entry.state if entry.state in (DONE, FAILED) else WAITING


def write_table(folder: Path, entries: Sequence[Entry]) -> Path:
    """The CSV in the folder of the results, one row a photo, in UTF-8. Raises CannotWrite."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for entry in entries:
        made = entry.result if entry.state == DONE else ""
        numbers = ["" if value is None else value for value in (entry.seconds, entry.confidence)]
        rows.writerow([entry.photo, status(entry), *numbers, entry.kernel, entry.sentence, made])
    data = text.getvalue().encode("utf-8", "backslashreplace")
    write_atomically(folder / TABLE, lambda file: file.write(data))
    return folder / TABLE


def write_page(folder: Path, title: str, entries: Sequence[Entry], notes: Sequence[str] = ()) -> Path:
    """The contact sheet in the folder of the results. Its pictures are files in the batch's own folder beside it.

    Raises CannotWrite.
    """
    data = page(title, entries, notes, lambda path: (folder / path).exists()).encode("utf-8", "backslashreplace")
    write_atomically(folder / PAGE, lambda file: file.write(data))
    return folder / PAGE


def page(title: str, entries: Sequence[Entry], notes: Sequence[str], exists: Callable[[str], bool]) -> str:
    """The HTML. `exists` says whether a picture, by its path from the page, is there."""
    counts = [(state, sum(status(entry) == state for entry in entries)) for state in (DONE, FAILED, WAITING)]
    told = ", ".join(f"{count} {state}" for state, count in counts if count or state == DONE)
    noted = "".join(f"<p>{escape(note)}</p>\n" for note in notes)
    rows = "\n".join(_row(entry, exists) for entry in entries)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{len(entries)} photos: {told}. The pictures show the part of each photo that tells most of its blur.</p>
{noted}<table>
<thead><tr><th>Enlarged plainly</th><th>Result</th><th>Kernel</th><th>Photo</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""


STYLE = """
:root { color-scheme: light dark; --line: #8886; --bad: light-dark(#b3261e, #ff897d); }
body { font: 16px/1.45 system-ui, sans-serif; margin: 2rem; background: Canvas; color: CanvasText; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; }
th, td { padding: .6rem .8rem .6rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { width: 100%; min-width: 14rem; overflow-wrap: anywhere; }
img { display: block; max-width: min(320px, 28vw); height: auto; }
img.kernel { width: 96px; max-width: 14vw; image-rendering: pixelated; }
meter { width: 8rem; }
.failed { color: var(--bad); }
.waiting { opacity: .65; }
@media (max-width: 700px) {
  body { margin: 1rem; }
  thead { display: none; }
  tr { display: flex; flex-wrap: wrap; border-bottom: 1px solid var(--line); }
  td { border: 0; }
  td:empty { display: none; }
}
"""


def _row(entry: Entry, exists: Callable[[str], bool]) -> str:
    state = status(entry)
    cells = []
    for kind, what in (("plain", "enlarged plainly"), ("result", "the result"), ("kernel", "the kernel")):
        path = f"{WORK}/{picture_name(entry.photo, kind)}"
        shown = ""
        if state == DONE and exists(path):
            alternative = escape(f"{entry.photo}: {what}")
            shown = f'<img loading="lazy" class="{kind}" src="{_link(path)}" alt="{alternative}">'
        cells.append(f"<td>{shown}</td>")
    name = escape(entry.photo)
    if state == DONE:
        name = f'<a href="{_link(entry.result)}">{name}</a>'
    lines = [f"<strong>{name}</strong>"]
    if entry.confidence is not None:
        share = f"{entry.confidence:.2f}"
        lines.append(f'<meter min="0" max="1" value="{share}">{share}</meter> Confidence {entry.confidence:.0%}')
    if state != DONE:
        lines.append(f'<span class="{state}">{state.capitalize()}</span>')
    if entry.sentence and state != WAITING:
        lines.append(escape(entry.sentence))
    if entry.seconds is not None and state == DONE:
        kernel = f", kernel {escape(entry.kernel)}" if entry.kernel else ""
        lines.append(f"{entry.seconds:.1f} s{kernel}")
    return f"<tr>{''.join(cells)}<td>{'<br>'.join(lines)}</td></tr>"


def _link(path: str) -> str:
    """A path from the page on, as a link: names need be neither text nor free of what means something in links."""
    return quote("./" + os.fsencode(path).decode("latin-1"), encoding="latin-1")
