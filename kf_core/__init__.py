"""KernelFusion: blind super-resolution that recovers the image and the kernel that shrank it, from the one photo alone.

import kf_core
picture = kf_core.read_picture("photo.png")
result = kf_core.super_resolve(picture.pixels, kf_core.Settings.preset("fast", scale=4))
result.image, result.kernel, result.report
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kf_core.errors import BadInput, Cancelled, Diverged, KernelFusionError, OutOfMemory, Unavailable
from kf_core.progress import Progress
from kf_core.settings import Settings
from kf_core.version import __version__

if TYPE_CHECKING:
    from kf_core.checkpoints.load import load_prior
    from kf_core.denoisers.adapt import Prior
    from kf_core.files.picture import Picture, read_picture, write_picture
    from kf_core.pipeline import recover_kernel, super_resolve
    from kf_core.result import SuperResolution

__all__ = [
    "BadInput",
    "Cancelled",
    "Diverged",
    "KernelFusionError",
    "OutOfMemory",
    "Picture",
    "Prior",
    "Progress",
    "Settings",
    "SuperResolution",
    "Unavailable",
    "__version__",
    "load_prior",
    "read_picture",
    "recover_kernel",
    "super_resolve",
    "write_picture",
]

# Loaded when first used: they need torch or numpy, which take a second or more to import.
_LAZY = {
    "Picture": "kf_core.files.picture",
    "Prior": "kf_core.denoisers.adapt",
    "SuperResolution": "kf_core.result",
    "load_prior": "kf_core.checkpoints.load",
    "read_picture": "kf_core.files.picture",
    "recover_kernel": "kf_core.pipeline",
    "super_resolve": "kf_core.pipeline",
    "write_picture": "kf_core.files.picture",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
