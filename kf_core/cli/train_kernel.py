"""The command that trains the kernel estimator: `kf train-kernel`, also `python -m kf_core.cli.train_kernel`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kf_core.cli.console import Device, Quiet, Seed, announce, complain, stop

Samples = Annotated[int, typer.Option(min=1, help="Crops to learn from; the learning rate falls until there.")]


def train_kernel(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of sharp photos.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="corrnet.safetensors", help="The weights.")],
    samples: Samples = 3_000_000,
    check_every: Annotated[int, typer.Option(min=1, help="Crops between two checks, which also write -o.")] = 20_000,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    start: Annotated[
        Path | None, typer.Option("--from", metavar="W.safetensors", help="Begin with the weights of a training.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Crops a worker learns from at a time; on a GPU about 512.")] = 16,
    workers: Annotated[int, typer.Option(min=1, help="Threads that learn at a time; on a GPU 1.")] = 2,
    processes: Annotated[int, typer.Option(min=0, help="Processes that make crops ahead; 0: the workers do.")] = 0,
    device: Device = "cpu",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learns to see the kernel of a photo, from sharp photos shrunk with random kernels.

    Takes hours on a CPU, minutes on a GPU with enough processes. What was learned so far is kept beside the output
    every two minutes and when it is stopped. A tenth of the photos is held out and only used to measure; one line of
    numbers is shown per check.
    """
    from kf_core.training.train_kernel import Recipe
    from kf_core.training.train_kernel import train_kernel as train

    train(
        folder,
        output,
        recipe=Recipe(samples=samples, batch=batch, workers=workers),
        seed=seed,
        resume=resume,
        start=start,
        check_every=check_every,
        tell=(lambda line: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True)),
        should_stop=stop,
        device=device,
        processes=processes,
    )
    announce(output)


def main() -> int:
    app = typer.Typer(add_completion=False)
    app.command()(train_kernel)
    stop.listen()
    try:
        app(standalone_mode=False)
    except Exception as error:
        return complain(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
