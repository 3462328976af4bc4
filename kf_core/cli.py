"""The command `kf`: files in, files out, one live line in between.

Everything is checked before the long run and nothing is written until it has succeeded. torch and Pillow are imported
when a command runs, so that `kf --help` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

import kf_core
from kf_core.errors import BadInput, Cancelled, KernelFusionError
from kf_core.progress import Progress
from kf_core.settings import PRESETS, Settings

BUNDLED = "as the bundled prior"
SECONDS_BETWEEN_LINES = 10  # of progress, where stderr is a file

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})

Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="The small photo: PNG, JPEG, TIFF or WebP.")]
Scale = Annotated[int, typer.Option(min=2, max=4, help="How many times larger: 2, 3 or 4.")]
Preset = Annotated[str, typer.Option(help=f"How much work to put in: {', '.join(PRESETS)}.")]
KernelSize = Annotated[
    int | None, typer.Option(min=2, help="Taps per side of the kernel.", show_default="about six photo pixels")
]
Device = Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda or mps.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result again.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change one setting, as recovery.iterations=40; repeatable."),
]
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
            counted = f"{event.step}/{event.total}{time_left(event)}"
            self._live.update(
                self._task, description=event.phase, total=event.total, completed=event.step, left=counted
            )
        elif not self._quiet:
            now = time.monotonic()
            due = event.phase != self._phase or event.step == event.total or now - self._said >= SECONDS_BETWEEN_LINES
            if due:
                self._phase, self._said = event.phase, now
                print(f"{event.phase}: {event.step} of {event.total}{time_left(event)}", file=sys.stderr, flush=True)


def time_left(event: Progress) -> str:
    """As ", about 3 min left"; empty while nobody can tell and at the end."""
    if event.seconds_left is None or event.step == event.total:
        return ""
    seconds = event.seconds_left
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f", about {seconds / size:.0f} {unit} left"
    return f", about {seconds:.0f} s left"


def print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kf {kf_core.__version__}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version.")
    ] = False,
) -> None:
    """Recovers the large photo and the kernel that shrank it, from the small photo alone."""


@app.command()
def upscale(
    photo: Photo,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="OUT", help="The result.", show_default="PHOTO_x4.png, beside PHOTO"),
    ] = None,
    scale: Scale = 4,
    preset: Preset = "fast",
    kernel_size: KernelSize = None,
    kernel: Annotated[
        Path | None, typer.Option(metavar="K.npy", help="The kernel, if it is known; only the image is recovered.")
    ] = None,
    save_kernel: Annotated[
        Path | None, typer.Option(metavar="K.npy|K.png", help="Also write the kernel, as numbers or as a picture.")
    ] = None,
    side_by_side: Annotated[
        Path | None, typer.Option(metavar="SHEET.png", help="Also write photo, bicubic, result and kernel as one.")
    ] = None,
    report: Report = None,
    device: Device = "auto",
    seed: Seed = 0,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Enlarges a photo 2, 3 or 4 times, together with the kernel that once shrank it."""
    settings = make_settings(preset, scale, kernel_size, seed, device, overrides)
    output = output or photo.with_name(f"{photo.stem}_x{settings.scale}.png")
    with ProgressLine(quiet) as line:
        from kf_core import outputs
        from kf_core.picture import Picture, read_picture, write_picture

        picture = read_picture(photo)
        known = outputs.read_kernel(kernel, kernel_size) if kernel else None
        outputs.check_outputs([photo, kernel], [output, side_by_side], save_kernel, report)
        result = kf_core.super_resolve(picture.pixels, settings, kernel=known, progress=line, should_stop=stop)
        dpi = picture.dpi and (picture.dpi[0] * settings.scale, picture.dpi[1] * settings.scale)
        if side_by_side:
            sheet = outputs.make_sheet(picture.pixels, result.image, result.kernel)
    if stop():  # asked for after the engine's last look
        raise Cancelled()

    write_picture(output, Picture(result.image, picture.profile, dpi, picture.exif))
    if save_kernel:
        outputs.write_kernel(save_kernel, result.kernel)
    if side_by_side:
        write_picture(side_by_side, Picture(sheet, picture.profile))
    if report:
        outputs.write_report(report, result.report)
    announce(output, save_kernel, side_by_side, report)


