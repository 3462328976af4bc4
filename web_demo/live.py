"""The live view: what the engine is doing, in words, a bar and two small pictures. It is HTML, and leaves no file."""

from __future__ import annotations

import html

import numpy as np

from web_demo import plots
from web_demo.runner import Frame
from web_demo.verdict import in_words, roughly

IDLE = "<div class='kf-live kf-idle'></div>"


def live(frame: Frame, about: str = "") -> str:
    """One frame as HTML. Everything in it is a number or our own words.

    Args:
        about: what the run is about, where that is not what the page shows.
    """
    if frame.waiting:
        return message("Waiting for the job before yours to end.")
    progress = frame.progress
    if progress is None:
        return message("Starting the engine.")
    stage = progress.label.capitalize() or "Working"
    left = ""
    if progress.seconds_left is not None:
        left = f"about {in_words(progress.seconds_left)} left"
    percent = round(100 * progress.fraction)
    parts = [
        "<div class='kf-live'>",
        f"<p class='kf-about'>{html.escape(about)}</p>" if about else "",
        f"<p class='kf-phase'><strong>{html.escape(stage)}</strong> <span>step {progress.step} of {progress.total}"
        f"</span> <span>{html.escape(left)}</span></p>",
        f"<div class='kf-bar' role='progressbar' aria-label='Progress of the run' aria-valuemin='0' "
        f"aria-valuemax='100' aria-valuenow='{percent}'><div style='width:{percent}%'></div></div>",
        _pictures(frame),
        "</div>",
    ]
    return "".join(parts)


def waiting(before: int, seconds: float) -> str:
    """What somebody sees who waits for a place: how many come first, and how long that takes."""
    who = "One job is" if before == 1 else f"{before} jobs are"
    return (
        "<div class='kf-live kf-waiting'><p class='kf-phase' role='status'>"
        f"<strong>You are number {before + 1} in the line.</strong> <span>{who} before yours: {roughly(seconds)}."
        "</span></p><p class='kf-hint'>Leave this page open; it starts by itself. Stop gives up the place.</p></div>"
    )


def message(text: str, kind: str = "") -> str:
    """A sentence in the place of the live view. `kind`: "" or "error"."""
    role = "alert" if kind == "error" else "status"
    return (
        f"<div class='kf-live'><p class='kf-phase {kind}' role='{role}'><strong>{html.escape(text)}</strong></p></div>"
    )


def _pictures(frame: Frame) -> str:
    if not frame.preview:
        return ""
    image = np.clip(frame.preview["image"], 0, 1)
    kernel = frame.preview["kernel"]
    now = plots.data_url((image * 255).round().astype(np.uint8), 384)
    shape = plots.data_url(plots.kernel_colours(kernel, 192), 192)
    return (
        "<div class='kf-pictures'>"
        f"<figure><img src='{now}' alt='The image as it is now'><figcaption>The image so far</figcaption></figure>"
        f"<figure><img class='kf-taps' src='{shape}' alt='The kernel as it is now'>"
        "<figcaption>The kernel so far</figcaption></figure></div>"
    )
