"""What the buttons do. Their arguments, docstrings and results are the API and the MCP tools, too."""

from __future__ import annotations

import contextlib
import functools
import logging
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

import kf_core
from kf_core import BadInput, Cancelled, KernelFusionError
from kf_core.errors import is_out_of_memory
from web_demo import fool, plots, results, runner
from web_demo.limits import (
    Limits,
    check_photo_file,
    check_prior_name,
    check_size,
    most_detailed_part,
    read_kernel_file,
    safe_stem,
)
from web_demo.live import live, message
from web_demo.visits import Visits
from web_demo.widgets import Compare

log = logging.getLogger("web_demo")
SKIP = gr.skip()


class Handlers:
    """Args:
    limits: of the page.
    overrides: engine settings as NAME=VALUE that hold for every run, for tests and for hosts.
    compare, fool_compare: the before/after views, which make pictures of theirs known to the server.
    """

    def __init__(self, limits: Limits, overrides: tuple[str, ...], compare: Compare, fool_compare: Compare):
        self.limits, self.overrides = limits, overrides
        self.compare, self.fool_compare = compare, fool_compare
        self.visits = Visits(forget_after=limits.seconds + 120)
        self.engine = runner.engine()

    # --- before the queue: what cannot be done is said at once ---

    def check_super_resolve(
        self, photo, scale, quality, kernel_size, seed, prior, kernel_file, paper, request: gr.Request
    ):
        checks = [(True, "")] * 8
        try:
            checks[0] = self._photo_verdict(photo)
            checks[6] = _verdict(lambda: kernel_file and read_kernel_file(kernel_file))
            checks[5] = _verdict(lambda: check_prior_name(prior))
            quality = "paper" if paper else quality
            checks[3] = _verdict(lambda: self._settings(quality, scale, kernel_size, seed))
        except Exception:  # never a trace before the queue
            log.exception("check")
            checks[0] = (False, "This request cannot be read.")
        if all(fine for fine, _ in checks) and not self.visits.admit(_owner(request)):
            checks[0] = (False, "Your last job is still waiting or running. Wait for it, or press Stop.")
        return [gr.validate(fine, text) for fine, text in checks]

    def check_fool(self, photo, own_photo, kernel, drawing, seed, request: gr.Request):
        checks = [(True, "")] * 5
        if photo == fool.OWN:
            checks[1] = _verdict(lambda: fool.sharp_photo(photo, own_photo, self.limits))
        checks[3 if kernel == fool.DRAWN else 2] = _verdict(lambda: _hidden_kernel(kernel, drawing))
        if all(fine for fine, _ in checks) and not self.visits.admit(_owner(request)):
            checks[0] = (False, "Your last job is still waiting or running. Wait for it, or press Stop.")
        return [gr.validate(fine, text) for fine, text in checks]

    # --- the endpoints ---

    def super_resolve(
        self,
        photo: str,
        scale: int = 4,
        quality: str = "fast",
        kernel_size: float = 0,
        seed: float = 0,
        prior: str = "",
        kernel_file: str | None = None,
        paper: bool = False,
        request: gr.Request = None,
    ) -> Iterator[tuple]:
        """Recovers the large photo and the kernel that shrank it from one small photo, with nothing but that photo.

        Args:
            photo: a PNG, JPEG, TIFF or WebP file, 8 or 16 bit, grey or RGB, at least 32 x 32 pixels.
            scale: how many times larger the result is: 2, 3 or 4.
            quality: "fast" or "balanced" (several times slower).
            kernel_size: taps per side of the kernel, even for even scales; 0 chooses a usual one.
            seed: of the random numbers; another seed can find another kernel.
            prior: another patch prior, OWNER/NAME@COMMIT on the Hugging Face Hub; empty for the usual one.
            kernel_file: a .npy file with a known kernel (K, K); then only the photo is restored.
            paper: use the settings of the paper, which take hours without a GPU.

        Returns:
            The large photo (PNG), the kernel (.npy), the kernel (PNG), the report (JSON), a sentence on how far to
            trust the result, pictures for the screen, and the live view.
        """
        with self._job(request) as owner, tempfile.TemporaryDirectory() as folder:
            check_photo_file(photo or "", self.limits)
            picture = results.load_photo(photo)
            check_size(*picture.pixels.shape[1::-1], self.limits)
            job = runner.Job(
                picture.pixels,
                self._settings("paper" if paper else quality, scale, kernel_size, seed),
                kernel=read_kernel_file(kernel_file) if kernel_file else None,
                prior=check_prior_name(prior),
                seconds=self.limits.seconds,
                owner=owner,
            )
            for frame in self.engine(job):
                if frame.result is None:
                    yield (*[SKIP] * 9, live(frame))
            files = results.write_result(Path(folder), photo, picture, frame.result, int(scale))
            yield (*self.shown(files, frame.result.report), message("Done."))

    def shown(self, files: results.Files, report: dict[str, Any], timed: bool = True) -> tuple:
        """The outputs of a finished run, without the live view. `timed`: the time taken is worth telling."""
        with Image.open(files.after) as image:
            size = image.size
        view = self.compare.view(files.before, files.after, size, "Bicubic", "KernelFusion")
        downloads = [str(path) for path in (files.photo, files.kernel, files.kernel_picture, files.report)]
        pictures = [str(path) for path in (files.input, files.after, files.figure)]
        return (*downloads, results.verdict(report, timed), *pictures, view)

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
        with self._job(request) as owner, tempfile.TemporaryDirectory() as folder:
            hidden = _hidden_kernel(kernel, drawing)
            puzzle = fool.make_puzzle(fool.sharp_photo(photo, own_photo, self.limits), hidden, self.limits)
            settings = self._settings("fast", fool.SCALE, fool.SIZE, seed)
            job = runner.Job(puzzle.small, settings, seconds=self.limits.seconds, owner=owner)
            for frame in self.engine(job):
                if frame.result is None:
                    yield (*[SKIP] * 7, live(frame))
            yield (*self.solved(Path(folder), puzzle, frame.result.image, frame.result.kernel), message("Done."))

    def solved(self, folder: Path, puzzle: fool.Puzzle, image: np.ndarray, kernel: np.ndarray) -> tuple:
        """The outputs of "Try to fool it", without the live view. Writes the pictures into `folder`."""
        highest = float(max(kernel.max(), puzzle.kernel.max()))
        enlarged = plots.bicubic(puzzle.small, fool.SCALE)
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
        view = self.fool_compare.view(paths["truth"], paths["recovered"], size, "Truth", "Recovered")
        return (fool.score(puzzle, enlarged, image, kernel), *map(str, paths.values()), view)

    def stop(self, request: gr.Request = None) -> str:
        """Stops your job, whether it runs or waits, and frees the device.

        Returns:
            A sentence.
        """
        owner = _owner(request)
        waited, ran = self.visits.withdraw(owner), runner.stop(owner)
        return message("Stopped." if waited or ran else "Nothing of yours was running.")

    def look(self, photo: str | None) -> tuple:
        """Looks at a photo before it is worked on.

        Args:
            photo: a PNG, JPEG, TIFF or WebP file.

        Returns:
            The photo, as PNG where a browser could not show it, and what there is to say about it.
        """
        if not photo:
            return SKIP, "", gr.update(visible=False)
        try:
            width, height = check_photo_file(photo, self.limits)
            shown = self._as_png(photo) if Path(photo).suffix.lower() in (".tif", ".tiff") else SKIP
            check_size(width, height, self.limits)
        except BadInput as error:
            fits = "this page takes up to" in error.message
            return SKIP, message(str(error), "error"), gr.update(visible=fits)
        text = f"{width} x {height} pixels. Good to go."
        return shown, message(text), gr.update(visible=False)

    def crop(self, photo: str) -> tuple:
        """Cuts the most detailed part that this page can take out of a large photo.

        Args:
            photo: a PNG, JPEG, TIFF or WebP file.

        Returns:
            The part as PNG, with the bits of the photo, and what there is to say about it.
        """
        with _as_errors():
            check_photo_file(photo or "", self.limits)
            picture = results.load_photo(photo)
            part = most_detailed_part(picture.pixels, self.limits)
            path = self._keep(photo, "part", kf_core.Picture(part, picture.profile, picture.dpi))
        text = f"The most detailed part, {part.shape[1]} x {part.shape[0]} pixels. Good to go."
        return path, message(text), gr.update(visible=False)

    # --- helpers ---

    def _settings(self, quality: str, scale: int, kernel_size: float | None, seed: float | None) -> kf_core.Settings:
        size = int(kernel_size or 0) or None
        return runner.make_settings(quality, int(scale), size, int(seed or 0), self.overrides)

    def _photo_verdict(self, photo: str | None) -> tuple[bool, str]:
        if not photo:
            return False, "There is no photo yet. Drop one into the box, or take an example."
        return _verdict(lambda: check_size(*check_photo_file(photo, self.limits), self.limits))

    def _as_png(self, photo: str) -> str:
        return self._keep(photo, "photo", results.load_photo(photo))

    def _keep(self, name: str, what: str, picture: kf_core.Picture) -> str:
        """A file among the uploads, which are deleted in time."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{safe_stem(name)}_{what}.png"
            kf_core.write_picture(path, picture)
            kept = gr.processing_utils.save_file_to_cache(path, cache_dir=self.compare.GRADIO_CACHE)
        self.compare.temp_files.add(kept)
        return kept

    @contextlib.contextmanager
    def _job(self, request: gr.Request | None) -> Iterator[str]:
        owner = _owner(request)
        try:
            with _as_errors():
                if self.visits.is_withdrawn(owner):
                    raise Cancelled()
                yield owner
        finally:
            self.visits.done(owner)


def _owner(request: gr.Request | None) -> str:
    """The visitor's session; a caller without one is somebody new every time."""
    return (request and request.session_hash) or uuid.uuid4().hex


