"""Photos on their way in: looked at, cut, framed; and what a run with them would take."""

from __future__ import annotations

import html
import json
import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

import kf_core
from web_demo import decode, photos, results
from web_demo.desk import Desk
from web_demo.errors import as_errors, verdict_of
from web_demo.limits import check_photo_file, read_kernel_file, safe_stem
from web_demo.live import message
from web_demo.outcomes import Outcomes, keep
from web_demo.service import Service
from web_demo.widgets import served

SKIP = gr.skip()


class Intake:
    """Args:
    service: the line and the engine.
    outcomes: what clears the results of the photo before.
    """

    def __init__(self, service: Service, outcomes: Outcomes):
        self.service, self.limits, self.outcomes = service, service.limits, outcomes
        self.compare = outcomes.compare

    def look(self, photo: str | None) -> tuple:
        """Looks at a photo before it is worked on, and says what a run would say.

        Args:
            photo: a PNG, JPEG, TIFF or WebP file.

        Returns:
            The photo, as PNG where a browser could not show it, and what there is to say about it.
        """
        if not photo:
            return SKIP, ""
        try:
            width, height = check_photo_file(photo, self.limits)
            if width * height > self.limits.pixels:
                raise kf_core.BadInput(
                    f"The photo has {width} x {height} pixels; this page takes up to {self._largest()}.",
                    "Choose a part of it, or let it be shrunk.",
                )
            picture = self.load(photo, "")
        except kf_core.KernelFusionError as error:
            return SKIP, message(str(error), "error")
        return self._shown_photo(photo, picture), message(f"{width} x {height} pixels. Good to go.")

    def crop(self, photo: str) -> tuple:
        """Cuts the part that says most about the kernel, as large as this page takes, out of a large photo.

        Args:
            photo: a PNG, JPEG, TIFF or WebP file.

        Returns:
            The part as PNG, with the bits of the photo, and what there is to say about it.
        """
        with as_errors():
            picture = self.load(photo, "best")
            path = keep(self.compare, photo, "part", picture)
        rows, columns = picture.pixels.shape[:2]
        return path, message(f"The most detailed part, {columns} x {rows} pixels. Good to go.")

    def new_photo(self, photo, scale, quality, desk: Desk) -> tuple:
        """A photo was dropped: (photo, frame, other, note, *results, live), the results of the one before gone."""
        desk.turn()
        away = gr.update(value="", visible=False), gr.update(visible=False)
        if not photo:
            return (gr.update(visible=True), *away, "", *self.outcomes.cleared())
        try:
            width, height = check_photo_file(photo, self.limits)
            pixels = self.service.proposed_pixels(quality, scale)
            if width * height <= pixels:
                shown, note = self.look(photo)
                return (shown, *away, note, *self.outcomes.cleared())
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"{safe_stem(photo)}.jpg"
                seen = photos.look(photo, self.limits, path, pixels)
                frame = self._frame(seen, served(self.compare, path), pixels)
        except kf_core.KernelFusionError as error:
            return (SKIP, *away, message(str(error), "error"), *self.outcomes.cleared())
        note = f"{seen.width} x {seen.height} pixels"
        if seen.width * seen.height > self.limits.pixels:
            note += f"; this page takes up to {self._largest()}. Choose what to work on."
        else:
            note += ", more than is done in a minute or two. Choose what to work on."
        return (
            gr.update(visible=False), gr.update(value=frame, visible=True), gr.update(visible=True), message(note),
            *self.outcomes.cleared(),
        )  # fmt: skip

    def forecast(
        self, photo, part, scale, quality, kernel_size, seed, kernel_file, paper, seconds=0, varying=False
    ) -> str:
        """What stands beside Run: how long a run with these choices takes."""
        if not photo:
            return ""
        try:
            preset, known = "paper" if paper else quality, bool(kernel_file)
            settings = self.service.settings(preset, scale, kernel_size, seed, varying, known)
            return self.service.forecast(*self.size_of(photo, part), settings, known, seconds)
        except kf_core.KernelFusionError as error:
            text = html.escape(str(error))
            return f"<div class='kf-forecast'><p class='kf-warning' role='alert'>{text}</p></div>"

    def look_at_kernel(self, kernel_file: str | None, scale: int) -> Any:
        """A kernel file that a run could not use is put aside at once, so that it does not stop Run."""
        fine, text = verdict_of(lambda: kernel_file and read_kernel_file(kernel_file, int(scale)))
        if fine:
            return SKIP
        gr.Warning(text, title="This kernel cannot be used")
        return None

    def load(self, photo: str | None, part: str) -> kf_core.Picture:
        """What a run works on. Raises BadInput, Unavailable."""
        self.size_of(photo, part)
        picture = photos.load(photo or "", part, self.limits)
        results.colours(picture)  # raises where one sees nothing of it
        return picture

    def size_of(self, photo: str | None, part: str) -> tuple[int, int]:
        """(width, height) of what a run works on. Raises BadInput."""
        if not photo:
            raise kf_core.BadInput("There is no photo yet.", "Drop one into the box, or take an example.")
        return photos.check_part(photo, part, self.limits)

    def _largest(self) -> str:
        return f"{self.limits.side} x {self.limits.side}"

    def _frame(self, seen: photos.Look, url: str, pixels: int) -> str:
        shrunk = decode.shrunk_size(seen.width, seen.height, pixels)
        return json.dumps(
            {
                "src": url,
                "size": [seen.width, seen.height],
                "box": seen.box,
                "pixels": self.limits.pixels,
                "shrunk": shrunk,
                "whole": seen.width * seen.height <= self.limits.pixels,
                "mode": "part",
            }
        )

    def _shown_photo(self, photo: str, picture: kf_core.Picture) -> Any:
        if Path(photo).suffix.lower() in (".tif", ".tiff"):
            return keep(self.compare, photo, "photo", picture)
        return SKIP
