"""`kf kernel`: recovers the kernel of a photo; `compare` and `convert` work on kernels in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import kf_core
from kf_core.cli.console import Device, ProgressLine, Quiet, Report, Seed, announce, stop, warn
from kf_core.cli.options import Force, KernelSize, Overrides, Photo, Preset, Prior, Scale, make_settings
from kf_core.errors import Cancelled

if TYPE_CHECKING:
    import numpy as np

Number = Annotated[int | None, typer.Option(min=1, help="Which one, of a file that holds several kernels.")]
OtherScale = Annotated[
    int | None, typer.Option(min=2, max=4, help="Make the size fit this scale, the middle included.", show_default="no")
]


class PhotoOrCommand(TyperGroup):
    """`kf kernel PHOTO` is `kf kernel recover PHOTO`: what is no command is a photo."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            args = ["recover", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=PhotoOrCommand, help="Recovers the kernel that shrank a photo; also 'compare' and 'convert'.")


@app.command()
def recover(
    photo: Photo,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="K.npy|K.png", help="The kernel, as numbers or as a picture.")
    ],
    scale: Scale = 4,
    preset: Preset = "fast",
    kernel_size: KernelSize = None,
    prior: Prior = None,
    report: Report = None,
    device: Device = "auto",
    seed: Seed = 0,
    overrides: Overrides = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Recovers only the kernel that shrank a photo. For kernels in files: kf kernel compare, kf kernel convert."""
    settings = make_settings(preset, scale, kernel_size, seed, device, overrides, prior)
    with ProgressLine(quiet) as line:
        from kf_core.enlarged import visible
        from kf_core.files import outputs
        from kf_core.files.picture import read_picture

        picture = read_picture(photo, transparency=True)
        outputs.check_outputs([photo], [], output, report, replace=force)
        result = kf_core.recover_kernel(visible(picture)[0], settings, progress=line, should_stop=stop)
    if stop():
        raise Cancelled()

    jobs = outputs.Jobs()
    jobs.kernel(output, result.kernel)
    if report:
        jobs.report(report, result.report)
    announce(*(jobs.written.get(path) for path in (output, report) if path))
    if jobs.failed:
        raise jobs.failed


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A kernel, in any file that can be read.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    scale: Annotated[int | None, typer.Option(min=2, max=4, help="Also say widths in pixels of the photo.")] = None,
    report: Report = None,
    force: Force = False,
) -> None:
    """Says how alike two kernels are: 1 is the same shape, 0 has nothing in common."""
    from kf_core.files import outputs
    from kf_core.files.kernels import read_kernel

    outputs.check_outputs([first, second], report=report, replace=force)
    told = comparison(read_kernel(first), read_kernel(second))
    typer.echo(f"cosine similarity             {told['similarity']:.4f}")
    rows, columns = told["best_shift"]
    typer.echo(f"best over shifts              {told['best_similarity']:.4f}  (B down {rows}, right {columns})")
    typer.echo(f"with B turned by 180 degrees  {told['turned_similarity']:.4f}  (best over shifts)")
    for name, about in (("A", told["first"]), ("B", told["second"])):
        width = f"{about['width']:.2f} taps"
        if scale:
            width += f", {about['width'] / scale:.2f} photo pixels at scale {scale}"
        down, right = about["off_middle"]
        typer.echo(f"{name}  {about['size']} x {about['size']}, width {width}, off its middle {down:+.2f} {right:+.2f}")
    if report:
        outputs.write_report(report, told)
        announce(report)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="K", help="A kernel: .npy, .npz, .mat, .txt, .csv or .png.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Its new file, of the same kinds.")],
    number: Number = None,
    scale: OtherScale = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="Turn it by 180 degrees: for kernels made for a convolution.")
    ] = False,
    force: Force = False,
) -> None:
    """Writes a kernel in another format."""
    import numpy as np

    from kf_core.files import outputs
    from kf_core.files.fit import fit_kernel
    from kf_core.files.kernels import READ, read_kernel, write_kernel
    from kf_core.physics.kernel import largest_kernel_size

    outputs.check_outputs([source], kernel=output, kernel_suffixes=READ, replace=force)
    kernel = read_kernel(source, number=number)
    if flip:
        kernel = np.ascontiguousarray(kernel[::-1, ::-1])
    if scale:
        kernel, said = fit_kernel(kernel, scale, largest_kernel_size(scale))
        warn(*said)
    write_kernel(output, kernel)
    announce(output)


def comparison(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """What `compare` says, JSON-able. The middles of both lie on each other."""
    import numpy as np

    from kf_core.files.fit import centre_of_mass, spread

    about, same_size = [], max(len(first), len(second))
    for kernel in (first, second):
        off = centre_of_mass(kernel) - (len(kernel) - 1) / 2
        about.append({"size": len(kernel), "width": spread(kernel), "off_middle": [float(each) for each in off]})
    grids = []
    for kernel in (first, second):
        missing = same_size - len(kernel)  # where it is odd, the middles are half a pixel apart
        grids.append(np.pad(kernel.astype(np.float64), (missing // 2, missing - missing // 2)))
    similarity, _ = cosine(grids[0], grids[1], shifts=False)
    best, shift = cosine(grids[0], grids[1], shifts=True)
    turned, _ = cosine(grids[0], grids[1][::-1, ::-1], shifts=True)
    return {
        "similarity": similarity,
        "best_similarity": best,
        "best_shift": list(shift),
        "turned_similarity": turned,
        "first": about[0],
        "second": about[1],
    }


def cosine(first: np.ndarray, second: np.ndarray, shifts: bool) -> tuple[float, tuple[int, int]]:
    """(cosine of the angle between them, the shift of the second down and right that it is best with)."""
    import numpy as np

    first, second = (each / max(np.linalg.norm(each), 1e-300) for each in (first, second))
    if not shifts:
        return float((first * second).sum()), (0, 0)
    size = 2 * len(first)
    product = np.fft.fft2(first, (size, size)) * np.fft.fft2(second, (size, size)).conj()
    correlation = np.fft.ifft2(product).real
    row, column = np.unravel_index(int(correlation.argmax()), correlation.shape)
    down, right = (int(at) - size * int(at > size // 2) for at in (row, column))
    return float(correlation.max()), (down, right)
