"""Pixels out of files: by Pillow, by pillow-heif where a phone wrote them, by OpenImageIO where Pillow cannot."""

from __future__ import annotations

import contextlib
import importlib.util
import math
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from kf_core.errors import BadInput, BadPicture, TooLarge, TooSmall
from kf_core.files import png, tiff
from kf_core.files.deep import read_deep, upright
from kf_core.files.layout import COPY_AGAIN, SAVE_AS, Layout, examine
from kf_core.files.notes import Beside, read_beside
from kf_core.settings import SMALLEST

if TYPE_CHECKING:
    from PIL import Image

# Pillow's names of what can be converted without a guess
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr")


def decode(file: BinaryIO, path: Path) -> tuple[np.ndarray, np.ndarray | None, Beside, tuple[str, ...]]:
    """(pixels, alpha or None where one can see through it nowhere, what stands beside them, sentences for the user).

    Raises BadInput, or whatever the libraries raise for a damaged file.
    """
    from PIL import Image

    layout = examine(file, path.name)
    image = None
    try:
        image = _open(file, layout, path.name)
    except (BadInput, MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except Exception:
        if layout.kind != "TIFF" or not layout.tags:
            raise
    _check_size(image, layout, path.name)
    beside = read_beside(file, layout, image)
    if image is None or layout.bits > 8:
        pixels, alpha = _deep(file, path, layout, image)
        pixels, alpha = _turned(pixels, alpha, beside.orientation)
    else:
        try:
            pixels, alpha = _shallow(image, path.name)
        except (BadInput, MemoryError):
            raise
        except Exception:
            if layout.kind != "TIFF":
                raise
            pixels, alpha = _deep(file, path, layout, image)
            pixels, alpha = _turned(pixels, alpha, beside.orientation)
        else:  # a TIFF has been turned by Pillow
            pixels, alpha = _turned(pixels, alpha, 1 if layout.kind == "TIFF" else beside.orientation)
    warnings = [f"The {what} of '{path.name}' is damaged or too long, and was left out." for what in beside.dropped]
    if layout.extras:
        warnings.append(f"'{path.name}' has {layout.extras} more channels beside its colours; they were left out.")
    return pixels, alpha, beside, tuple(warnings)


def why_unreadable(file: BinaryIO, name: str) -> BadInput:
    """What to say where decode failed with an error of a library."""
    from PIL import Image

    with contextlib.suppress(BadInput):
        layout = examine(file, name)
        if layout.kind == "HEIC" and not importlib.util.find_spec("pillow_heif"):
            return BadPicture(f"'{name}' is a HEIC file.", "Install the package pillow-heif, or save it as a JPEG.")
        if layout.kind:
            what = f"'{name}', a HEIC file," if layout.kind == "HEIC" else f"'{name}'"
            return BadPicture(f"{what} is damaged or incomplete.", COPY_AGAIN)
    with contextlib.suppress(Exception):
        file.seek(0)
        kind = Image.open(file).format
        return BadPicture(f"'{name}' is a {kind} file, which cannot be used.", SAVE_AS)
    return BadPicture(f"'{name}' is not a photo in a format known here.", "Use a PNG, JPEG, TIFF or WebP file.")


def far_too_large(name: str) -> TooLarge:
    return TooLarge(f"'{name}' has far too many pixels to be enlarged.", "Crop it first.")


def _open(file: BinaryIO, layout: Layout, name: str) -> Image.Image:
    """The picture with its header read. Raises BadInput or whatever Pillow raises."""
    from PIL import Image

    file.seek(0)
    if layout.kind == "HEIC":
        import pillow_heif

        found = pillow_heif.open_heif(file)
        if found.size[0] * found.size[1] > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise far_too_large(name)  # before it is unpacked
        return found.to_pillow()
    if layout.kind is None:
        raise ValueError("no format known here")
    Image.init()
    if layout.kind not in Image.OPEN:
        raise BadPicture(f"'{name}' is of the kind {layout.kind}, which the Pillow installed cannot read.", SAVE_AS)
    image = Image.open(png.for_pixels(file) if layout.kind == "PNG" else file, formats=[layout.kind])
    pictures = png.frames(file) if layout.kind == "PNG" else getattr(image, "n_frames", 1)
    if image.format != "MPO" and pictures > 1:
        raise BadPicture(f"'{name}' holds {pictures} pictures.", "Save the one you mean as a file of its own.")
    return image


def _check_size(image: Image.Image | None, layout: Layout, name: str) -> None:
    from PIL import Image

    width, height = image.size if image else layout.size
    if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):  # Pillow only warns
        raise far_too_large(name)
    if min(width, height) < SMALLEST:
        raise TooSmall(
            f"'{name}' has {width} x {height} pixels, too few to learn from.",
            f"Use a photo of at least {SMALLEST} x {SMALLEST} pixels.",
        )


def _shallow(image: Image.Image, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels of 8 bits or fewer, by Pillow."""
    if image.mode not in _MODES:
        raise BadPicture(f"'{name}' has the colours {image.mode} rather than RGB or grey.", SAVE_AS)
    image.load()
    grey, alpha = image.mode in ("1", "L", "LA", "La"), None
    if image.has_transparency_data:
        image = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)).convert("RGBA")
        alpha = np.array(image.getchannel("A"))
    pixels = np.array(image.convert("L" if grey else "RGB"))
    return pixels, alpha if alpha is not None and alpha.min() < 255 else None


def _deep(
    file: BinaryIO, path: Path, layout: Layout, image: Image.Image | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels by OpenImageIO; what Pillow would make of them is left aside. Raises BadPicture."""
    samples = read_deep(path, layout.bits)
    if samples is None:
        if layout.kind == "TIFF" and tiff.is_whole(file, layout.tags or {}):
            tags = layout.tags or {}
            how = f"compression {tags.get(tiff.COMPRESSION, 1)}, colours of kind {tags.get(tiff.PHOTOMETRIC, 1)}"
            raise BadPicture(f"'{path.name}' is damaged, or stored in a way not known here ({how}).", SAVE_AS)
        raise BadPicture(f"'{path.name}' is damaged or incomplete.", COPY_AGAIN)
    if layout.kind == "TIFF":
        colours = samples.shape[2] if layout.palette else samples.shape[2] - layout.extras - (layout.alpha is not None)
        at = layout.alpha
    else:
        colours = 1 if samples.shape[2] <= 2 else 3
        at = colours if samples.shape[2] in (2, 4) else None
    if colours not in (1, 3) or (at is not None and at >= samples.shape[2]):
        raise BadPicture(f"'{path.name}' has {samples.shape[2]} channels, which are not RGB or grey.", SAVE_AS)
    colour, full = samples[..., :colours], np.iinfo(samples.dtype).max
    if layout.white_is_zero:
        colour = full - colour
    alpha = None if at is None else np.ascontiguousarray(samples[..., at])
    if alpha is not None and layout.premultiplied:
        scale = full / np.maximum(alpha, 1).astype(np.float64)[..., None]
        colour = np.round(np.minimum(colour * scale, full)).astype(samples.dtype)
    pixels = np.ascontiguousarray(colour[..., 0] if colours == 1 else colour)
    return pixels, alpha if alpha is not None and alpha.min() < full else None


def _turned(pixels: np.ndarray, alpha: np.ndarray | None, orientation: int) -> tuple[np.ndarray, np.ndarray | None]:
    return upright(pixels, orientation), None if alpha is None else upright(alpha, orientation)
