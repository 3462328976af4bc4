"""What a visitor gets from a run: the files to download, and the pictures to look at."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import kf_core
from kf_core.adjust import weaken
from kf_core.enlarged import larger, visible
from kf_core.files.deep import eight_bit
from kf_core.files.kernels import write_kernel
from kf_core.files.outputs import write_report
from web_demo import plots
from web_demo.limits import safe_stem

LEAST_WEIGHT = 0.05  # of a kernel that was possible too, to be shown
FORMATS = {"PNG": ".png", "JPEG": ".jpg", "WebP": ".webp", "TIFF": ".tif"}


@dataclass(frozen=True)
class Files:
    """The files of one result, all in one folder.

    Attributes:
        photo, kernel, kernel_picture, report, everything: to download. `photo` is the true file, 16-bit where the input
            was and the format holds it; `everything` is a ZIP of the other four, and of the map.
        before, after: of one size, 8-bit, to look at and compare.
        input, figure: the photo as it was, and the kernel enlarged with a colour bar, above those
            that were possible too.
        map: the kernels of all regions, each in its place, where the blur varies over the photo.
    """

    photo: Path
    kernel: Path
    kernel_picture: Path
    report: Path
    everything: Path
    before: Path
    after: Path
    input: Path
    figure: Path
    map: Path | None = None


def colours(picture: kf_core.Picture) -> np.ndarray:
    """What the engine gets: under full transparency, the colours of what is seen beside it. Raises BadInput."""
    return visible(picture)[0]


def enlarged(picture: kf_core.Picture, image: np.ndarray, strength: float = 1.0) -> kf_core.Picture:
    """The large photo, with profile, resolution and transparency of the small one.

    Args:
        image: what the engine returned.
        strength: the share of it; the rest is the bicubic enlargement.
    """
    colour, alpha = visible(picture)
    scale = image.shape[0] // picture.pixels.shape[0]
    dpi = (picture.dpi[0] * scale, picture.dpi[1] * scale) if picture.dpi else None
    return kf_core.Picture(weaken(image, colour, strength), picture.profile, dpi, None, larger(alpha, image))


def write_photo(folder: Path, name: str, picture: kf_core.Picture, scale: int, form: str = "PNG") -> Path:
    """The large photo in one of FORMATS; a JPEG, which has no transparency, gets white behind it."""
    path = folder / f"{safe_stem(name)}_x{scale}{FORMATS[form]}"
    if form == "JPEG" and picture.alpha is not None:
        white = np.iinfo(picture.pixels.dtype).max
        seen = (picture.alpha / white).reshape(*picture.alpha.shape, *[1] * (picture.pixels.ndim - 2))
        flat = (picture.pixels * seen + white * (1 - seen)).round().astype(picture.pixels.dtype)
        picture = replace(picture, pixels=flat, alpha=None)
    kf_core.write_picture(path, picture)
    return path


def write_result(
    folder: Path, name: str, picture: kf_core.Picture, outcome: Any, scale: int, strength: float = 1.0
) -> Files:
    """Writes the files of a result into `folder`.

    Args:
        name: of the visitor's file, any text.
        picture: what was worked on.
        outcome: what the engine returned.
        strength: the share of its image.
    """
    stem = f"{safe_stem(name)}_x{scale}"
    large = enlarged(picture, outcome.image, strength)
    photo, after = write_photo(folder, name, large, scale), folder / f"{stem}_view.png"
    if large.pixels.dtype == np.uint8:
        after = photo
    else:
        kf_core.write_picture(after, _eight(large))
    before, shown = folder / f"{stem}_bicubic.png", folder / f"{stem}_input.png"
    small = _eight(picture)
    kf_core.write_picture(shown, small)
    plain = plots.bicubic(eight_bit(colours(picture)), scale)
    alpha = None if large.alpha is None else eight_bit(large.alpha)
    kf_core.write_picture(before, kf_core.Picture(plain, picture.profile, alpha=alpha))
    kernel, kernel_picture, figure = (folder / f"{stem}_kernel{end}" for end in (".npy", ".png", "_figure.png"))
    write_kernel(kernel, outcome.kernel)
    Image.fromarray(plots.kernel_colours(outcome.kernel, 480)).save(kernel_picture)
    Image.fromarray(plots.kernel_figure(outcome.kernel, others=runners_up(outcome.report))).save(figure)
    regions, seen = map_of(outcome.report), None
    if regions is not None:
        seen = folder / f"{stem}_kernel_map.png"
        Image.fromarray(plots.map_figure(regions)).save(seen)
    report = folder / f"{stem}_report.json"
    write_report(report, {**outcome.report, **({"strength": strength} if strength < 1 else {})})
    everything = folder / f"{stem}.zip"
    with zipfile.ZipFile(everything, "w") as archive:  # nothing in it can be made smaller but the report
        for path in (photo, kernel, kernel_picture, report, *([seen] if seen else [])):
            archive.write(path, path.name)
    return Files(photo, kernel, kernel_picture, report, everything, before, after, shown, figure, seen)


def map_of(report: Mapping[str, Any]) -> np.ndarray | None:
    """The kernels (R, C, K, K) of the regions of a photo whose blur varies; None where one kernel suits all of it."""
    kernels = (report.get("regions") or {}).get("kernels")
    return None if kernels is None else np.array(kernels["kernels"])


def runners_up(report: Mapping[str, Any]) -> list[tuple[np.ndarray, float]]:
    """The kernels that a report says were possible too, (K, K) each, with weights; what has hardly any is left out."""
    others = report.get("other_kernels", [])
    return [(np.array(each["kernel"]), each["weight"]) for each in others if each["weight"] >= LEAST_WEIGHT]


def _eight(picture: kf_core.Picture) -> kf_core.Picture:
    alpha = None if picture.alpha is None else eight_bit(picture.alpha)
    return kf_core.Picture(eight_bit(picture.pixels), picture.profile, alpha=alpha)
