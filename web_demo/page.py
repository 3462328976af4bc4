"""The page: builds it, and serves it."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterable
from typing import Any

import gradio as gr

from kf_core import Settings
from web_demo import runner
from web_demo.fool_handlers import FoolHandlers
from web_demo.fool_tab import fool_tab
from web_demo.handlers import Handlers
from web_demo.housekeeping import (
    all_of_gradio_s_files_here,
    end_on_sigterm,
    few_arenas,
    keep_no_longer,
    own_folder,
)
from web_demo.intake import Intake
from web_demo.limits import Limits
from web_demo.outcomes import Outcomes
from web_demo.photo_tab import photo_tab
from web_demo.service import Service
from web_demo.shelf import Shelf
from web_demo.texts import ABOUT, HEAD
from web_demo.widgets import ASSETS, Compare

SESSIONS = 200  # whose state is kept; a page that is open uses one, and each takes about a megabyte
# Fonts of the visitor's own system: the page fetches nothing from elsewhere.
THEME = gr.themes.Default(
    primary_hue="orange",
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "monospace"],
).set(
    button_primary_background_fill="#b4460b",
    button_primary_background_fill_hover="#933607",
    button_primary_background_fill_dark="#b4460b",
    button_primary_background_fill_hover_dark="#c9571a",
    button_primary_text_color="#ffffff",
    button_primary_text_color_dark="#ffffff",
)


def build_app(overrides: Iterable[str] = (), limits: Limits | None = None) -> gr.Blocks:
    """The page, not yet served.

    Args:
        overrides: engine settings as NAME=VALUE that hold for every run.
        limits: of the page; None: `Limits.for_host()`.
    """
    folder = own_folder()
    limits = limits or Limits.for_host()
    service = Service(limits, tuple(overrides), Shelf(folder / "results", limits.keep_seconds))
    with gr.Blocks(
        title="KernelFusion", analytics_enabled=False, delete_cache=(300, limits.keep_seconds), fill_width=False
    ) as app:
        gr.Markdown(HEAD, elem_id="kf-head")
        compare = Compare(render=False, elem_id="kf-compare")
        fool_compare = Compare(render=False, elem_id="kf-fool-compare")
        with gr.Tab("Your photo"):
            outcomes = Outcomes(service.shelf, compare)
            photo_tab(app, Handlers(service, Intake(service, outcomes), outcomes), compare)
        with gr.Tab("Try to fool it"):
            fool_tab(FoolHandlers(service, fool_compare), fool_compare)
        with gr.Tab("About"):
            numbers = {
                "side": limits.side,
                "pixels": limits.pixels,
                "megabytes": limits.file_bytes // 2**20,
                "megapixels": limits.decoded_pixels // 10**6,
            }
            gr.Markdown(ABOUT.format(**numbers))
    app.queue(default_concurrency_limit=16)
    app.web_limits = limits
    app.web_service = service
    return app


@functools.cache
def warm() -> None:
    """Loads the engine and the bundled prior, so that the first visitor does not wait for them."""
    runner._load_prior(Settings.preset("fast").patches.prior, "auto")


def launch(app: gr.Blocks, **options: Any) -> Any:
    """Serves the page made by build_app. `options`: of gr.Blocks.launch."""
    few_arenas()
    all_of_gradio_s_files_here()
    keep_no_longer(own_folder(), app.web_limits.keep_seconds)
    warm()
    if not options.get("prevent_thread_lock"):
        end_on_sigterm()
    defaults: dict[str, Any] = {
        "theme": THEME,
        "css_paths": ASSETS / "style.css",
        "max_file_size": app.web_limits.file_bytes,
        "mcp_server": importlib.util.find_spec("mcp") is not None,
        "footer_links": ["api", "settings"],
        "run_history": False,  # a public page keeps nothing of its visitors, not even in their browsers
        "enable_monitoring": False,
        "ssr_mode": False,
        "pwa": False,
        "share": False,
        "max_threads": app.web_limits.waiting + 40,  # one for everybody in the line, and some for all else
        "state_session_capacity": SESSIONS,
    }
    return app.launch(**{**defaults, **options})
