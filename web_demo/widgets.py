"""Parts of the page that Gradio lacks: a photo box that keeps the file, a before/after view, a drawing sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from gradio.data_classes import ImageData
from gradio.processing_utils import save_file_to_cache

ASSETS = Path(__file__).with_name("assets")


class Photo(gr.Image):
    """An image box that hands on the uploaded file itself.

    gr.Image would decode it first, with every decoder there is and before any limit is looked at, and would turn 16
    bits into 8.
    """

    is_template = True  # for the browser it is an ordinary gr.Image

    def preprocess(self, payload: ImageData | None) -> str | None:
        return payload.path if payload else None


def photo_box(**options: Any) -> Photo:
    options = {"sources": ["upload", "clipboard"], "type": "filepath", "height": 260, **options}
    return Photo(image_mode=None, **options)


_STAGE = """${value ? `
<div class="kf-compare">
  <div class="kf-stage" tabindex="0" role="group" style="--ratio: ${value.width} / ${value.height}; --split: 50%"
    aria-label="${value.left} and ${value.right} over each other. Arrow keys move the line, plus and minus zoom.">
    <div class="kf-side"><img src="${value.after}" alt="${value.right}" draggable="false"></div>
    <div class="kf-side kf-before"><img src="${value.before}" alt="${value.left}" draggable="false"></div>
    <div class="kf-line"></div>
    <span class="kf-tag" style="left: 8px">${value.left}</span>
    <span class="kf-tag" style="right: 8px">${value.right}</span>
  </div>
  <div class="kf-controls">
    <label>${value.left} / ${value.right}
      <input class="kf-split" type="range" min="0" max="100" step="1" value="50"></label>
    <label>Zoom of both <span class="kf-zoom-value">1x</span>
      <input class="kf-zoom" type="range" min="1" max="8" step="1" value="1"></label>
  </div>
  <p class="kf-hint">Double-click a place to look closer; drag to move around.</p>
</div>` : ``}"""


class Compare(gr.HTML):
    """The before/after view. Value: what `view` returns, or None."""

    def __init__(self, **options: Any):
        script = (ASSETS / "compare.js").read_text()
        super().__init__(value=None, html_template=_STAGE, js_on_load=script, apply_default_css=False, **options)

    def view(self, before: Path, after: Path, size: tuple[int, int], left: str, right: str) -> dict[str, Any]:
        """Args:
        before, after: PNG files of the same size.
        size: (width, height).
        left, right: what they are called.
        """
        urls = {}
        for name, path in (("before", before), ("after", after)):
            served = save_file_to_cache(path, cache_dir=self.GRADIO_CACHE)
            self.temp_files.add(served)  # so that it is deleted with the visitor's other files
            urls[name] = "gradio_api/file=" + quote(served)
        return {**urls, "width": size[0], "height": size[1], "left": left, "right": right}


_SHEET = """<div>
  <canvas class="kf-sheet" width="480" height="480" data-size="${size}" tabindex="0"
    role="application" aria-label="Drawing sheet of ${size} by ${size} taps. Arrow keys move, Space sets a tap, Delete
    rubs it out."></canvas>
  <p class="kf-hint">Draw with mouse or finger (Shift: rub out), or with arrow keys and Space.
    <span class="kf-count" role="status">0 taps set</span></p>
  <button type="button" class="kf-clear">Clear</button>
</div>"""


class DrawKernel(gr.HTML):
    """A sheet of `size` x `size` taps. Value: a JSON list of rows, or an empty text."""

    def __init__(self, size: int, **options: Any):
        script = (ASSETS / "draw.js").read_text()
        super().__init__(
            value="", html_template=_SHEET, js_on_load=script, apply_default_css=False, size=size, **options
        )
