"""The kernels of a photo whose blur varies, as a run hands them to its caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from kf_core.state import State


@dataclass(frozen=True)
class KernelGrid:
    """Kernels on a grid of places. Between the places they are interpolated linearly.

    Attributes:
        rows, columns: (R,) and (C,) float32, rising: the places, in pixels of the photo; 0 is the middle of the first.
        kernels: (R, C, K, K) float32, each with sum 1, in the orientation of a cross-correlation.
    """

    rows: np.ndarray
    columns: np.ndarray
    kernels: np.ndarray

    @classmethod
    def of(cls, state: State) -> KernelGrid | None:
        """In pixels of the caller's photo, its frame included; None where one kernel suits all of it."""
        if state.kernels is None:
            return None
        top, _, left, _ = state.photo.frame
        rows, columns, kernels = (
            each.cpu().numpy().astype(np.float32)
            for each in (state.kernels.rows + top, state.kernels.columns + left, state.kernels.kernels)
        )
        return cls(rows, columns, kernels)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the report."""
        return {
            "rows": self.rows.tolist(),
            "columns": self.columns.tolist(),
            "kernels": self.kernels.astype(np.float64).round(7).tolist(),
        }
