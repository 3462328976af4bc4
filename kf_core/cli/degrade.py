"""`kf degrade`: blurs and shrinks a sharp photo, for tests whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from kf_core.cli.console import Seed, announce, warn
from kf_core.cli.options import Centre, Force, Quality, Scale
from kf_core.errors import TooSmall
from kf_core.settings import SMALLEST


def degrade(
    photo: Annotated[Path, typer.Argument(metavar="SHARP", help="A sharp photo.")],
    kernel: Annotated[Path, typer.Option("--kernel", metavar="K", help="What to blur it with.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="SMALL", help="The small photo.")],
    scale: Scale = 4,
    centre: Centre = True,
    noise: Annotated[float, typer.Option(min=0, max=255, help="Standard deviation of noise, in grey levels.")] = 0.0,
    quality: Quality = None,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Makes the small photo that a kernel would have made of a sharp one: the reverse of 'kf upscale'.

    Rows and columns that do not fill a block of the scale are cut off at the bottom and at the right.
    """
    import numpy as np
    import torch

    from kf_core.cli.upscale import known_kernel
    from kf_core.files import outputs
    from kf_core.files.picture import read_picture, write_picture
    from kf_core.physics.blur import UniformBlur

    picture = read_picture(photo)
    taps, said = known_kernel(kernel, None, scale, centre)
    height, width = (side // scale for side in picture.pixels.shape[:2])
    if min(height, width) < SMALLEST:
        raise TooSmall(
            f"'{photo.name}' would shrink to {width} x {height} pixels, too few to recover anything from.",
            f"Use one of at least {SMALLEST * scale} x {SMALLEST * scale} pixels.",
        )
    samples, bits = 1 if picture.pixels.ndim == 2 else 3, 8 * picture.pixels.itemsize
    planned = [outputs.Planned(output, (height, width), samples, bits, quality=quality)]
    outputs.check_outputs([photo, kernel], replace=force, planned=planned)
    white = np.iinfo(picture.pixels.dtype).max
    pixels = picture.pixels[: height * scale, : width * scale].reshape(height * scale, width * scale, -1)
    sharp = torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1))[None] / white
    blurred = UniformBlur(torch.from_numpy(taps).float(), scale).A(sharp)
    if noise:
        blurred += noise / 255 * torch.randn(blurred.shape, generator=torch.Generator().manual_seed(seed))
    small = (blurred.clamp(0, 1).double() * white).round().numpy()[0].transpose(1, 2, 0).astype(picture.pixels.dtype)
    small = small[..., 0] if picture.pixels.ndim == 2 else small
    dpi = picture.dpi and (picture.dpi[0] / scale, picture.dpi[1] / scale)
    result = replace(picture, pixels=np.ascontiguousarray(small), dpi=dpi, warnings=())
    warn(*picture.warnings, *said, *write_picture(output, result, quality=quality))
    announce(output)
