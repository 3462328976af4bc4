"""The commands `kf checkpoints ...`: which priors there are, and to fetch or publish one (Hugging Face Hub)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kf_core.console import announce, stop
from kf_core.errors import BadInput

HELP = "Lists, fetches and publishes priors: what the patch network can start from (--prior)."
NOT_HERE = "not fetched yet"

checkpoints = typer.Typer(help=HELP)


@checkpoints.callback(invoke_without_command=True)
def without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@checkpoints.command("list")
def list_command() -> None:
    """Lists the priors that are bundled, published or fetched: source, channels, size, place. Asks nobody."""
    from kf_core import hub, sources
    from kf_core.checkpoints import BUNDLED, read_checkpoint

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
    from kf_core import sources

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
    from kf_core import hub, sources

    if source in ("bundled", "auto") or (source not in sources.PUBLISHED and sources.looks_like_a_path(source)):
        raise BadInput(f"'{source}' is nothing to fetch.", "Give OWNER/NAME@REVISION or a published name.")
    wanted = sources.on_hub(source)
    with stop.at_once():
        found = hub.pull(wanted, force)
    if not wanted.pinned:
        remark(f"'{wanted.revision}' is not pinned; to have the same again, use {found.repo}@{found.commit}.")
    announce(found.path)


@checkpoints.command()
def push(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The prior, a .safetensors file.")],
    repo: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository, made if there is none.")],
    private: Annotated[bool, typer.Option("--private", help="If it is made: visible to its owner only.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be uploaded; ask nobody.")] = False,
    licence: Annotated[str, typer.Option(metavar="ID", help="The licence, as the Hub calls it.")] = "apache-2.0",
) -> None:
    """Publishes a prior with its model card on the Hugging Face Hub and prints OWNER/NAME@COMMIT."""
    import tempfile

    from kf_core import publish

    with stop.at_once(), tempfile.TemporaryDirectory() as folder:
        prepared = publish.prepare(file, Path(folder), repo, licence)
        for warning in prepared.warnings:
            remark(warning, "warning")
        if dry_run:
            typer.echo(f"would go to {repo}{' (private, if it is made)' if private else ''}:")
            for name, size, sha256 in prepared.files:
                typer.echo(f"{sha256}  {size:>9}  {name}")
            typer.echo("\n" + (prepared.folder / publish.CARD).read_text(encoding="utf-8"), nl=False)
        else:
            typer.echo(f"{repo}@{publish.push(prepared, repo, private)}")


def remark(text: str, kind: str = "note") -> None:
    """On stderr, as errors are."""
    print(f"{kind}: {text}", file=sys.stderr)
