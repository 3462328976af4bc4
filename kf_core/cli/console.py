"""What all commands of `kf` share: the options of most, the live line, Ctrl-C, and how an error is told."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from kf_core.errors import Cancelled, KernelFusionError, is_out_of_memory
from kf_core.progress import Progress

SECONDS_BETWEEN_LINES = 10  # of progress, where stderr is a file
OPTIONS = {  # that help, by the code of an error
    "already_there": "--force",
    "bad_prior": "--prior",
    "diverged": "--seed, --preset",
    "no_device": "--device",
    "out_of_memory": "--preset fast",
    "too_large": "--preset fast",
}
LARGE = ("out_of_memory", "too_large")  # where another preset helps only if it is not the one in use

Seed = Annotated[int, typer.Option(help="The same seed gives the same result again.")]
Device = Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda or mps.")]
Report = Annotated[Path | None, typer.Option(metavar="R.json", help="Also write what was done, how, and how long.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


class StopRequest:
    """The first Ctrl-C or SIGTERM asks the engine to stop; a second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within it the first one already ends what is being done: nothing looks at a flag while a network is slow."""

        def interrupt(number: int, frame: object) -> None:
            raise KeyboardInterrupt

        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        except KeyboardInterrupt:
            raise Cancelled("Stopped as you asked.") from None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        if sys.stderr.isatty():  # bypassing Python's buffer, which may be in use right now; and the cursor back on
            os.write(2, b"\x1b[?25h\nStopping after this step; press Ctrl-C again to end at once.\n")


stop = StopRequest()


class ProgressLine:
    """Shows progress on stderr: one live line in a terminal, now and then a plain line in a file, nothing if quiet."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._live: Any = None
        self._task: Any = None
        self._phase, self._said = "", 0.0

    def __enter__(self) -> ProgressLine:
        if not self._quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from rich import progress
            from rich.console import Console

            self._live = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.TextColumn("{task.fields[left]}"),
                console=Console(stderr=True, force_terminal=True),
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
            self._task = self._live.add_task("starting", total=None, left="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, event: Progress) -> None:
        if self._live:
            left = f"{event.fraction:4.0%}{time_left(event)}"
            self._live.update(self._task, description=event.label, total=1, completed=event.fraction, left=left)
        elif not self._quiet:
            now = time.monotonic()
            due = event.phase != self._phase or event.step == event.total or now - self._said >= SECONDS_BETWEEN_LINES
            if due:
                self._phase, self._said = event.phase, now
                counted = f"{event.step} of {event.total} ({event.fraction:.0%}){time_left(event)}"
                print(f"{event.label}: {counted}", file=sys.stderr, flush=True)


def time_left(event: Progress) -> str:
    """As ", about 3 min left"; empty while nobody can tell and at the end."""
    if event.seconds_left is None or event.fraction >= 1:
        return ""
    seconds = event.seconds_left
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f", about {seconds / size:.0f} {unit} left"
    return f", about {seconds:.0f} s left"


def announce(*paths: Path | None) -> None:
    """Prints the paths written, one per line: as bytes, because a file name need not be text."""
    for path in paths:
        if path:
            typer.echo(os.fsencode(path))


def warn(*sentences: str) -> None:
    """Says on stderr what people should know of a result that was made all the same."""
    for sentence in sentences:
        print(f"note: {sentence}", file=sys.stderr)


def tell_confidence(report: dict[str, Any], quiet: bool) -> None:
    """Says on stderr how far the result can be believed, where the engine doubted it, and whether the blur varies."""
    if not quiet and report.get("confidence") is not None:
        typer.echo(f"Confidence {report['confidence']:.0%}. {report['confidence_sentence']}", err=True)
    if not quiet and "regions" in report:
        typer.echo(report["regions"]["sentence"], err=True)


def complain(error: BaseException) -> int:
    """Says on stderr what went wrong, in sentences, and returns the exit status."""
    message, hint, status = str(error), "", 1
    if isinstance(error, Cancelled):
        print(error, file=sys.stderr)
        return error.exit_status
    if isinstance(error, KernelFusionError):
        message, hint, status = error.message, error.hint, error.exit_status
        if error.code in OPTIONS and (error.code not in LARGE or "'fast'" in hint):
            hint = f"{hint} (options: {OPTIONS[error.code]})".strip()
    elif hasattr(error, "format_message"):  # typer's usage errors, whose class has no public name
        message, status = error.format_message().rstrip(".") + ".", 2
        hint = "See 'kf --help', and 'kf COMMAND --help' for the options of a command."
    elif is_out_of_memory(error):
        message, hint = "The memory did not suffice.", "Use a smaller part of the photo."
    else:
        message = f"Something went wrong that should not: {' '.join(message.split()) or type(error).__name__}"
        hint = "Run it again with KF_DEBUG=1 in the environment to see where, and please report it."
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    if os.environ.get("KF_DEBUG"):
        traceback.print_exception(error)
    return status
