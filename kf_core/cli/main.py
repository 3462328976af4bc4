"""The command `kf`: files in, files out, one live line in between.

Everything is checked before the long run and nothing is written until it has succeeded. torch and Pillow are imported
when a command runs, so that `kf --help` answers at once.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

import kf_core
from kf_core.cli import kernel
from kf_core.cli.batch import batch
from kf_core.cli.checkpoints import checkpoints
from kf_core.cli.console import complain, stop
from kf_core.cli.degrade import degrade
from kf_core.cli.gimp import doctor, install_gimp
from kf_core.cli.options import make_settings
from kf_core.cli.train_kernel import train_kernel
from kf_core.cli.train_prior import train_prior
from kf_core.cli.upscale import mix, upscale

__all__ = ["app", "main", "make_settings"]

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


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


app.command()(upscale)
app.command()(batch)
app.add_typer(kernel.app, name="kernel")
app.command()(degrade)
app.command()(mix)
app.command("train-prior")(train_prior)
app.command("train-kernel")(train_kernel)
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
