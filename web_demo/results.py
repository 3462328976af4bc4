"""What a visitor gets from a run: the files to download, the pictures to look at, and a sentence about both."""

from __future__ import annotations

import html
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import kf_core
from kf_core.files.deep import eight_bit
from kf_core.files.kernels import write_kernel
from kf_core.files.outputs import write_report
from web_demo import plots
from web_demo.limits import safe_stem

_LARGEST_PROFILE = 2**18  # bytes; real colour profiles are smaller


@dataclass(frozen=True)
class Files:
    """The files of one result, all in one folder.

    Attributes:
        photo, kernel, kernel_picture, report: to download. `photo` is the true file, 16-bit where the input was.
        before, after: of one size, 8-bit, to look at and compare.
        input, figure: the photo as it was, and the kernel enlarged with a colour bar.
    """

    photo: Path
    kernel: Path
    kernel_picture: Path
    report: Path
    before: Path
    after: Path
    input: Path
    figure: Path


def load_photo(path: str | Path) -> kf_core.Picture:
    """The picture of an upload, without what a public page should not pass on: EXIF (it may say where the visitor
    lives) and a colour profile that no colour management can read. Raises BadInput."""
    picture = kf_core.read_picture(path)
    return kf_core.Picture(picture.pixels, _sound_profile(picture.profile), picture.dpi, None)


def write_result(folder: Path, name: str, picture: kf_core.Picture, outcome: Any, scale: int) -> Files:
    """Writes the files of a result into `folder`.

    Args:
        name: of the visitor's file, any text.
        picture: what was uploaded.
        outcome: what the engine returned.
    """
    stem = f"{safe_stem(name)}_x{scale}"
    photo, after = folder / f"{stem}.png", folder / f"{stem}_view.png"
    dpi = tuple(value * scale for value in picture.dpi) if picture.dpi else None
    kf_core.write_picture(photo, kf_core.Picture(outcome.image, picture.profile, dpi, None))
    if outcome.image.dtype == np.uint8:
        after = photo
    else:
        kf_core.write_picture(after, kf_core.Picture(eight_bit(outcome.image), picture.profile))
    before, shown = folder / f"{stem}_bicubic.png", folder / f"{stem}_input.png"
    small = eight_bit(picture.pixels)
    kf_core.write_picture(shown, kf_core.Picture(small, picture.profile))
    kf_core.write_picture(before, kf_core.Picture(plots.bicubic(small, scale), picture.profile))
    kernel, kernel_picture, figure = (folder / f"{stem}_kernel{end}" for end in (".npy", ".png", "_figure.png"))
    write_kernel(kernel, outcome.kernel)
    Image.fromarray(plots.kernel_colours(outcome.kernel, 480)).save(kernel_picture)
    Image.fromarray(plots.kernel_figure(outcome.kernel)).save(figure)
    report = folder / f"{stem}_report.json"
    write_report(report, outcome.report)
    return Files(photo, kernel, kernel_picture, report, before, after, shown, figure)


def verdict(report: dict[str, Any], timed: bool = True) -> str:
    """How far to trust the result, in HTML: a plain sentence, with the number behind it, and the time taken."""
    seconds = sum((report.get("seconds") or {}).values()) if timed else 0
    lines = [_confidence(report), f"Time taken: {in_words(seconds)}." if seconds else ""]
    return "<div class='kf-verdict' role='status'>" + "".join(f"<p>{line}</p>" for line in lines if line) + "</div>"


def _confidence(report: dict[str, Any]) -> str:
    sentence, confidence = report.get("confidence_sentence"), report.get("confidence")
    if isinstance(confidence, (int, float)):
        number = f"<strong>Confidence {confidence:.0%}.</strong> "
        return number + html.escape(str(sentence or ""))
    if sentence:
        return html.escape(str(sentence))
    error = report.get("consistency_rms_grey_levels")
    if error is None:
        return ""
    source = "the kernel you gave" if report.get("kernel_source") == "given" else "the recovered kernel"
    if error < 2:
        words = "Image and kernel explain your photo well"
    elif error < 5:
        words = "Image and kernel explain most of your photo"
    else:
        words = "Image and kernel do not explain your photo well: look twice before you believe the details"
    return (
        f"<strong>{words}.</strong> The result, blurred with {source} and shrunk again, differs from what "
        f"you uploaded by {error:.1f} of 255 grey levels on average."
    )


def in_words(seconds: float) -> str:
    """Never more exact than an estimate can be."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def _sound_profile(profile: bytes | None) -> bytes | None:
    if not profile or len(profile) > _LARGEST_PROFILE:
        return None
    try:
        from PIL import ImageCms

        ImageCms.getOpenProfile(BytesIO(profile))
    except Exception:  # whatever is wrong with it, no viewer is to meet it
        return None
    return profile
