"""`kf install-gimp` and `kf doctor`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kf_core import Unavailable

if TYPE_CHECKING:
    from kf_core.gimp_find import Gimp


def install_gimp(
    gimp_dir: Annotated[
        str | None,
        typer.Option(metavar="D", help="GIMP's own folder, or its plug-ins folder.", show_default="all that are found"),
    ] = None,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Remove the filter instead.")] = False,
) -> None:
    """Puts the filter into GIMP 3: Filters > Enhance > KernelFusion Super-Resolution."""
    from kf_core import gimp_find, gimp_install

    home, environment = Path.home(), gimp_find.without_own_environment(os.environ)
    if gimp_dir is not None:
        environment["GIMP3_DIRECTORY"] = str(gimp_find.given_folder(gimp_dir, home).parent)
    gimps = [] if uninstall else gimp_find.find_gimps(home, environment)
    folders = gimp_find.plugin_folders(home, environment, gimps)
    if uninstall:
        removed = [folder for folder in folders if gimp_install.uninstall(folder)]
        for folder in removed:
            typer.echo(f"Removed from {folder}. Restart a GIMP that is open.")
        if not removed:
            typer.echo("The filter is not installed.")
        return
    if not folders:
        old = gimp_find.too_old(home, environment)
        raise Unavailable(
            old or "No GIMP 3 was found.",
            "Install GIMP 3.0 or newer, or say where its folder is (Edit > Preferences > Folders).",
        )
    engine = gimp_install.engine_python()
    if told := gimp_install.greet(engine, home, environment):
        raise Unavailable(told, "Install KernelFusion again; 'kf doctor' says more.")
    for folder in folders:
        typer.echo(f"Installed {gimp_install.install(folder, engine)}")
    if not gimps:
        typer.echo(
            "No GIMP could be started to ask whether it sees the filter. Start GIMP and look in Filters > Enhance."
        )
    seen = [_ask(gimp, home, environment) for gimp in gimps]
    if False in seen:
        raise Unavailable("GIMP does not see the filter.", "Run 'kf doctor' and look at what it says.")
    typer.echo("Restart a GIMP that is open.")


def _ask(gimp: Gimp, home: Path, environment: dict[str, str]) -> bool | None:
    """Asks one GIMP, says what it said, and returns whether it has the filter."""
    from kf_core import gimp_find, gimp_install

    answer = gimp_install.ask(gimp, environment)
    if answer.seen:
        typer.echo(f"GIMP {gimp.version} ({gimp.kind}) has it: Filters > Enhance > KernelFusion Super-Resolution.")
    else:
        typer.echo(f"GIMP {gimp.version} ({gimp.kind}): {answer.why or 'it does not see the filter.'}")
    if unreachable := gimp_find.unreachable_for(gimp, home):
        typer.echo(f"{unreachable} Install KernelFusion with a Python inside your home folder, for example uv's.")
    return answer.seen


def doctor() -> None:
    """Prints what a bug report needs: versions, devices, GIMP, the ends of the logs. Nothing private."""
    from kf_core.doctor import examine

    for line in examine(Path.home(), dict(os.environ)):
        typer.echo(line)
