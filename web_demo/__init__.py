"""A page that shows a small photo, its super-resolved version and the recovered kernel side by side.

`build_app` makes it, `launch` serves it; app.py in the project's root does both.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from web_demo.limits import Limits
    from web_demo.page import build_app, launch

__all__ = ["Limits", "build_app", "launch"]

# Loaded when first used: the decoder, a process of its own, needs neither torch nor gradio.
_LAZY = {"Limits": "web_demo.limits", "build_app": "web_demo.page", "launch": "web_demo.page"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