def _hidden_kernel(name: str, drawing: str) -> np.ndarray:
    return fool.drawn_kernel(drawing) if name == fool.DRAWN else fool.bundled_kernel(name)


def _verdict(check) -> tuple[bool, str]:
    try:
        check()
    except KernelFusionError as error:
        return False, str(error)
    except (OSError, ValueError, TypeError, OverflowError):
        return False, "This cannot be read."
    return True, ""


@contextlib.contextmanager
def _as_errors() -> Iterator[None]:
    """Errors as sentences on the page; what nobody expected goes to the log and not to the visitor."""
    try:
        yield
    except gr.Error:
        raise
    except Cancelled:
        raise gr.Error("You stopped this run.", title="Stopped", print_exception=False) from None
    except KernelFusionError as error:
        raise gr.Error(
            f"{error.message} {error.hint}".strip(), title="That did not work", print_exception=False
        ) from None
    except Exception as error:
        log.exception("a handler failed")
        text = "Something went wrong here, not with your photo. Please try again later."
        if is_out_of_memory(error):
            text = "The memory of this page's computer did not suffice. Use a smaller part of the photo."
        raise gr.Error(text, title="Our fault", print_exception=False) from None


@functools.cache
def warm() -> None:
    """Loads the engine and the bundled prior, so that the first visitor does not wait for them."""
    runner._load_prior("bundled", "auto")
