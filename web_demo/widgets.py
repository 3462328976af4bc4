"""Parts of the page that Gradio lacks: a photo box that keeps the file, a frame to choose a part with, a before/after
view, a drawing sheet; and what makes the API say what every argument means."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData
from gradio.processing_utils import save_file_to_cache

from web_demo import plots
from web_demo.pad import LARGEST

ASSETS = Path(__file__).with_name("assets")
HTML = ASSETS / "parts"


def kept_file(component: Any, path: Path) -> str:
    """A copy of a file among the uploads, which are served, and deleted in time."""
    kept = save_file_to_cache(path, cache_dir=component.GRADIO_CACHE)
    component.temp_files.add(kept)  # so that it is deleted with the visitor's other files
    return str(kept)


def inside_page(pixels: np.ndarray) -> Any:
    """An icon that needs no file: of those in Gradio's folder none outlives its hour."""
    url = plots.data_url(pixels, 96)
    return {"path": url, "url": url}


def served(component: Any, path: Path) -> str:
    """The address of such a copy."""
    return "gradio_api/file=" + quote(kept_file(component, path))


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


# Gradio's own choices, numbers and sliders refuse a wrong value with a message that only the page shows. These hand it
# on: the check before the line says what is wrong, to programs too.


class Choice(gr.Radio):
    """gr.Radio, which also tells MCP of numbers that they are numbers."""

    is_template = True

    def api_info(self) -> dict[str, Any]:
        values = [value for _, value in self.choices]
        return {"type": "integer" if all(isinstance(value, int) for value in values) else "string", "enum": values}

    def preprocess(self, payload: Any) -> Any:
        return payload


class Seconds(gr.Radio):
    """Some times to choose from on the page; a program may send any number of seconds."""

    is_template = True

    def api_info(self) -> dict[str, Any]:
        return {"type": "number"}

    def preprocess(self, payload: Any) -> Any:
        return payload


class Count(gr.Number):
    """gr.Number for whole numbers; an empty field is 0."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return 0 if payload is None else payload


class Percent(gr.Slider):
    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return 100 if payload is None else payload


class _Part(gr.HTML):
    """A part of the page with a template and a script of its own, assets/parts/NAME.html and assets/NAME.js.

    Args:
        words: put into the template as {WORD}. Gradio's own way, a property, is lost where the part is not yet shown.
    """

    def __init__(self, name: str, value: Any, words: dict[str, Any] | None = None, **options: Any):
        template = (HTML / f"{name}.html").read_text(encoding="utf-8")
        for word, text in (words or {}).items():
            template = template.replace("{" + word + "}", str(text))
        super().__init__(
            value=value,
            html_template=template,
            js_on_load=(ASSETS / f"{name}.js").read_text(encoding="utf-8"),
            apply_default_css=False,
            **options,
        )


class Compare(_Part):
    """The before/after view. Value: what `view` returns, or None."""

    def __init__(self, **options: Any):
        super().__init__("compare", None, **options)

    def view(self, before: Path, after: Path, size: tuple[int, int], left: str, right: str) -> dict[str, Any]:
        """Args:
        before, after: PNG files of the same size.
        size: (width, height).
        left, right: what they are called.
        """
        urls = {"before": served(self, before), "after": served(self, after)}
        return {**urls, "width": size[0], "height": size[1], "left": left, "right": right}


class Frame(_Part):
    """A photo with a frame to drag over it. Value: the JSON that Handlers makes of a photo, or an empty text.

    Handlers get the `part` of decode.place_of; a program sends that itself.
    """

    def __init__(self, **options: Any):
        super().__init__("frame", "", **options)

    def preprocess(self, payload: Any) -> str:
        text = str(payload or "")
        if not text.startswith("{"):
            return text
        try:
            state = json.loads(text)
            if state["mode"] == "shrink":
                return f"shrink:{max(int(side) for side in state['shrunk'])}"
            return "" if state["mode"] == "whole" else ",".join(str(int(number)) for number in state["box"])
        except (ValueError, KeyError, TypeError):
            return text


class DrawKernel(_Part):
    """A sheet of taps to draw a kernel on. Value: a JSON list of rows of numbers from 0 to 1, or an empty text.

    Args:
        size: taps per side of an empty sheet; a kernel that it is given brings its own.
    """

    def __init__(self, size: int, **options: Any):
        super().__init__("draw", "", {"size": size, "largest": LARGEST}, **options)


def describe(function: Callable[..., Any], inputs: Sequence[Any]) -> None:
    """Gives the inputs of an endpoint the words that its docstring has for them, for the API's pages."""
    text = inspect.cleandoc(function.__doc__ or "").partition("Args:\n")[2].partition("\nReturns:")[0]
    told = {name: " ".join(words.split()) for name, words in re.findall(r"^    (\w+): ((?:.|\n {8})*)", text, re.M)}
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    for name, component in zip(names, inputs, strict=False):
        if name in told:
            _tell(component, told[name])


def _tell(component: Any, words: str) -> None:
    plain = component.api_info

    def api_info() -> dict[str, Any]:
        return {**plain(), "additional_description": words}

    component.api_info = api_info
