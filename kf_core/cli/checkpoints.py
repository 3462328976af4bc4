"""The commands `kf checkpoints ...`: which priors there are, and to fetch one (Hugging Face Hub)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kf_core.cli.console import announce, stop
from kf_core.errors import BadInput

HELP = "Lists and fetches priors: what the patch network can start from (--prior)."
NOT_HERE = "not fetched yet"

checkpoints = typer.Typer(help=HELP)


@checkpoints.callback(invoke_without_command=True)
def without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@checkpoints.command("list")
def list_command() -> None:
    """Lists the priors that are bundled, published or fetched: source, channels, size, place. Asks nobody."""
    from kf_core.checkpoints import hub, sources
    from kf_core.checkpoints.file import BUNDLED, read_checkpoint

    def row(source: str, path: Path | None, sha256: str | None = None) -> tuple[str, str, str, str]:
        if path is None:
            return source, "-", "-", NOT_HERE
        try:
            channels = str(read_checkpoint(path, sha256).network.config["channels"])
        except BadInput:
            channels = "damaged"
        size = f"{path.stat().st_size / 2**20:.1f} MiB" if path.is_file() else "-"
        return source, channels, size, str(path)

    rows = [("SOURCE", "CHANNELS", "SIZE", "PLACE"), row("bundled", BUNDLED)]
    for name in sources.PUBLISHED:
        wanted = sources.on_hub(name)
        here = hub.cached(wanted)
        rows.append(row(name, here and here.path, wanted.sha256))
    rows += [row(f"{found.repo}@{found.commit}", found.path) for found in hub.all_cached()]
    widths = [max(len(line[i]) for line in rows) for i in range(3)]
    for line in rows:
        announce(Path("  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3]])))


@checkpoints.command()
def path(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As for --prior.")],
) -> None:
    """Prints where the file of a prior lies on this computer. Asks nobody: 'pull' fetches what is not there."""
    from kf_core.checkpoints import sources

    names = sources.candidates(source)
    for name in names:
        try:
            found = sources.find(name, ask_hub=False)
            break
        except BadInput:
            if name == names[-1]:
                raise
    if not found.path.is_file():
        raise BadInput(f"There is no prior checkpoint at {found.path}.", sources.FORMS)
    announce(found.path)


@checkpoints.command()
def pull(
    source: Annotated[
        str, typer.Argument(metavar="REPO@REV|NAME", help="A repository on the Hub or a published name.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Fetch it even if it is here.")] = False,
) -> None:
    """Fetches a prior from the Hugging Face Hub, checks it and prints its path."""
    from kf_core.checkpoints import hub, sources

    if source in ("bundled", "auto") or (source not in sources.PUBLISHED and sources.looks_like_a_path(source)):
        raise BadInput(f"'{source}' is nothing to fetch.", "Give OWNER/NAME@REVISION or a published name.")
    wanted = sources.on_hub(source)
    with stop.at_once():
        found = hub.pull(wanted, force)
    if not wanted.pinned:
        remark(f"'{wanted.revision}' is not pinned; to have the same again, use {found.repo}@{found.commit}.")
    announce(found.path)


def remark(text: str, kind: str = "note") -> None:
    """On stderr, as errors are."""
    print(f"{kind}: {text}", file=sys.stderr)
