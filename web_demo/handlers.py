"""What the buttons of "Your photo" do. Arguments, docstrings and results of the public ones are the API and the MCP
tools, too."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from kf_core import Cancelled
from kf_core.physics.kernel import check_kernel_size
from web_demo import decode, results, runner
from web_demo.desk import Desk
from web_demo.errors import as_errors, log, verdict_of
from web_demo.intake import Intake
from web_demo.limits import (
    check_prior_name,
    fitted_kernel,
    read_kernel_file,
    safe_stem,
)
from web_demo.line import OneAtATime
from web_demo.live import IDLE, message
from web_demo.outcomes import QUALITIES, Outcomes, share_of
from web_demo.pad import taps_of
from web_demo.service import Service, owner_of, whole_number
from web_demo.shelf import Kept
from web_demo.verdict import roughly
from web_demo.widgets import kept_file

SKIP = gr.skip()
RESULTS = 12  # outputs of a run, the live view included
ASKED = ("photo", "scale", "quality", "kernel_size", "seed", "prior", "kernel_file", "paper", "part", "strength")
ASKED += ("seconds", "varying")


class Handlers:
    """Args:
    service: the line and the engine.
    intake, outcomes: what makes photos of uploads, and outputs of results.
    """

    def __init__(self, service: Service, intake: Intake, outcomes: Outcomes):
        self.service, self.intake, self.outcomes, self.limits = service, intake, outcomes, service.limits

    # --- before the line: what cannot be done is said at once ---

    def check_super_resolve(
        self, photo, scale, quality, kernel_size, seed, prior, kernel_file, paper, part, strength, seconds, varying,
        desk=None, request: gr.Request = None,
    ):  # fmt: skip
        """The same as the run asks, for every argument."""
        checks = [(True, "")] * (len(ASKED) + 1)
        try:
            quality, settings = "paper" if paper else quality, self.service.settings
            whole = not (part or "").strip()
            checks[0] = verdict_of(lambda: self.intake.size_of(photo, part if whole else "best"))
            checks[1] = verdict_of(lambda: settings("fast", scale, 0, 0))
            checks[2] = verdict_of(lambda: settings(quality, 4, 0, 0))
            checks[4] = verdict_of(lambda: settings("fast", 4, 0, seed))
            checks[5] = verdict_of(lambda: check_prior_name(prior))
            checks[9] = verdict_of(lambda: share_of(strength))
            if checks[1][0]:
                checks[3] = verdict_of(lambda: check_kernel_size(whole_number(kernel_size) or int(scale), int(scale)))
                checks[6] = verdict_of(lambda: kernel_file and read_kernel_file(kernel_file, int(scale)))
            if checks[0][0]:
                checks[8] = verdict_of(lambda: self.intake.size_of(photo, part))
            known = bool(kernel_file)
            if all(fine for fine, _ in checks):
                checks[11] = verdict_of(lambda: settings(quality, scale, kernel_size, seed, varying, known))
            if all(fine for fine, _ in checks):
                size, chosen = (
                    self.intake.size_of(photo, part),
                    settings(quality, scale, kernel_size, seed, varying, known),
                )
                checks[10] = verdict_of(lambda: self.service.pace(*size, chosen, known, seconds))
                checks[0] = verdict_of(lambda: self.service.check_taken(*size, chosen, known))
            if all(fine for fine, _ in checks):
                checks[0] = verdict_of(lambda: self.service.line.check(owner_of(request)))
        except Exception:  # never a trace
            log.exception("check")
            checks[0] = (False, "This request cannot be read.")
        return [gr.validate(fine, text) for fine, text in checks]

    # --- the run ---

    def super_resolve(
        self, photo: str, scale: int = 4, quality: str = "fast", kernel_size: float = 0, seed: float = 0,
        prior: str = "", kernel_file: str | None = None, paper: bool = False, part: str = "", strength: float = 100,
        seconds: float = 0, varying: bool = False, desk: Desk | None = None, request: gr.Request = None,
    ) -> Iterator[tuple]:  # fmt: skip
        """Recovers the large photo and the kernel that shrank it from one small photo.

        Args:
            photo: a PNG, JPEG, TIFF or WebP file, 8 or 16 bit, grey or RGB, at least 32 x 32 pixels.
            scale: how many times larger the result is: 2, 3 or 4; 1: as large, sharper.
            quality: "fast" or "balanced" (several times slower).
            kernel_size: taps per side of the kernel, even for even scales; 0 chooses a usual one.
            seed: of the random numbers; another seed can find another kernel.
            prior: another patch prior, OWNER/NAME@COMMIT on the Hugging Face Hub; empty for the usual one.
            kernel_file: a file with a known kernel (.npy, .npz, .mat, .txt, .csv, .png); then only the photo is made.
            paper: use the settings of the paper, which take hours without a GPU.
            part: of the photo: empty for all of it, "best" for the part that says most about the kernel, "shrink" for
                all of it shrunk to what the page takes, or LEFT,TOP,WIDTH,HEIGHT in pixels.
            strength: percent of the sharpened picture in the result; the rest is the plain bicubic enlargement.
            seconds: about how long the run may take; with fewer passes the photo loses a little, which the report says.
                0: as long as it needs.
            varying: look for blur that varies over the photo, as of a camera that was turned.

        Returns:
            The large photo (PNG), the kernel (.npy), the kernel (PNG), the report (JSON), a sentence on how far to
            trust the result, pictures for the screen, all files in a ZIP, the before/after view, a picture of the map
            of kernels where the blur varies, and the live view.
        """
        with as_errors():
            preset, known = "paper" if paper else quality, bool(kernel_file)
            settings = self.service.settings(preset, scale, kernel_size, seed, varying, known)
            kernel, said = read_kernel_file(kernel_file, int(scale)) if kernel_file else (None, ())
            yield from self._run(
                photo, part, settings, kernel, said, check_prior_name(prior), strength, seconds, desk, request
            )

    def apply_kernel(
        self, photo, scale, quality, part, strength, seconds, pad, desk: Desk, request: gr.Request
    ) -> Iterator:
        """The whole photo with the kernel on the sheet."""
        with as_errors():
            kernel, said = fitted_kernel(taps_of(pad), int(scale))
            settings = self.service.settings(quality, scale, 0, 0)
            yield from self._run(photo, part, settings, kernel, said, None, strength, seconds, desk, request)

    def try_kernel(self, photo, scale, quality, part, pad, request: gr.Request) -> Iterator[tuple]:
        """A small part of the photo with the kernel on the sheet, in seconds; the visitor's other jobs come first."""
        if not pad:  # the sheet was cleared
            yield None, IDLE
            return
        owner = owner_of(request)
        with as_errors(), tempfile.TemporaryDirectory() as folder, self.service.task(owner) as task:
            kernel, _ = fitted_kernel(taps_of(pad), int(scale))
            settings = self.service.settings(quality, scale, 0, 0)
            settings = replace(settings, finish=replace(settings.finish, steps=min(6, settings.finish.steps)))
            whole = self.intake.load(photo, part)
            rows, columns = (min(64, side) for side in whole.pixels.shape[:2])
            picture = decode.cut(whole, "{},{},{},{}".format(*decode.best_box(whole.pixels, rows, columns)), rows * 64)
            job = self._job(picture, settings, kernel, None, owner)
            outcome = None
            try:
                for told in self.service.run(task, replace(job, judged=False), 5, gives_way=True):
                    if isinstance(told, str):
                        yield SKIP, told
                    else:
                        outcome = told
            except Cancelled:
                yield SKIP, IDLE
                return
            except OneAtATime:
                yield SKIP, message("Your run is not done yet. Draw on after it.")
                return
            files = results.write_result(Path(folder), "try", picture, outcome, int(scale))
            with Image.open(files.after) as image:
                view = self.outcomes.compare.view(files.before, files.after, image.size, "Bicubic", "With this kernel")
            yield view, message("This is the part of 64 x 64 pixels that says most about the kernel.")

    def more_seeds(self, desk: Desk, request: gr.Request) -> Iterator[tuple]:
        """The picture made again with its kernel and two other seeds: what differs is not in the photo."""
        with as_errors(), tempfile.TemporaryDirectory() as folder, self.service.task(owner_of(request)) as task:
            kept = self.outcomes.kept(desk)
            seed, turn = kept.outcome.report["settings"]["seed"], desk.turns
            pictures = [self._seen(Path(folder), kept, kept.outcome.image, seed)]
            for number in (seed + 1, seed + 2):
                settings = self._again(kept, number)
                job = replace(self._job(kept.picture, settings, kept.outcome.kernel, None, task.owner), judged=False)
                for told in self.service.run(task, job, self._seconds(kept), lambda of=number: f"Seed {of}"):
                    if isinstance(told, str):
                        yield SKIP, told
                    else:
                        pictures.append(self._seen(Path(folder), kept, told.image, number))
            if desk.turns == turn:
                yield gr.update(value=pictures, visible=True), message("Done.")
            else:  # another photo is on the page by now
                yield SKIP, IDLE

    def finished(self, desk: Desk) -> tuple:
        """What Outcomes.finished says, and how long two more seeds would take."""
        label, shown = "Two more seeds, same kernel", self.outcomes.shows(desk)
        one = shown and results.map_of(self.outcomes.kept(desk).outcome.report) is None  # a map is no kernel to give
        if one and (seconds := self._seconds(self.outcomes.kept(desk))):
            label += f" ({roughly(2 * seconds)})"
        more = gr.update(value=label, interactive=one), gr.update(value=None, visible=False)
        return (*self.outcomes.finished(desk), *more)

    def _again(self, kept: Kept, seed: int) -> Any:
        """The settings of a result with another seed and as many passes as it had. All of the noise makes images that
        the photo allows, which differ where the photo says nothing; the usual half makes one near their mean."""
        told = kept.outcome.report["settings"]
        preset, passes = told["preset_name"], told["finish"]["steps"]
        settings = self.service.settings(preset if preset in QUALITIES else "fast", kept.scale, 0, seed)
        if preset not in QUALITIES:
            passes = settings.finish.steps
        return replace(settings, finish=replace(settings.finish, steps=passes, noise=1.0))

    def _seconds(self, kept: Kept) -> float:
        height, width = kept.picture.pixels.shape[:2]
        return self.service.taken(width, height, self._again(kept, 0), True)["seconds"] or 0.0

    def _seen(self, folder: Path, kept: Kept, image: Any, seed: int) -> tuple[str, str]:
        """(file, caption) for a gallery."""
        large = results.enlarged(kept.picture, image)
        path = results.write_photo(folder, f"{safe_stem(kept.name)}_seed_{seed}", large, kept.scale)
        return kept_file(self.outcomes.compare, path), f"seed {seed}"

    def _run(self, photo, part, settings, kernel, said, prior, strength, seconds, desk, request) -> Iterator[tuple]:
        with self.service.task(owner_of(request)) as task:
            yield from self._work(task, photo, part, settings, kernel, said, prior, strength, seconds, desk)

    def _work(self, task, photo, part, settings, kernel, said, prior, strength, seconds, desk) -> Iterator[tuple]:
        desk = desk or Desk()
        began, name = desk.turns, Path(photo or "").name
        picture = self.intake.load(photo, part)
        height, width = picture.pixels.shape[:2]
        if pace := self.service.pace(width, height, settings, kernel is not None, seconds):
            settings, said = pace.settings, (*pace.sentences, *said)
        taken = self.service.taken(width, height, settings, kernel is not None)
        job = self._job(picture, settings, kernel, prior, task.owner)
        outcome: Any = None

        def about() -> str:
            return f"{safe_stem(name)}, the photo you had before" if desk.turns != began else ""

        for told in self.service.run(task, job, taken["seconds"] or 60, about):
            if isinstance(told, str):
                yield (*[SKIP] * (RESULTS - 1), told)
            else:
                outcome = told
        notes = [*outcome.report.get("warnings", ()), *picture.warnings, *said]
        outcome.report["warnings"] = list(dict.fromkeys(notes))
        kept = Kept(name, picture, outcome, settings.scale)
        self.service.shelf.put(desk.key, kept)
        if about():  # another photo is on the page by now: its results stay
            words = f"{safe_stem(name)} is done. 'Show my last result' brings it back."
            yield (*[SKIP] * (RESULTS - 1), message(words))
        else:
            desk.result_of, desk.example = desk.turns, ""
            yield (*self.outcomes.shown(kept, strength), message("Done."))

    def _job(self, picture, settings, kernel, prior, owner) -> runner.Job:
        return runner.Job(
            results.colours(picture), settings, kernel=kernel, prior=prior, seconds=self.limits.seconds, owner=owner
        )

    def stop(self, request: gr.Request = None) -> str:
        """Stops your job, whether it runs or waits, and frees the device.

        Returns:
            A sentence.
        """
        return message("Stopped." if self.service.stop(owner_of(request)) else "Nothing of yours was running.")
