"""KernelFusion: blind super-resolution that recovers the image and the kernel that shrank it, from the one photo alone.

import kf_core
result = kf_core.super_resolve(pixels, kf_core.Settings.preset("fast", scale=4))
result.image, result.kernel, result.report
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kf_core.errors import BadInput, Cancelled, Diverged, KernelFusionError, OutOfMemory
from kf_core.progress import Progress
from kf_core.settings import Settings

if TYPE_CHECKING:
    from kf_core.pipeline import SuperResolution, recover_kernel, super_resolve

__version__ = "0.1.0"
__all__ = [
    "BadInput",
    "Cancelled",
    "Diverged",
    "KernelFusionError",
    "OutOfMemory",
    "Progress",
    "Settings",
    "SuperResolution",
    "recover_kernel",
    "super_resolve",
]

_NEEDS_TORCH = {"SuperResolution", "recover_kernel", "super_resolve"}


def __getattr__(name: str):
    """Loads torch when the first name that needs it is used: a door must open before the engine is warm."""
    if name in _NEEDS_TORCH:
        from kf_core import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
