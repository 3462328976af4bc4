"""The command that trains a prior: `kf train-prior`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from kf_core.cli.console import Device, ProgressLine, Quiet, Report, Seed, announce, stop

BUNDLED = "as the bundled prior"


class NetworkKind(str, Enum):
    pd = "pd"
    ffdnet = "ffdnet"


def train_prior(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of sharp photos.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="prior.safetensors", help="The prior.")],
    network: Annotated[
        NetworkKind, typer.Option(help="The patch prior, or a denoiser that is quicker at making images.")
    ] = NetworkKind.pd,
    start: Annotated[
        str | None, typer.Option("--from", metavar="PRIOR", help="Begin with this prior's weights, to specialise it.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of training.", show_default=BUNDLED)] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Width of the network.", show_default=BUNDLED)] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Crops per step.", show_default=BUNDLED)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    report: Report = None,
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learns what patches of sharp photos look like, for --prior FILE to start from.

    A tenth of the photos is held out and only used to measure. An index.json in the folder, a list of {"file",
    "author", "license", "source"}, becomes the attribution list of the model card.
    """
    with ProgressLine(quiet) as line:
        from kf_core.files import outputs
        from kf_core.training.train_prior import train_prior as train

        outputs.check_outputs([], report=report, prior=output)
        options = {"steps": steps, "channels": channels, "batch": batch}  # None: as in the recipe
        asked: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        about = train(
            folder,
            output,
            network=network.value,
            start=start,
            **asked,
            seed=seed,
            device=device,
            resume=resume,
            progress=line,
            should_stop=stop,
        )
    if report:
        outputs.write_report(report, about)
    announce(output, report)
