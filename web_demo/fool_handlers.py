"""What the buttons of "Try to fool it" do. Arguments, docstring and results of `fool_it` are the API and the MCP tool,
too."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from web_demo import fool, photos, plots, runner
from web_demo.errors import as_errors, log, verdict_of
from web_demo.live import message
from web_demo.service import Service, owner_of
from web_demo.widgets import Compare

SKIP = gr.skip()


class FoolHandlers:
    """Args:
    service: the line and the engine.
    compare: the before/after view, which makes pictures of its own known to the server.
    """

    def __init__(self, service: Service, compare: Compare):
        self.service, self.compare, self.limits = service, compare, service.limits

    def check_fool(self, photo, own_photo, kernel, drawing, seed, request: gr.Request = None):
        """The same as the run asks, for every argument."""
        checks = [(True, "")] * 5
        try:
            if photo == fool.OWN:
                checks[1] = verdict_of(lambda: self._check_own(own_photo))
            elif photo not in fool.PHOTOS:
                checks[0] = verdict_of(lambda: fool.sharp_photo(photo, None, self.limits))
            checks[3 if kernel == fool.DRAWN else 2] = verdict_of(lambda: _hidden_kernel(kernel, drawing))
            checks[4] = verdict_of(lambda: self.service.settings("fast", fool.SCALE, fool.SIZE, seed))
            if all(fine for fine, _ in checks):
                checks[0] = verdict_of(lambda: self.service.line.check(owner_of(request)))
        except Exception:  # never a trace
            log.exception("check")
            checks[0] = (False, "This request cannot be read.")
        return [gr.validate(fine, text) for fine, text in checks]

    def fool_it(
        self,
        photo: str = "hats",
        own_photo: str | None = None,
        kernel: str = "ring",
        drawing: str = "",
        seed: float = 0,
        request: gr.Request = None,
    ) -> Iterator[tuple]:
        """Degrades a sharp photo with a hidden kernel, recovers both, and compares them with the truth.

        Args:
            photo: one of the bundled sharp photos, or "my own photo".
            own_photo: a sharp photo, if `photo` says so; its most detailed part is used.
            kernel: the name of a bundled kernel, or "my drawing".
            drawing: if `kernel` says so, a JSON list of 24 rows of 24 numbers from 0 to 1.
            seed: of the random numbers.

        Returns:
            The scores against the truth, the degraded photo, the true kernel, the recovered kernel, the true photo, the
            recovered photo, a view of both over each other, and the live view.
        """
        with as_errors(), tempfile.TemporaryDirectory() as folder, self.service.task(owner_of(request)) as task:
            hidden = _hidden_kernel(kernel, drawing)
            puzzle = fool.make_puzzle(fool.sharp_photo(photo, own_photo, self.limits), hidden, self.limits)
            settings = self.service.settings("fast", fool.SCALE, fool.SIZE, seed)
            height, width = puzzle.small.shape[:2]
            taken = self.service.taken(width, height, settings)
            job = runner.Job(puzzle.small, settings, seconds=self.limits.seconds, owner=task.owner)
            outcome: Any = None
            for told in self.service.run(task, job, taken["seconds"] or 60):
                if isinstance(told, str):
                    yield (*[SKIP] * 7, told)
                else:
                    outcome = told
            yield (*self.solved(Path(folder), puzzle, outcome), message("Done."))

    def solved(self, folder: Path, puzzle: fool.Puzzle, outcome: Any) -> tuple:
        """The outputs of "Try to fool it", without the live view. Writes the pictures into `folder`."""
        image, kernel = outcome.image, outcome.kernel
        highest = float(max(kernel.max(), puzzle.kernel.max()))
        pictures = {
            "degraded": puzzle.small,
            "true_kernel": plots.kernel_figure(puzzle.kernel, highest),
            "recovered_kernel": plots.kernel_figure(kernel, highest),
            "truth": puzzle.truth,
            "recovered": image,
        }
        paths = {}
        for name, pixels in pictures.items():
            paths[name] = folder / f"{name}.png"
            Image.fromarray(pixels).save(paths[name])
        size = (image.shape[1], image.shape[0])
        view = self.compare.view(paths["truth"], paths["recovered"], size, "Truth", "Recovered")
        told = fool.score(puzzle, plots.bicubic(puzzle.small, fool.SCALE), image, kernel, outcome.report)
        return (told, *map(str, paths.values()), view)

    def forecast(self, seed: float) -> str:
        """What stands beside the button."""
        with as_errors():
            side = min(fool.LARGEST, self.limits.side)
            return self.service.forecast(side, side, self.service.settings("fast", fool.SCALE, fool.SIZE, seed))

    def stop(self, request: gr.Request = None) -> str:
        """Stops your job, whether it runs or waits, and frees the device.

        Returns:
            A sentence.
        """
        return message("Stopped." if self.service.stop(owner_of(request)) else "Nothing of yours was running.")

    def _check_own(self, photo: str | None) -> None:
        if not photo:
            fool.sharp_photo(fool.OWN, None, self.limits)  # raises
        photos.check_part(photo or "", "best", self.limits)


def _hidden_kernel(name: str, drawing: str) -> np.ndarray:
    return fool.drawn_kernel(drawing) if name == fool.DRAWN else fool.bundled_kernel(name)
