"""A page that shows a small photo, its super-resolved version and the recovered kernel side by side.

`build_app` makes it, `launch` serves it; app.py in the project's root does both.
"""

from web_demo.limits import Limits
from web_demo.page import build_app, launch

__all__ = ["Limits", "build_app", "launch"]
