"""A kernel from elsewhere made to fit a scale: its sum, its size, its middle; and what people should know of that."""

from __future__ import annotations

import numpy as np

from kf_core.errors import BadKernel

USUAL_WIDTH = (0.22, 1.75)  # standard deviation in pixels of the photo; a box as wide as one pixel has 0.29
_UNSEEN = 1e-6  # share of the kernel that a rim may hold that is taken off
_ROUNDING = 1e-3


def fit_kernel(
    kernel: np.ndarray, scale: int, largest: int, centred: bool = True
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(the kernel (K, K) as float64 with sum 1 and K of the parity of the scale, sentences about what was done).

    An odd size at an even scale, and the other way round, gets a row and a column of zeros; one below the scale gets
    more. A centre of mass more than half a pixel off the middle is moved there by whole pixels, as for a kernel that
    was recovered: otherwise the result would be moved instead.

    Args:
        largest: taps per side that are allowed; empty rims are taken off what has more.
        centred: whether to move it.

    Raises BadKernel for what has no finite, positive sum.

    >>> import numpy as np
    >>> kernel, notes = fit_kernel(np.ones((5, 5)), scale=2, largest=32)
    >>> kernel.shape
    (6, 6)
    """
    taps, notes = _normalised(kernel), []
    if (len(taps) - scale) % 2:
        taps, words = _padded(taps)
        notes.append(
            f"The kernel has {len(kernel)} taps per side, which have no middle at a scale of {scale}: a row and a "
            f"column of zeros were added, and the picture moves by half a pixel {words}."
        )
    if len(taps) < scale:
        taps = np.pad(taps, (scale - len(taps)) // 2)
    offset = centre_of_mass(taps) - (len(taps) - 1) / 2
    shift = (np.sign(offset) * np.floor(np.abs(offset) + 0.5 - _ROUNDING)).astype(int)
    if shift.any():
        where = _directions(*shift)
        if centred:
            taps = _moved(taps, -shift)
            notes.append(f"The kernel's centre of mass was {where} of its middle; it was moved there.")
        else:
            notes.append(f"The kernel's centre of mass is {where} of its middle: the picture is moved as far.")
    if len(taps) > largest:
        taps = _trimmed(taps, largest)
    width = spread(taps) / scale
    if not USUAL_WIDTH[0] <= width <= USUAL_WIDTH[1]:
        what = "little" if width < USUAL_WIDTH[0] else "much"
        notes.append(
            f"The kernel spreads a point over {width:.2f} pixels of the photo, unusually {what} for a scale of {scale} "
            f"({USUAL_WIDTH[0]} to {USUAL_WIDTH[1]} is usual): it may belong to another scale."
        )
    return taps, tuple(notes)


def spread(kernel: np.ndarray) -> float:
    """The standard deviation of its mass, in its own pixels, of both directions together."""
    taps = np.clip(kernel, 0, None) / max(np.clip(kernel, 0, None).sum(), 1e-300)
    index = np.arange(len(taps))
    variance = [share @ (index - share @ index) ** 2 for share in (taps.sum(1), taps.sum(0))]
    return float(np.sqrt(np.mean(variance)))


def _normalised(kernel: np.ndarray) -> np.ndarray:
    taps = np.asarray(kernel, dtype=np.float64)
    largest = np.abs(taps).max(initial=0.0)
    if not np.isfinite(largest) or largest <= 0 or (taps / largest).sum() <= 0:
        raise BadKernel("The kernel is empty or not made of finite numbers.", "Give an array with a positive sum.")
    taps = taps / largest  # before the sum, which would be lost or infinite for the smallest and largest numbers
    return taps / taps.sum()


def _padded(taps: np.ndarray) -> tuple[np.ndarray, str]:
    """One row and one column more, on the sides that leave the centre of mass nearer the middle."""
    before = centre_of_mass(taps) - (len(taps) - 1) / 2 < -_ROUNDING
    pads = [(1, 0) if first else (0, 1) for first in before]
    return np.pad(taps, pads), f"{'down' if before[0] else 'up'} and {'right' if before[1] else 'left'}"


def centre_of_mass(taps: np.ndarray) -> np.ndarray:
    """(row, column) in pixels."""
    index = np.arange(len(taps))
    return np.array([taps.sum(1) @ index, taps.sum(0) @ index]) / taps.sum()


def _moved(taps: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """On a grid large enough that nothing is lost; the middle stays the middle."""
    room = int(np.abs(shift).max())
    larger = np.zeros([side + 2 * room for side in taps.shape])
    top, left = room + shift
    larger[top : top + len(taps), left : left + len(taps)] = taps
    return _trimmed(larger, len(taps))


def _trimmed(taps: np.ndarray, smallest: int) -> np.ndarray:
    """Without the rings around it that are empty, as long as it has more than `smallest` taps per side."""
    total = np.abs(taps).sum()
    while len(taps) >= smallest + 2 and np.abs(taps).sum() - np.abs(taps[1:-1, 1:-1]).sum() <= _UNSEEN * total:
        taps = taps[1:-1, 1:-1]
    return taps / taps.sum()


def _directions(rows: int, columns: int) -> str:
    words = [(abs(int(rows)), "down" if rows > 0 else "up"), (abs(int(columns)), "right" if columns > 0 else "left")]
    return " and ".join(f"{count} pixel{'s' * (count > 1)} {word}" for count, word in words if count)
