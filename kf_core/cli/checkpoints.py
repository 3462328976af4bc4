"""The commands `kf checkpoints ...`: which priors there are, and to fetch one from the Hugging Face Hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kf_core.cli.console import announce, stop
from kf_core.errors import BadInput

Source = Annotated[str, typer.Argument(metavar="[REPO@REV]", help="On the Hub; without one, the project's own.")]

checkpoints = typer.Typer(help="Lists and fetches priors: what the patch network can start from (--prior).")


@checkpoints.callback(invoke_without_command=True)
def without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@checkpoints.command("list")
def list_command() -> None:
    """Lists the priors that are bundled, published or fetched, and where they lie. Asks nobody."""
    from kf_core.checkpoints import file, hub, load, sources

    places = {name: str(path) for name, path in load.PACKAGED.items()}
    if published := sources.published():
        places[published] = "not fetched yet"
    places |= {source: str(path) for path, source in sorted(hub.all_cached().items()) if path.name == file.WEIGHTS}
    width = max(map(len, places))
    announce(*(Path(f"{source:{width}}  {place}") for source, place in places.items()))


@checkpoints.command()
def pull(
    source: Source = "",
    force: Annotated[bool, typer.Option("--force", help="Fetch it even if it is here.")] = False,
) -> None:
    """Fetches a prior from the Hugging Face Hub, checks it and prints its path."""
    from kf_core.checkpoints import hub, load, sources

    source = source or sources.published()
    if source in ("", "auto", *load.PACKAGED):
        raise BadInput("There is nothing to fetch under that name.", "Give OWNER/NAME@REVISION.")
    wanted = sources.on_hub(source)
    with stop.at_once():
        path = hub.pull(wanted, force)
    if not wanted.pinned:
        pinned = f"{wanted.repo}@{path.parent.name}"
        print(f"note: '{wanted.revision}' is not pinned; to have the same again, use {pinned}.", file=sys.stderr)
    announce(path)
