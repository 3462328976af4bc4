"""What a picture has beside its colours, on the way to the engine and in the enlarged picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kf_core.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

    from kf_core.files.picture import Picture


def visible(picture: Picture) -> tuple[np.ndarray, np.ndarray | None]:
    """(the colours, those under full transparency taken from what is seen beside them; the transparency 0..1)."""
    import numpy as np

    if picture.alpha is None:
        return picture.pixels, None
    from kf_core.engine.pixels import FULL, fill_hidden

    white = np.iinfo(picture.alpha.dtype).max
    alpha = picture.alpha.astype(np.float32) / white
    if alpha.max() < FULL:
        raise BadInput("The photo is transparent everywhere.", "Use one with something to see.")
    colour = (picture.pixels / np.float32(white)).reshape(*alpha.shape, -1).astype(np.float32)
    filled = (fill_hidden(colour, alpha) * white).round().clip(0, white).astype(picture.pixels.dtype)
    return filled.reshape(picture.pixels.shape), alpha


def larger(alpha: np.ndarray | None, image: np.ndarray) -> np.ndarray | None:
    """The transparency 0..1 enlarged to the size of the image, in its whole numbers."""
    import numpy as np

    if alpha is None:
        return None
    from kf_core.engine.pixels import enlarge

    white = np.iinfo(image.dtype).max
    enlarged = enlarge(alpha, image.shape[0] // alpha.shape[0])
    return (enlarged.astype(np.float64) * white).round().clip(0, white).astype(image.dtype)


def times(dpi: tuple[float, float] | None, scale: int) -> tuple[float, float] | None:
    """A resolution in dots per inch, of the enlarged picture."""
    return dpi and (dpi[0] * scale, dpi[1] * scale)
