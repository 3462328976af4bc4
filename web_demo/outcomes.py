"""Results on the page: shown, mixed, in other formats, brought back. The examples are results, too."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

import kf_core
from web_demo import examples, results
from web_demo.desk import Desk
from web_demo.errors import as_errors
from web_demo.limits import safe_stem
from web_demo.live import IDLE
from web_demo.pad import text_of
from web_demo.shelf import Kept, Shelf
from web_demo.verdict import verdict
from web_demo.widgets import Compare, kept_file

SKIP = gr.skip()
QUALITIES = {"fast": "Fast", "balanced": "Balanced, slower"}  # a preset, and what the page calls it


class Outcomes:
    """Args:
    shelf: where results are kept.
    compare: the before/after view, which makes pictures of its own known to the server.
    """

    def __init__(self, shelf: Shelf, compare: Compare):
        self.shelf, self.compare = shelf, compare

    def shown(self, kept: Kept, strength: float = 100, timed: bool = True) -> tuple:
        """The outputs of a finished run, without the live view. `timed`: the time taken is worth telling."""
        with tempfile.TemporaryDirectory() as folder:
            files = results.write_result(
                Path(folder), kept.name, kept.picture, kept.outcome, kept.scale, share_of(strength)
            )
            paths = {name: path and kept_file(self.compare, path) for name, path in vars(files).items()}
            with Image.open(files.after) as image:
                view = self.compare.view(files.before, files.after, image.size, "Bicubic", "KernelFusion")
        downloads = [paths[name] for name in ("photo", "kernel", "kernel_picture", "report")]
        pictures = [paths[name] for name in ("input", "after", "figure")]
        return (*downloads, verdict(kept.outcome.report, timed), *pictures, paths["everything"], view, paths["map"])

    def cleared(self) -> tuple:
        """The outputs of a run where there is no result, the live view included."""
        empty = gr.update(value=None, interactive=False)
        return (*[empty] * 4, "", None, None, None, empty, None, None, IDLE)

    def mix(self, strength, form, desk: Desk) -> tuple:
        """The last result with another strength: photo, picture, all files and the view."""
        with as_errors():
            kept = self.kept(desk)
            shown = self.shown(kept, strength)
            return self._as(form, kept, strength, shown[0]), shown[6], shown[8], shown[9]

    def other_format(self, form, strength, desk: Desk) -> Any:
        with as_errors():
            return gr.update(value=self._as(form, self.kept(desk), strength), label=f"Large photo ({form})")

    def shows(self, desk: Desk) -> bool:
        """Whether a result is on the page."""
        return bool(desk.example) or (self.shelf.has(desk.key) and desk.result_of == desk.turns)

    def finished(self, desk: Desk) -> tuple:
        """After a run, an example, another photo: what can be downloaded, whether the last result can come back, and
        the kernel for the sheet."""
        mine, shown = self.shelf.has(desk.key), self.shows(desk)
        kernel = text_of(self.kept(desk).outcome.kernel) if shown else SKIP
        back = gr.update(visible=mine and desk.result_of != desk.turns)
        return (*[gr.update(interactive=shown)] * 5, back, kernel)

    def again(self, desk: Desk) -> tuple:
        """The last result with its photo: what Handlers.on_desk says."""
        with as_errors():
            desk.turn()
            desk.result_of = desk.turns
            return self.on_desk(self.kept(desk))

    def arrive(self, first: str, key: str) -> tuple:
        """Somebody opens the page: their last result, where there is one (it was reloaded), or the first example."""
        desk = Desk(key or uuid.uuid4().hex)
        if self.shelf.has(desk.key):
            shown = self.again(desk)
        elif first:
            shown = self.example(first, desk)
        else:
            shown = (*self.no_photo(desk), SKIP, SKIP, SKIP)
        return (desk.key, desk, *shown)

    def example(self, name: str, desk: Desk) -> tuple:
        with as_errors():
            desk.turn(name)
            return self.on_desk(examples.kept(name), timed=False)

    def example_results(self, name: str) -> tuple:
        with as_errors():
            kept = examples.kept(name)
            return (keep(self.compare, kept.name, "", kept.picture), *self.shown(kept, timed=False))

    def on_desk(self, kept: Kept, timed: bool = True) -> tuple:
        """(photo, frame, other, note, *results, live, scale, quality, strength) for a photo with its result."""
        photo = gr.update(value=keep(self.compare, kept.name, "", kept.picture), visible=True)
        hidden = gr.update(value="", visible=False), gr.update(visible=False)
        preset = kept.outcome.report["settings"]["preset_name"]
        quality = preset if preset in QUALITIES else SKIP
        return (photo, *hidden, "", *self.shown(kept, 100, timed), IDLE, kept.scale, quality, 100)

    def no_photo(self, desk: Desk) -> tuple:
        desk.turn()
        hidden = gr.update(value="", visible=False), gr.update(visible=False)
        return (gr.update(value=None, visible=True), *hidden, "", *self.cleared())

    def kept(self, desk: Desk | None) -> Kept:
        """The result that the page shows. Raises BadInput."""
        if desk and desk.example:
            return examples.kept(desk.example)
        kept = self.shelf.get(desk.key) if desk else None
        if kept is None:
            hint = "Results are kept for an hour. Run it again."
            raise kf_core.BadInput("There is no result of yours any more.", hint)
        return kept

    def _as(self, form: str, kept: Kept, strength: float, png: str | None = None) -> str:
        if form == "PNG" and png:
            return png
        large = results.enlarged(kept.picture, kept.outcome.image, share_of(strength))
        with tempfile.TemporaryDirectory() as folder:
            return kept_file(self.compare, results.write_photo(Path(folder), kept.name, large, kept.scale, form))


def keep(compare: Compare, name: str, what: str, picture: kf_core.Picture) -> str:
    """A picture as a PNG among the uploads, which are deleted in time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{safe_stem(name)}{'_' if what else ''}{what}.png"
        kf_core.write_picture(path, picture)
        return kept_file(compare, path)


def share_of(strength: Any) -> float:
    """0..1 of a percentage. Raises BadInput."""
    if not isinstance(strength, (int, float)) or not 0 <= strength <= 100:
        raise kf_core.BadInput(
            f"A strength of {str(strength)[:20]} makes no sense.", "Give a percentage from 0 to 100."
        )
    return float(strength) / 100
