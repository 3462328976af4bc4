"""The page: what is where, and which button calls what."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from kf_core.physics.kernel import largest_kernel_size
from kf_core.settings import SCALES
from web_demo import examples, fool, results
from web_demo.handlers import Handlers, warm
from web_demo.limits import Limits
from web_demo.live import IDLE
from web_demo.widgets import ASSETS, Compare, DrawKernel, photo_box

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
    button_cancel_background_fill="#b91c1c",
    button_cancel_background_fill_hover="#991b1b",
    button_cancel_background_fill_dark="#b91c1c",
    button_cancel_background_fill_hover_dark="#dc2626",
    button_primary_text_color="#ffffff",
    button_primary_text_color_dark="#ffffff",
)
HEAD = """# KernelFusion
Something blurred your photo before it was shrunk: a lens, a sensor, an app. Drop a small photo in and get back both:
**the large, sharp photo** and **the blur itself**, called the *kernel*. Nothing but your one photo is used."""
ABOUT = """Most enlargers assume one and the same blur for all photos; where that guess is wrong, so is the picture.
KernelFusion looks for the kernel under which small and large details of *this* photo fit together, and then undoes it.
[The paper](https://arxiv.org/abs/2503.21907) is by Heinimann, Shocher, Zimbalist and Irani (ICLR 2026); this is an
independent implementation.

**Your photo** is worked on in memory and never shown to others. Its files are deleted after an hour at most. EXIF data,
such as where it was taken, does not reach the result.

**Limits of this page:** up to {side} x {side} pixels ({pixels} in all), {megabytes} MB, one job per visitor.

**Limits of the method:** one kernel is sought for the whole photo, but a subject sharp before a blurred background has
more than one. Noise and strong JPEG blocks are taken for detail.

**For programs:** the link *Use via API* below lists every button as an endpoint, for `gradio_client` and for MCP."""


def build_app(overrides: Iterable[str] = (), limits: Limits | None = None) -> gr.Blocks:
    """The page, not yet served.

    Args:
        overrides: engine settings as NAME=VALUE that hold for every run.
        limits: of the page; None: `Limits.for_host()`.
    """
    _served_folder()
    limits = limits or Limits.for_host()
    with gr.Blocks(
        title="KernelFusion", analytics_enabled=False, delete_cache=(300, limits.keep_seconds), fill_width=False
    ) as app:
        gr.Markdown(HEAD, elem_id="kf-head")
        compare = Compare(render=False, elem_id="kf-compare")
        fool_compare = Compare(render=False, elem_id="kf-fool-compare")
        handlers = Handlers(limits, tuple(overrides), compare, fool_compare)
        heavy = {"concurrency_id": "device", "concurrency_limit": 1, "trigger_mode": "once"}
        with gr.Tab("Your photo"):
            _photo_tab(handlers, compare, heavy)
        with gr.Tab("Try to fool it"):
            _fool_tab(handlers, fool_compare, heavy)
        with gr.Tab("About"):
            numbers = {"side": limits.side, "pixels": limits.pixels, "megabytes": limits.file_bytes // 2**20}
            gr.Markdown(ABOUT.format(**numbers))
    app.queue(max_size=limits.waiting, default_concurrency_limit=8)
    app.web_limits = limits
    return app


@functools.cache
def _served_folder() -> None:
    """A folder of our own: what is in it is served and deleted in time, nothing else is. Gradio wants it said so."""
    if "GRADIO_TEMP_DIR" not in os.environ:
        os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="kernelfusion-web-")
        atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)


def launch(app: gr.Blocks, **options: Any) -> Any:
    """Serves the page made by build_app. `options`: of gr.Blocks.launch."""
    warm()
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
    }
    return app.launch(**{**defaults, **options})


def _photo_tab(handlers: Handlers, compare: Compare, heavy: dict[str, Any]) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            photo = photo_box(
                label="Your small photo", alt_text="The photo to work on", elem_id="kf-photo", elem_classes="kf-panel"
            )
            note = gr.HTML(elem_id="kf-note")
            use_part = gr.Button("Use the most detailed part", visible=False, elem_id="kf-crop")
            shown = examples.names()
            if shown:
                gr.Markdown("**Or look at an example**, computed beforehand:")
            with gr.Row(elem_classes="kf-examples"):
                buttons = {
                    name: gr.Button(name.replace("_", " "), icon=str(examples.picture_of(name)), size="sm")
                    for name in shown
                }
        with gr.Column(scale=3, min_width=280):
            with gr.Row():
                scale = gr.Radio(
                    [("2x", 2), ("3x", 3), ("4x", 4)], value=4, label="How many times larger", min_width=190
                )
                quality = gr.Radio(
                    [("Fast", "fast"), ("Balanced, slower", "balanced")], value="fast", label="Quality",
                    min_width=220,
                )  # fmt: skip
            with gr.Row():
                run = gr.Button("Recover photo and kernel", variant="primary", scale=3, elem_id="kf-run")
                stop = gr.Button("Stop", variant="stop", scale=1, min_width=90, elem_id="kf-stop")
            live = gr.HTML(IDLE, elem_id="kf-live", label="Live view")
            with gr.Accordion("Advanced", open=False):
                kernel_size = gr.Number(
                    0, label="Kernel size in pixels", info="0: automatic. Even for 2x and 4x, odd for 3x.", precision=0,
                    minimum=0, maximum=largest_kernel_size(max(SCALES)),
                )  # fmt: skip
                seed = gr.Number(
                    0, label="Seed", info="If the kernel looks torn, another seed may find a better one.", precision=0,
                    minimum=0, maximum=2**31 - 1,
                )  # fmt: skip
                prior = gr.Textbox(
                    "", label="Patch prior from the Hugging Face Hub", info="OWNER/NAME@COMMIT. Empty: the usual one.",
                    max_length=300,
                )  # fmt: skip
                kernel_file = gr.File(
                    label="A kernel you know (.npy): then only the photo is restored", file_types=[".npy"], height=110
                )
                paper = gr.Checkbox(False, label="The paper's settings", info="Hours on a processor, minutes on a GPU.")
    with gr.Row(elem_id="kf-panels"):
        before = gr.Image(label="Input", format="png", interactive=False, alt_text="The photo as it was given",
                          elem_id="kf-input", elem_classes=["kf-panel", "kf-pixels"], height=300, min_width=220,
                          buttons=["fullscreen"])  # fmt: skip
        after = gr.Image(label="Large photo", format="png", interactive=False, alt_text="The recovered large photo",
                         elem_id="kf-result", elem_classes="kf-panel", height=300, min_width=220,
                         buttons=["fullscreen"])  # fmt: skip
        figure = gr.Image(label="Kernel: what blurred it", format="png", interactive=False, height=300, min_width=220,
                          alt_text="The recovered kernel, enlarged, with a colour bar", elem_id="kf-kernel",
                          elem_classes="kf-panel", buttons=["fullscreen"])  # fmt: skip
    verdict = gr.HTML(elem_id="kf-verdict", label="How far to trust it")
    with gr.Row(elem_id="kf-downloads"):
        downloads = [
            gr.DownloadButton(label, interactive=False, size="sm", min_width=140, elem_id=f"kf-get-{name}")
            for name, label in (
                ("photo", "Large photo (PNG)"), ("kernel", "Kernel (.npy)"), ("taps", "Kernel (PNG)"),
                ("report", "Report (JSON)"),
            )
        ]  # fmt: skip
    compare.render()

    inputs = [photo, scale, quality, kernel_size, seed, prior, kernel_file, paper]
    outputs = [*downloads, verdict, before, after, figure, compare, live]
    event = run.click(
        handlers.super_resolve, inputs, outputs, api_name="super_resolve", validator=handlers.check_super_resolve,
        show_progress="minimal", show_progress_on=live, **heavy,
    )  # fmt: skip
    event.failure(lambda: IDLE, None, live, queue=False, api_visibility="private")
    event.success(_usable, None, downloads, queue=False, api_visibility="private")
    stop.click(handlers.stop, None, live, api_name="stop", cancels=event, queue=False, show_progress="hidden")
    seen = [photo, note, use_part]
    photo.upload(handlers.look, photo, seen, api_name="look", show_progress="hidden")
    photo.clear(lambda: ("", gr.update(visible=False)), None, [note, use_part], queue=False, api_visibility="private")
    use_part.click(handlers.crop, photo, seen, api_name="crop")
    for name, button in buttons.items():
        show = functools.partial(_show_example, handlers, name)
        show.__doc__ = f"Shows the example '{name}' with its result, computed beforehand."
        show.__name__ = f"example_{name}"
        button.click(
            show, None, [photo, *outputs[:-1], note, live], api_name=show.__name__, show_progress="hidden"
        ).success(_usable, None, downloads, queue=False, api_visibility="private")
    if shown:  # a visitor sees what this is about before doing anything
        first = functools.partial(_show_example, handlers, shown[0])
        gr.on(
            None, first, None, [photo, *outputs[:-1], note, live], api_visibility="private", show_progress="hidden"
        ).success(_usable, None, downloads, queue=False, api_visibility="private")


def _usable() -> list[Any]:
    """There is something to download now."""
    return [gr.update(interactive=True)] * 4


def _show_example(handlers: Handlers, name: str) -> Iterator[tuple]:
    path, outcome = examples.picture_of(name), examples.cached(name)
    with tempfile.TemporaryDirectory() as folder:  # it lives until Gradio has taken its copies
        files = results.write_result(Path(folder), path.name, results.load_photo(path), outcome, examples.SCALE)
        yield (str(path), *handlers.shown(files, outcome.report, timed=False), "", IDLE)


def _show_puzzle(handlers: Handlers) -> Iterator[tuple]:
    outcome = examples.cached("puzzle")
    with tempfile.TemporaryDirectory() as folder:
        yield handlers.solved(Path(folder), examples.puzzle(), outcome.image, outcome.kernel)


def _fool_tab(handlers: Handlers, compare: Compare, heavy: dict[str, Any]) -> None:
    gr.Markdown(
        "Take a **sharp** photo, and choose or draw a kernel. The photo is blurred with it and shrunk four times. "
        "KernelFusion sees only what is left, is not told the kernel, and has to recover both."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            photo = gr.Radio([*fool.PHOTOS, fool.OWN], value=next(iter(fool.PHOTOS)), label="Sharp photo")
            own = photo_box(
                label="A sharp photo of yours", alt_text="Your sharp photo", height=160, elem_id="kf-own", visible=False
            )
            kernel = gr.Radio([*fool.KERNELS, fool.DRAWN], value="ring", label="Kernel")
            with gr.Column(visible=False) as sheet:
                drawing = DrawKernel(fool.SIZE, elem_id="kf-draw", label="Drawing")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1)
        with gr.Column(scale=3, min_width=280):
            with gr.Row():
                run = gr.Button("Degrade and recover", variant="primary", scale=3, elem_id="kf-fool-run")
                stop = gr.Button("Stop", variant="stop", scale=1, min_width=90, elem_id="kf-fool-stop")
            live = gr.HTML(IDLE, elem_id="kf-fool-live", label="Live view")
            verdict = gr.HTML(elem_id="kf-score", label="Score")
            with gr.Row():
                shown = {
                    "format": "png",
                    "interactive": False,
                    "height": 240,
                    "min_width": 180,
                    "buttons": ["fullscreen"],
                }
                true_kernel = gr.Image(label="True kernel", alt_text="The kernel that was hidden", **shown)
                found = gr.Image(
                    label="Recovered kernel",
                    alt_text="The kernel that was recovered",
                    elem_id="kf-fool-kernel",
                    **shown,
                )
    with gr.Row():
        shown["height"] = 300
        small = gr.Image(
            label="What it was given",
            alt_text="The degraded small photo",
            elem_classes=["kf-panel", "kf-pixels"],
            **shown,
        )
        recovered = gr.Image(label="Recovered photo", alt_text="The photo that was recovered", **shown)
        truth = gr.Image(label="True photo", alt_text="The sharp photo that was hidden", **shown)
    compare.render()

    inputs = [photo, own, kernel, drawing, seed]
    outputs = [verdict, small, true_kernel, found, truth, recovered, compare, live]
    event = run.click(
        handlers.fool_it, inputs, outputs, api_name="fool_it", validator=handlers.check_fool,
        show_progress="minimal", show_progress_on=live, **heavy,
    )  # fmt: skip
    event.failure(lambda: IDLE, None, live, queue=False, api_visibility="private")
    stop.click(handlers.stop, None, live, api_name="stop_fool_it", cancels=event, queue=False, show_progress="hidden")
    photo.change(lambda name: gr.update(visible=name == fool.OWN), photo, own, queue=False, api_visibility="private")
    if examples.has("puzzle"):
        first = functools.partial(_show_puzzle, handlers)
        gr.on(None, first, None, outputs[:-1], api_visibility="private", show_progress="hidden")
    kernel.change(
        lambda name: gr.update(visible=name == fool.DRAWN), kernel, sheet, queue=False, api_visibility="private"
    )
