"""The command that trains a prior: `kf train-prior`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kf_core.console import ProgressLine, Quiet, Seed, announce, stop

BUNDLED = "as the bundled prior"


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
