"""Drawn kernels: what the drawing sheet sends, and what it is sent. A JSON list of rows of numbers."""

from __future__ import annotations

import json

import numpy as np

from kf_core import BadInput

LARGEST = 64  # taps per side
_LONGEST = 200_000  # characters


def taps_of(text: str | None, side: int | None = None) -> np.ndarray:
    """(K, K) float64 from a drawing. `side`: the K it has to have. Raises BadInput."""
    if not text or len(text) > _LONGEST:
        raise BadInput("The drawing sheet is empty.", "Draw something on the sheet first.")
    try:
        kernel = np.array(json.loads(text), dtype=np.float64)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput("The drawing cannot be read.", "It should be rows of numbers.") from error
    square = kernel.ndim == 2 and kernel.shape[0] == kernel.shape[1] and 0 < len(kernel) <= LARGEST
    if not square or len(kernel) != (side or len(kernel)) or not np.isfinite(kernel).all() or kernel.min() < 0:
        many = f"{side} rows of {side}" if side else f"at most {LARGEST} rows of as many"
        raise BadInput("The drawing cannot be read.", f"It should be {many} numbers from 0 on.")
    if kernel.sum() <= 1e-6:
        raise BadInput("The drawing sheet is empty.", "Draw something on the sheet first.")
    return kernel


def text_of(kernel: np.ndarray) -> str:
    """For the sheet: the largest tap is 1."""
    taps = np.clip(kernel, 0, None) / max(float(kernel.max()), 1e-12)
    return json.dumps([[round(float(tap), 3) for tap in row] for row in taps])
