"""`kf batch`: a folder of photos in, a folder of larger ones out."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from kf_core.cli.console import Device, ProgressLine, Quiet, Seed, announce, stop, warn
from kf_core.cli.options import (
    KernelSize,
    Overrides,
    Preset,
    Prior,
    Quality,
    Scale,
    Seconds,
    Varying,
    make_settings,
)
from kf_core.errors import KernelFusionError

SHARED, PER_PHOTO = "shared", "per-photo"


def batch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the photos.")],
    output: Annotated[Path, typer.Option("-o", "--out", metavar="DIR2", help="The folder of the results.")],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="The folders inside too.")] = False,
    scale: Scale = 4,
    preset: Preset = "fast",
    kernel: Annotated[
        str,
        typer.Option(
            metavar="per-photo|shared|FILE",
            help="Each photo's own, one found for all (same camera and lens), or a known one from a file.",
        ),
    ] = PER_PHOTO,
    seconds: Seconds = None,
    varying: Varying = False,
    kernel_size: KernelSize = None,
    prior: Prior = None,
    form: Annotated[
        str, typer.Option("--format", metavar="png|jpg|webp|avif|tif|same", help="Of the results; same: the photo's.")
    ] = "png",
    quality: Quality = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Photos at a time.", show_default="one for each graphics card, or 1"),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a Dask scheduler whose workers do the work instead.")
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Enlarges every photo of a folder. The same command goes on where it was stopped.

    What is done already, with the same settings and of the same photo, is left as it is. A photo that cannot be used
    does not stop the others. kf-batch.csv and kf-batch.html between the results say how each went.
    """
    settings = make_settings(preset, scale, kernel_size, seed, device, overrides, prior, varying)
    with ProgressLine(quiet) as line:
        from kf_core.batch.plan import Batch
        from kf_core.batch.run import run_batch

        asked = Batch(
            folder, output, settings, recursive, None, kernel == SHARED, form, quality, workers, cluster, seconds
        )
        if kernel not in (SHARED, PER_PHOTO):
            from kf_core.cli.upscale import known_kernel

            known, said = known_kernel(Path(kernel), kernel_size, settings.scale, True)
            warn(*said)
            asked = replace(asked, kernel=known)
        summary = run_batch(asked, line, stop)
    warn(*summary.notes, *(f"{entry.photo}: {entry.sentence}" for entry in summary.failed))
    photos = summary.done + summary.before + len(summary.failed)
    if not quiet:
        before = f", {summary.before} were done before" if summary.before else ""
        print(f"{summary.done} of {photos} photos were enlarged{before}.", file=sys.stderr)
    announce(summary.table, summary.page)
    if summary.failed:
        hint = f"The reasons are in '{summary.table}'; the same command tries these again."
        raise KernelFusionError(f"{len(summary.failed)} of {photos} photos failed.", hint)
