"""The tab "Try to fool it": what is where, and which button calls what."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from web_demo import examples, fool, plots
from web_demo.fool_handlers import FoolHandlers
from web_demo.live import IDLE
from web_demo.photo_tab import AFTER_FAILURE, HEAVY, LIGHT, QUIET, STOP
from web_demo.texts import FOOL
from web_demo.widgets import Choice, Compare, Count, DrawKernel, describe, photo_box


def fool_tab(handlers: FoolHandlers, compare: Compare) -> None:
    gr.Markdown(FOOL)
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            photo = Choice(
                [*fool.PHOTOS, fool.OWN], value=next(iter(fool.PHOTOS)), label="Sharp photo", elem_id="kf-fool-photo"
            )
            thumbs = _thumbnails(fool.photo_thumbnails(), "kf-fool-photo")
            own = photo_box(
                label="A sharp photo of yours", alt_text="Your sharp photo", height=160, elem_id="kf-own", visible=False
            )
            kernel = Choice([*fool.KERNELS, fool.DRAWN], value="ring", label="Kernel", elem_id="kf-fool-kernels")
            shapes = _thumbnails(fool.kernel_thumbnails(), "kf-fool-kernels")
            with gr.Column(visible=False) as sheet:
                drawing = DrawKernel(fool.SIZE, elem_id="kf-draw", label="Drawing")
            seed = Count(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1)
        with gr.Column(scale=3, min_width=280):
            with gr.Row():
                run = gr.Button("Degrade and recover", variant="primary", scale=3, elem_id="kf-fool-run")
                stop = gr.Button("Stop", variant="secondary", scale=1, min_width=90, elem_id="kf-fool-stop")
            forecast = gr.HTML(elem_id="kf-fool-forecast")
            live = gr.HTML(IDLE, elem_id="kf-fool-live", label="Live view")
            verdict = gr.HTML(elem_id="kf-score", label="Score")
            shown: dict[str, Any] = {"format": "png", "interactive": False, "min_width": 180, "buttons": ["fullscreen"]}
            with gr.Row():
                true_kernel = gr.Image(
                    label="True kernel",
                    alt_text="The kernel that was hidden",
                    height=240,
                    elem_classes="kf-panel",
                    **shown,
                )
                found = gr.Image(
                    label="Recovered kernel", alt_text="The kernel that was recovered", elem_id="kf-fool-kernel",
                    height=240, elem_classes="kf-panel", **shown,
                )  # fmt: skip
    with gr.Row():
        small = gr.Image(
            label="What it was given", alt_text="The degraded small photo", elem_classes=["kf-panel", "kf-pixels"],
            height=300, **shown,
        )  # fmt: skip
        recovered = gr.Image(label="Recovered photo", alt_text="The photo that was recovered", height=300, **shown)
        truth = gr.Image(label="True photo", alt_text="The sharp photo that was hidden", height=300, **shown)
    compare.render()

    inputs = [photo, own, kernel, drawing, seed]
    outputs = [verdict, small, true_kernel, found, truth, recovered, compare, live]
    describe(handlers.fool_it, inputs)
    event = run.click(handlers.fool_it, inputs, outputs, api_name="fool_it", validator=handlers.check_fool, **HEAVY)
    event.failure(None, live, live, js=AFTER_FAILURE)
    stop.click(handlers.stop, None, live, api_name="stop_fool_it", **STOP)
    photo.change(
        lambda name: [gr.update(visible=name == fool.OWN), gr.update(visible=name != fool.OWN)], photo, [own, thumbs],
        **QUIET,
    )  # fmt: skip
    kernel.change(
        lambda name: [gr.update(visible=name == fool.DRAWN), gr.update(visible=name != fool.DRAWN)], kernel,
        [sheet, shapes], **QUIET,
    )  # fmt: skip
    gr.on([seed.change], handlers.forecast, seed, forecast, **QUIET)
    first = functools.partial(_show_puzzle, handlers)
    gr.on(None, first, None, [*outputs[:-1], forecast], **LIGHT)


def _show_puzzle(handlers: FoolHandlers) -> Iterator[tuple]:
    if not examples.has("puzzle"):
        yield (*[gr.skip()] * 7, handlers.forecast(0))
        return
    with tempfile.TemporaryDirectory() as folder:
        yield (*handlers.solved(Path(folder), examples.puzzle(), examples.cached("puzzle")), handlers.forecast(0))


_CHOOSE = """element.addEventListener("click", (event) => {
  const name = event.target.closest("figure")?.dataset.name;
  document.querySelectorAll("#RADIO input").forEach((input) => { if (input.value === name) input.click(); });
});"""


def _thumbnails(pictures: dict[str, Any], radio: str) -> gr.HTML:
    """Small pictures of the choices of a radio; a click on one chooses it. With the keyboard, the radio does."""
    figures = "".join(
        f"<figure data-name='{name}'><img src='{plots.data_url(pixels, 72)}' alt=''>"
        f"<figcaption>{name}</figcaption></figure>"
        for name, pixels in pictures.items()
    )
    return gr.HTML(
        f"<div class='kf-thumbs' aria-hidden='true'>{figures}</div>", js_on_load=_CHOOSE.replace("RADIO", radio)
    )
