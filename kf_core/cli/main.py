"""The command `kf`: files in, files out, one live line in between.

Everything is checked before the long run and nothing is written until it has succeeded. torch and Pillow are imported
when a command runs, so that `kf --help` answers at once.
"""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import kf_core
from kf_core.cli.checkpoints import checkpoints
from kf_core.cli.console import Device, ProgressLine, Quiet, Report, Seed, announce, complain, stop, tell_confidence
from kf_core.cli.gimp import doctor, install_gimp
from kf_core.cli.train_prior import train_prior
from kf_core.errors import Cancelled
from kf_core.settings import PRESETS, Settings

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})

Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="The small photo: PNG, JPEG, TIFF or WebP.")]
Scale = Annotated[int, typer.Option(min=2, max=4, help="How many times larger: 2, 3 or 4.")]
Preset = Annotated[str, typer.Option(help=f"How much work to put in: {', '.join(PRESETS)}.")]
KernelSize = Annotated[
    int | None, typer.Option(min=2, help="Taps per side of the kernel.", show_default="about six photo pixels")
]
Prior = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|REPO@REV|bundled|auto",
        help="What the patch network starts from; see 'kf checkpoints'.",
        show_default="the preset's",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace files that are there already.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change one setting, as recovery.iterations=40; repeatable."),
]


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
        typer.Option(
            "-o", "--output", metavar="OUT", help="The result.", show_default="PHOTO_x4.png, or the next free name"
        ),
    ] = None,
    scale: Scale = 4,
    preset: Preset = "fast",
    kernel_size: KernelSize = None,
    prior: Prior = None,
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
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Enlarges a photo 2, 3 or 4 times, together with the kernel that once shrank it."""
    settings = make_settings(preset, scale, kernel_size, seed, device, overrides, prior)
    with ProgressLine(quiet) as line:
        from kf_core.files import kernels, outputs
        from kf_core.files.picture import Picture, read_picture, write_picture

        picture = read_picture(photo)
        output = output or outputs.free_name(photo.with_name(f"{photo.stem}_x{settings.scale}.png"))
        known = kernels.read_kernel(kernel, kernel_size) if kernel else None
        outputs.check_outputs([photo, kernel], [output, side_by_side], save_kernel, report, replace=force)
        result = kf_core.super_resolve(picture.pixels, settings, kernel=known, progress=line, should_stop=stop)
        assert result.image is not None
        dpi = picture.dpi and (picture.dpi[0] * settings.scale, picture.dpi[1] * settings.scale)
        if side_by_side:
            sheet = outputs.make_sheet(picture.pixels, result.image, result.kernel)
    if stop():  # asked for after the engine's last look
        raise Cancelled()

    write_picture(output, Picture(result.image, picture.profile, dpi, picture.exif))
    if save_kernel:
        kernels.write_kernel(save_kernel, result.kernel)
    if side_by_side:
        write_picture(side_by_side, Picture(sheet, picture.profile))
    if report:
        outputs.write_report(report, result.report)
    tell_confidence(result.report, quiet)
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
    prior: Prior = None,
    report: Report = None,
    device: Device = "auto",
    seed: Seed = 0,
    overrides: Overrides = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Recovers only the kernel that shrank a photo."""
    settings = make_settings(preset, scale, kernel_size, seed, device, overrides, prior)
    with ProgressLine(quiet) as line:
        from kf_core.files import kernels, outputs
        from kf_core.files.picture import read_picture

        picture = read_picture(photo)
        outputs.check_outputs([photo], [], output, report, replace=force)
        result = kf_core.recover_kernel(picture.pixels, settings, progress=line, should_stop=stop)
    if stop():
        raise Cancelled()

    kernels.write_kernel(output, result.kernel)
    if report:
        outputs.write_report(report, result.report)
    announce(output, report)


def make_settings(
    preset: str,
    scale: int,
    kernel_size: int | None,
    seed: int,
    device: str,
    overrides: list[str] | None,
    prior: str | None = None,
) -> Settings:
    """The preset with the options on top. Raises BadInput."""
    settings = Settings.preset(preset, scale=scale, kernel_size=kernel_size, seed=seed, device=device)
    if prior is not None:
        settings = replace(settings, patches=replace(settings.patches, prior=prior))
    return settings.with_overrides(overrides) if overrides else settings


app.command("train-prior")(train_prior)
app.add_typer(checkpoints, name="checkpoints")
app.command("install-gimp")(install_gimp)
app.command("doctor")(doctor)


def main() -> None:
    """The entry point: runs the command line and ends the process with its exit status."""
    stop.listen()
    # Before torch loads: its threads then sleep while they wait, or a busy machine slows them down many times over.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not os.environ.get("KF_DEBUG"):  # libraries are silent, what matters to people comes as an error of ours
        os.environ.setdefault("HF_HUB_VERBOSITY", "critical")
        warnings.simplefilter("ignore")
    try:
        # Not standalone, so that usage errors arrive here and look like all others.
        status = typer.main.get_command(app).main(sys.argv[1:] or ["--help"], prog_name="kf", standalone_mode=False)
    except Exception as error:
        status = complain(error)
    sys.exit(status)
