"""The tab "Your photo": what is where, and which button calls what."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from kf_core.physics.kernel import default_kernel_size, largest_kernel_size
from kf_core.settings import SCALES
from web_demo import examples, results
from web_demo.desk import Desk
from web_demo.handlers import Handlers
from web_demo.limits import KERNEL_SUFFIXES, on_zero_gpu
from web_demo.live import IDLE
from web_demo.outcomes import QUALITIES
from web_demo.texts import PAD
from web_demo.widgets import (
    Choice,
    Compare,
    Count,
    DrawKernel,
    Frame,
    Percent,
    Seconds,
    describe,
    inside_page,
    photo_box,
)

TIMES = {"As long as it needs": 0, "20 seconds": 20, "1 minute": 60, "5 minutes": 300}

QUIET: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
# Looking at photos and results is light, and is never held up by those who wait for a run.
LIGHT: dict[str, Any] = {"concurrency_limit": 16, "api_visibility": "private", "show_progress": "hidden"}
HEAVY: dict[str, Any] = {"concurrency_limit": None, "trigger_mode": "once", "show_progress": "hidden"}

# Not by `cancels`: the browser is done with that a moment after the job has ended, and loses a click on Run in between.
# In the queue, because answers come in order there: first the job's end, then the word that it has ended.
STOP: dict[str, Any] = {"concurrency_limit": 16, "show_progress": "hidden"}
AFTER_FAILURE = f"(now) => (now || '').includes('Stopped.') ? now : {json.dumps(IDLE)}"

# On a phone the result is far below the button.
_TO_THE_RESULT = """(desk) => {
  const done = document.querySelector("#kf-live");
  if (innerWidth < 640 && done) done.scrollIntoView({ block: "start", behavior: "smooth" });
  return [desk];
}"""


@dataclass
class Tab:
    """The components that events need."""

    photo: Any
    frame: Any
    other: Any
    note: Any
    scale: Any
    quality: Any
    seconds: Any
    run: Any
    stop: Any
    again: Any
    forecast: Any
    live: Any
    advanced: Sequence[Any]  # kernel size, seed, prior, kernel file, paper, varying
    results: Sequence[Any]  # as Handlers.shown
    strength: Any
    form: Any
    more: Any
    gallery: Any
    pad: Any
    use_pad: Any
    pad_live: Any
    pad_view: Any

    @property
    def downloads(self) -> list[Any]:
        return [*self.results[:4], self.results[8]]

    @property
    def after_result(self) -> list[Any]:
        """As Handlers.finished."""
        return [*self.downloads, self.again, self.pad, self.more, self.gallery]

    @property
    def on_desk(self) -> list[Any]:
        """As Handlers.new_photo and Handlers.on_desk."""
        return [self.photo, self.frame, self.other, self.note, *self.results, self.live]


def photo_tab(app: gr.Blocks, handlers: Handlers, compare: Compare) -> None:
    desk = gr.State(Desk())
    with gr.Row(elem_classes="kf-top"):
        with gr.Column(scale=2, min_width=280):
            photo = photo_box(
                label="Your small photo", alt_text="The photo to work on", elem_id="kf-photo", elem_classes="kf-panel"
            )
            frame = Frame(elem_id="kf-choose", label="Part of the photo", visible=False)
            other = gr.Button("Another photo", visible=False, size="sm", elem_id="kf-other")
            note = gr.HTML(elem_id="kf-note")
            shown = examples.names()
            if shown:
                gr.Markdown("**Or look at an example**, computed beforehand with the fast quality:")
            with gr.Row(elem_classes="kf-examples"):
                buttons = {
                    name: gr.Button(examples.title(name), icon=inside_page(examples.source_of(name)), size="sm")
                    for name in shown
                }
        with gr.Column(scale=3, min_width=280):
            with gr.Row():
                choices = [(f"{scale}x" if scale > 1 else "1x, sharper", scale) for scale in SCALES]
                scale = Choice(choices, value=4, label="How many times larger", min_width=190, elem_id="kf-scale")
                quality = Choice(
                    [(label, preset) for preset, label in QUALITIES.items()], value="fast", label="Quality",
                    min_width=220, elem_id="kf-quality",
                )  # fmt: skip
            seconds = Seconds(list(TIMES.items()), value=0, label="About how long it may take", elem_id="kf-time",
                              visible=not on_zero_gpu())  # fmt: skip
            with gr.Row():
                run = gr.Button("Recover photo and kernel", variant="primary", scale=3, elem_id="kf-run")
                stop = gr.Button("Stop", variant="secondary", scale=1, min_width=90, elem_id="kf-stop")
            forecast = gr.HTML(elem_id="kf-forecast")
            live = gr.HTML(IDLE, elem_id="kf-live", label="Live view")
            again = gr.Button("Show my last result", visible=False, size="sm", elem_id="kf-again")
            with gr.Accordion("Advanced", open=False, elem_id="kf-advanced"):
                advanced = _advanced()
                more = gr.Button("Two more seeds, same kernel", size="sm", interactive=False, elem_id="kf-more")
    with gr.Row(elem_id="kf-panels"):
        before = gr.Image(label="Input", format="png", interactive=False, alt_text="The photo as it was given",
                          elem_id="kf-input", elem_classes=["kf-panel", "kf-pixels"], height=300, min_width=220,
                          buttons=["fullscreen"])  # fmt: skip
        after = gr.Image(label="Large photo", format="png", interactive=False, alt_text="The recovered large photo",
                         elem_id="kf-result", elem_classes="kf-panel", height=300, min_width=220,
                         buttons=["fullscreen"])  # fmt: skip
        figure = gr.Image(label="Kernel", format="png", interactive=False, height=300, min_width=220,
                          alt_text="The kernel, enlarged, with a colour bar", elem_id="kf-kernel",
                          elem_classes="kf-panel", buttons=["fullscreen"])  # fmt: skip
        regions = gr.Image(label="Kernels over the photo", format="png", interactive=False, height=300, min_width=220,
                           alt_text="The kernels of the photo's regions, each in its place", elem_id="kf-map",
                           elem_classes="kf-panel", buttons=["fullscreen"])  # fmt: skip
    verdict = gr.HTML(elem_id="kf-verdict", label="How far to trust it")
    with gr.Row(elem_id="kf-finish"):
        strength = Percent(
            0, 100, value=100, step=5, label="Strength in percent", elem_id="kf-strength", min_width=220,
            info="Less: nearer to the plain enlargement. Needs no new run.",
        )  # fmt: skip
        form = gr.Radio(list(results.FORMATS), value="PNG", label="Format of the large photo", elem_id="kf-format")
    with gr.Row(elem_id="kf-downloads"):
        names = {
            "photo": "Large photo (PNG)",
            "kernel": "Kernel (.npy)",
            "taps": "Kernel (PNG)",
            "report": "Report (JSON)",
            "all": "All of it (ZIP)",
        }
        gets = {
            name: gr.DownloadButton(label, interactive=False, size="sm", min_width=130, elem_id=f"kf-get-{name}")
            for name, label in names.items()
        }
    gallery = gr.Gallery(
        label="The same kernel, other seeds", columns=3, format="png", interactive=False, visible=False,
        elem_id="kf-seeds",
    )  # fmt: skip
    compare.render()
    with gr.Accordion("Draw or edit the kernel", open=False, elem_id="kf-edit"):
        gr.Markdown(PAD)
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                pad = DrawKernel(default_kernel_size(4), elem_id="kf-pad", label="Kernel")
                use_pad = gr.Button("Make the whole photo with this kernel", size="sm", elem_id="kf-use-pad")
            with gr.Column(scale=3, min_width=280):
                pad_live = gr.HTML(IDLE, elem_id="kf-pad-live")
                pad_view = Compare(elem_id="kf-pad-view")

    first = [gets[name] for name in ("photo", "kernel", "taps", "report")]
    tab = Tab(
        photo, frame, other, note, scale, quality, seconds, run, stop, again, forecast, live, advanced,
        [*first, verdict, before, after, figure, gets["all"], compare, regions], strength, form, more, gallery, pad,
        use_pad, pad_live, pad_view,
    )  # fmt: skip
    _runs(handlers, tab, desk)
    _photo_events(app, handlers, tab, desk, buttons)
    _api_only(handlers, tab)


def _advanced() -> list[Any]:
    kernel_size = Count(
        0, label="Kernel size in pixels", info="0: automatic. Even for 2x and 4x, odd for 3x.", precision=0,
        minimum=0, maximum=largest_kernel_size(max(SCALES)),
    )  # fmt: skip
    seed = Count(
        0, label="Seed", info="Balanced searches: another seed may find another kernel.", precision=0,
        minimum=0, maximum=2**31 - 1,
    )  # fmt: skip
    prior = gr.Textbox(
        "", label="Patch prior from the Hugging Face Hub", info="OWNER/NAME@COMMIT. Empty: the usual one.",
        max_length=300,
    )  # fmt: skip
    kernel_file = gr.File(
        label="A kernel you know: then only the photo is restored", file_types=list(KERNEL_SUFFIXES), height=150,
        elem_id="kf-kernel-file",
    )  # fmt: skip
    paper = gr.Checkbox(False, label="The paper's settings", info="Hours on a processor, minutes on a GPU.")
    varying = gr.Checkbox(
        False, label="Blur varies over the photo", info="As of a camera that was turned. Takes longer.",
        elem_id="kf-varying",
    )  # fmt: skip
    return [kernel_size, seed, prior, kernel_file, paper, varying]


def _runs(handlers: Handlers, tab: Tab, desk: Any) -> None:
    """Run, Stop, and what follows a result."""
    *advanced, varying = tab.advanced
    inputs = [tab.photo, tab.scale, tab.quality, *advanced, tab.frame, tab.strength, tab.seconds, varying, desk]
    outputs, after = [*tab.results, tab.live], tab.after_result
    describe(handlers.super_resolve, inputs)
    event = tab.run.click(
        handlers.super_resolve, inputs, outputs, api_name="super_resolve", validator=handlers.check_super_resolve,
        **HEAVY,
    )  # fmt: skip
    drawn = tab.use_pad.click(
        handlers.apply_kernel, [tab.photo, tab.scale, tab.quality, tab.frame, tab.strength, tab.seconds, tab.pad, desk],
        outputs, api_visibility="private", **HEAVY,
    )  # fmt: skip
    other = tab.more.click(handlers.more_seeds, desk, [tab.gallery, tab.live], api_visibility="private", **HEAVY)
    other.failure(None, tab.live, tab.live, js=AFTER_FAILURE)
    for each in (event, drawn):
        each.failure(None, tab.live, tab.live, js=AFTER_FAILURE)
        each.success(handlers.finished, desk, after, js=_TO_THE_RESULT, **QUIET)
    tab.stop.click(handlers.stop, None, tab.live, api_name="stop", **STOP)
    tab.strength.release(
        handlers.outcomes.mix, [tab.strength, tab.form, desk], [tab.results[index] for index in (0, 6, 8, 9)], **LIGHT
    )
    tab.form.input(handlers.outcomes.other_format, [tab.form, tab.strength, desk], tab.results[0], **LIGHT)
    tab.pad.input(
        handlers.try_kernel, [tab.photo, tab.scale, tab.quality, tab.frame, tab.pad], [tab.pad_view, tab.pad_live],
        api_visibility="private", concurrency_limit=None, trigger_mode="always_last", show_progress="hidden",
    ).failure(lambda: IDLE, None, tab.pad_live, **QUIET)  # fmt: skip
    shown = [*tab.on_desk, tab.scale, tab.quality, tab.strength]
    tab.again.click(handlers.outcomes.again, desk, shown, **LIGHT).success(handlers.finished, desk, after, **QUIET)


def _photo_events(app: gr.Blocks, handlers: Handlers, tab: Tab, desk: Any, buttons: dict[str, Any]) -> None:
    """A photo, an example, the forecast, and what a visitor finds who comes or comes back."""
    shown, after = [*tab.on_desk, tab.scale, tab.quality, tab.strength], tab.after_result
    tab.photo.upload(handlers.intake.new_photo, [tab.photo, tab.scale, tab.quality, desk], tab.on_desk, **LIGHT).then(
        handlers.finished, desk, after, **QUIET
    )
    for event in (tab.photo.clear, tab.other.click):
        event(handlers.outcomes.no_photo, desk, tab.on_desk, **QUIET).then(handlers.finished, desk, after, **QUIET)
    kernel_size, seed, _, kernel_file, paper, varying = tab.advanced
    chosen = [tab.photo, tab.frame, tab.scale, tab.quality, kernel_size, seed, kernel_file, paper, tab.seconds, varying]
    gr.on(
        [each.change for each in chosen], handlers.intake.forecast, chosen, tab.forecast, trigger_mode="always_last",
        **QUIET,
    )  # fmt: skip
    kernel_file.upload(handlers.intake.look_at_kernel, [kernel_file, tab.scale], kernel_file, **LIGHT)
    for name, button in buttons.items():
        example = functools.partial(handlers.outcomes.example, name)
        button.click(example, desk, shown, **LIGHT).success(handlers.finished, desk, after, **QUIET)
    browser = gr.BrowserState("", storage_key="kernelfusion", secret="kernelfusion")
    first = examples.names()[0] if buttons else ""
    app.load(functools.partial(handlers.outcomes.arrive, first), browser, [browser, desk, *shown], **LIGHT).success(
        handlers.finished, desk, after, **QUIET
    )


def _api_only(handlers: Handlers, tab: Tab) -> None:
    """Endpoints for programs, of which the page has its own kind."""
    unseen = gr.Button(visible=False)
    describe(handlers.intake.look, [tab.photo])
    unseen.click(handlers.intake.look, tab.photo, [tab.photo, tab.note], api_name="look", concurrency_limit=16)
    unseen.click(handlers.intake.crop, tab.photo, [tab.photo, tab.note], api_name="crop", concurrency_limit=16)
    for name in examples.names():
        show = _example_for_programs(handlers, name)
        unseen.click(show, None, [tab.photo, *tab.results], api_name=f"example_{name}", concurrency_limit=16)


def _example_for_programs(handlers: Handlers, name: str) -> Callable[[], tuple]:
    def show() -> tuple:
        return handlers.outcomes.example_results(name)

    show.__doc__ = f"Shows the example '{name}' with its result, computed beforehand."
    show.__name__ = f"example_{name}"
    return show
