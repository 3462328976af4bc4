"""`kf upscale` and `kf mix`: a photo in, a larger one out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import kf_core
from kf_core.cli.console import Device, ProgressLine, Quiet, Report, Seed, announce, stop, tell_confidence, warn
from kf_core.cli.options import (
    Centre,
    Dpi,
    Force,
    KernelSize,
    Overrides,
    Photo,
    Preset,
    Prior,
    Quality,
    Scale,
    Seconds,
    Varying,
    make_settings,
)
from kf_core.enlarged import larger, times, visible
from kf_core.errors import BadInput, Cancelled, CannotWrite

if TYPE_CHECKING:
    import numpy as np

    from kf_core.files.outputs import Planned
    from kf_core.files.picture import Picture
    from kf_core.result import SuperResolution

Strength = Annotated[
    float,
    typer.Option(min=0, max=1, help="Share of the sharpened picture in the result; the rest is the plain enlargement."),
]


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
        Path | None,
        typer.Option(
            metavar="K.npy|.npz|.mat|.txt|.csv|.png", help="The kernel, if it is known; only the image is recovered."
        ),
    ] = None,
    centre: Centre = True,
    strength: Strength = 1.0,
    seconds: Seconds = None,
    varying: Varying = False,
    save_kernel: Annotated[
        Path | None,
        typer.Option(
            metavar="K.npy|K.png",
            help="Also write the kernel, as numbers or as a picture; where the blur varies, K_map.png too.",
        ),
    ] = None,
    side_by_side: Annotated[
        Path | None, typer.Option(metavar="SHEET.png", help="Also write photo, bicubic, result and kernel as one.")
    ] = None,
    report: Report = None,
    dpi: Dpi = None,
    quality: Quality = None,
    device: Device = "auto",
    seed: Seed = 0,
    overrides: Overrides = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Enlarges a photo 2, 3 or 4 times, together with the kernel that once shrank it; --scale 1 only sharpens it."""
    settings = make_settings(preset, scale, kernel_size, seed, device, overrides, prior, varying)
    with contextlib.ExitStack() as until_written:
        with ProgressLine(quiet) as line:
            from kf_core.files import outputs
            from kf_core.files.encode import format_of
            from kf_core.files.figure import kernels_picture
            from kf_core.files.picture import Picture, read_picture
            from kf_core.kept import kept

            picture = read_picture(photo, transparency=True)
            output = output or outputs.default_name(photo, f"_x{settings.scale}.png")
            if dpi and not format_of(output).resolution:
                raise CannotWrite(f"'{output.name}' cannot say a resolution.", "Leave it out, or write a .png or .jpg.")
            known, said = None, picture.warnings
            if kernel:
                known, fitted = known_kernel(kernel, kernel_size, settings.scale, centre)
                said += fitted
            if seconds:
                from kf_core.pace import within

                height, width = picture.pixels.shape[:2]
                pace = within(seconds, width, height, settings, known is not None)
                settings, said = pace.settings, said + pace.sentences
            planned = plan(picture, settings.scale, output, side_by_side, quality)
            kernel_map = (
                save_kernel.with_name(f"{save_kernel.stem}_map.png")
                if save_kernel and settings.varying.regions > 1
                else None
            )
            outputs.check_outputs([photo, kernel], [kernel_map], save_kernel, report, replace=force, planned=planned)
            colour, hidden = visible(picture)
            folder = until_written.enter_context(kept(colour, settings, known))
            result = kf_core.super_resolve(
                colour, settings, kernel=known, progress=line, should_stop=stop, unfinished=folder
            )
            assert result.image is not None
        if stop():  # asked for after the engine's last look
            raise Cancelled()

        from kf_core.adjust import weaken

        told = dict(result.report) | ({"strength": strength} if strength < 1 else {})
        if said:
            told["warnings"] = [*told.get("warnings", ()), *said]
        image = weaken(result.image, picture.pixels, strength)
        resolution = (dpi, dpi) if dpi else times(picture.dpi, settings.scale)
        finished = replace(picture, pixels=image, dpi=resolution, alpha=larger(hidden, image), warnings=())
        jobs = outputs.Jobs()
        if save_kernel:
            jobs.kernel(save_kernel, result.kernel)
        if kernel_map and result.kernels is not None:
            kernels = result.kernels.kernels
            jobs.sheet(kernel_map, lambda: Picture(kernels_picture(kernels)))
        if report:
            jobs.report(report, told)
        jobs.picture(output, finished, quality)
        if side_by_side:
            jobs.sheet(side_by_side, lambda: sheet(picture, result, image))
        warn(*told.get("warnings", ()), *jobs.warnings)
        tell_confidence(told, quiet)
        announce(
            *(
                jobs.written.get(path)
                for path in (output, save_kernel, kernel_map, side_by_side, report)
                if path in jobs.written
            )
        )
        if jobs.failed:
            raise jobs.failed


def mix(
    photo: Photo,
    large: Annotated[Path, typer.Argument(metavar="LARGE", help="What 'kf upscale' made of it.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The mixture.")],
    strength: Strength = 0.5,
    quality: Quality = None,
    force: Force = False,
) -> None:
    """Mixes a result with the plain enlargement of its photo, without a new run."""
    from kf_core.adjust import weaken
    from kf_core.files import outputs
    from kf_core.files.picture import read_picture, write_picture

    small, result = read_picture(photo, transparency=True), read_picture(large, transparency=True)
    scale = result.pixels.shape[0] // small.pixels.shape[0]
    if result.pixels.shape[:2] != tuple(side * scale for side in small.pixels.shape[:2]):
        raise BadInput(f"'{large.name}' is not '{photo.name}' enlarged.", "Give the photo and what was made of it.")
    planned = plan(small, scale, output, None, quality)
    outputs.check_outputs([photo, large], [], replace=force, planned=planned)
    image = weaken(result.pixels, small.pixels, strength)
    warn(*small.warnings, *write_picture(output, replace(result, pixels=image), quality=quality))
    announce(output)


def known_kernel(path: Path, size: int | None, scale: int, centre: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """(a kernel from a file as the engine takes it, what people should know of it). Raises BadKernel."""
    from kf_core.files.fit import fit_kernel
    from kf_core.files.kernels import read_kernel
    from kf_core.physics.kernel import largest_kernel_size

    return fit_kernel(read_kernel(path, size), scale, largest_kernel_size(scale), centre)


def plan(
    picture: Picture, scale: int, output: Path, side_by_side: Path | None, quality: int | None
) -> Sequence[Planned]:
    """What will be written of the enlarged photo."""
    from kf_core.files.figure import sheet_size
    from kf_core.files.outputs import Planned

    planned = [Planned.enlarged(picture, scale, output, quality)]
    if side_by_side:
        planned.append(Planned(side_by_side, sheet_size(*planned[0].size)))
    return planned


def sheet(picture: Picture, result: SuperResolution, image: np.ndarray) -> Picture:
    from kf_core.files import outputs
    from kf_core.files.picture import Picture

    return Picture(outputs.make_sheet(picture.pixels, image, result.kernel), picture.profile)