@app.command("kernel")
def kernel_command(
    photo: Photo,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="K.npy|K.png", help="The kernel, as numbers or as a picture.")
    ],
    scale: Scale = 4,
    preset: Preset = "fast",
    kernel_size: KernelSize = None,
    report: Report = None,
    device: Device = "auto",
    seed: Seed = 0,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Recovers only the kernel that shrank a photo."""
    settings = make_settings(preset, scale, kernel_size, seed, device, overrides)
    with ProgressLine(quiet) as line:
        from kf_core import outputs
        from kf_core.picture import read_picture

        picture = read_picture(photo)
        outputs.check_outputs([photo], [], output, report)
        result = kf_core.recover_kernel(picture.pixels, settings, progress=line, should_stop=stop)
    if stop():
        raise Cancelled()

    outputs.write_kernel(output, result.kernel)
    if report:
        outputs.write_report(report, result.report)
    announce(output, report)


def make_settings(
    preset: str, scale: int, kernel_size: int | None, seed: int, device: str, overrides: list[str] | None
) -> Settings:
    """The preset with the options on top. Raises BadInput."""
    if preset not in PRESETS:
        raise BadInput(f"There is no preset '{preset}'.", f"Choose one of {', '.join(PRESETS)}.")
    settings = Settings.preset(preset, scale=scale, kernel_size=kernel_size, seed=seed, device=device)
    return settings.with_overrides(overrides) if overrides else settings


@app.command("train-prior")
def train_prior(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of sharp photos.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="prior.safetensors", help="The prior.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of training.", show_default=BUNDLED)] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Width of the network.", show_default=BUNDLED)] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learns what patches of sharp photos look like, for --set patches.prior=FILE to start from."""
    with ProgressLine(quiet) as line:
        from kf_core import outputs
        from kf_core.train_prior import train_prior as train

        outputs.check_outputs([], prior=output)
        asked = {"steps": steps, "channels": channels}
        asked = {name: value for name, value in asked.items() if value is not None}  # the rest is the recipe's
        train(folder, output, **asked, seed=seed, progress=line, should_stop=stop)
    announce(output)


def announce(*paths: Path | None) -> None:
    """Prints the paths written, one per line: as bytes, because a file name need not be text."""
    for path in paths:
        if path:
            typer.echo(os.fsencode(path))


def complain(error: BaseException) -> int:
    """Says on stderr what went wrong, in sentences, and returns the exit status."""
    message, hint, status = str(error), "", 1
    out_of_memory = "Use a smaller photo or crop, or the 'fast' preset."
    if isinstance(error, Cancelled):
        print(error.message, file=sys.stderr)
        return error.exit_status
    if isinstance(error, KernelFusionError):
        message, hint, status = error.message, error.hint, error.exit_status
    elif hasattr(error, "format_message"):  # typer's usage errors, whose class has no public name
        message, status = error.format_message().rstrip(".") + ".", 2
        hint = "See 'kf --help', and 'kf COMMAND --help' for the options of a command."
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "allocate memory" in message:
        message, hint = "The memory did not suffice.", out_of_memory
    else:
        message = f"Something went wrong that should not: {' '.join(message.split()) or type(error).__name__}"
        hint = "Run it again with KF_DEBUG=1 in the environment to see where, and please report it."
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    if os.environ.get("KF_DEBUG"):
        traceback.print_exception(error)
    return status


def main() -> None:
    """The entry point: runs the command line and ends the process with its exit status."""
    stop.listen()
    # Before torch loads: its threads then sleep while they wait, or a busy machine slows them down many times over.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        # Not standalone, so that usage errors arrive here and look like all others.
        status = typer.main.get_command(app).main(sys.argv[1:] or ["--help"], prog_name="kf", standalone_mode=False)
    except Exception as error:
        status = complain(error)
    sys.exit(status)
