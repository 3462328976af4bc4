"""The options that several commands of `kf` share, and the settings they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from kf_core.settings import MOST_REGIONS, PRESETS, Settings

Photo = Annotated[
    Path, typer.Argument(metavar="PHOTO", help="The small photo: PNG, JPEG, TIFF, WebP, AVIF, HEIC, GIF, BMP or JP2.")
]
Scale = Annotated[int, typer.Option(min=1, max=4, help="How many times larger: 2, 3 or 4; 1: sharper only.")]
Preset = Annotated[str, typer.Option(help=f"How much work to put in: {', '.join(PRESETS)}.")]
KernelSize = Annotated[
    int | None, typer.Option(min=2, help="Taps per side of the kernel.", show_default="about six photo pixels")
]
Prior = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|REPO@REV|bundled|auto",
        help="What the patch network starts from; see 'kf checkpoints'.",
        show_default="the preset's",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace files that are there already.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change one setting, as recovery.iterations=40; repeatable."),
]
Dpi = Annotated[
    float | None,
    typer.Option(min=1, max=100_000, help="Dots per inch of the result.", show_default="the photo's times the scale"),
]
Quality = Annotated[
    int | None,
    typer.Option(
        min=1, max=100, help="Of a JPEG, WebP or AVIF.", show_default="95 as JPEG, 90 as AVIF, a WebP without loss"
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(min=1, help="About how long a photo may take: a large one gets fewer passes, and loses a little."),
]
Varying = Annotated[
    bool, typer.Option("--varying", help="Look for blur that varies over the photo, as of a camera that was turned.")
]
Centre = Annotated[
    bool,
    typer.Option(
        "--centre/--no-centre",
        help="Move the centre of mass of a given kernel to its middle, so that the picture is not moved.",
    ),
]


def make_settings(
    preset: str,
    scale: int,
    kernel_size: int | None,
    seed: int,
    device: str,
    overrides: list[str] | None,
    prior: str | None = None,
    varying: bool = False,
) -> Settings:
    """The preset with the options on top. Raises BadInput."""
    settings = Settings.preset(preset, scale=scale, kernel_size=kernel_size, seed=seed, device=device)
    if prior is not None:
        settings = replace(settings, patches=replace(settings.patches, prior=prior))
    if varying:
        settings = replace(settings, varying=replace(settings.varying, regions=MOST_REGIONS))
    return settings.with_overrides(overrides) if overrides else settings
