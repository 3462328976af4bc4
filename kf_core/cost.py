"""What a stage of a run costs, known before it begins."""

from __future__ import annotations

from dataclasses import dataclass

from kf_core.physics.grid import crop_size


@dataclass(frozen=True)
class Cost:
    """What a stage takes: arithmetic and memory.

    Attributes:
        work: millions of multiply-adds, roughly; the ratios between stages are what counts.
        memory: bytes at the peak, beyond those of torch itself and of the photo.
    """

    work: float = 0.0
    memory: float = 0.0


def crop_pixels(height: int, width: int, side: int) -> int:
    """Pixels of the crop that the kernel is sought on; side 0: of the whole photo."""
    rows, columns = crop_size(height, width, side)
    return rows * columns
