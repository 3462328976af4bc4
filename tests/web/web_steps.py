"""What the tests of the page share: a server, and the steps that a visitor or a program takes."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import gradio_client
import pytest
from tiny import TINY

WAIT = 90_000  # ms, in the browser: the machine may have other things to do


def cannot(reason: str):
    """A skip, which in CI is a failure: there everything has to be installed."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def serve(*overrides: str, **changes):
    """The page on loopback, with an engine that takes a second."""
    try:
        import web_demo
    except ImportError as error:
        cannot(f"the web demo needs a package: {error}")
    usual = {"pixels": 64 * 64, "decoded_pixels": 1_000_000, "file_bytes": 2**20, "seconds": 120, "waiting": 25}
    limits = web_demo.Limits(**{**usual, **changes})
    app = web_demo.build_app((*TINY, *overrides), limits)
    _, url, _ = web_demo.launch(app, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    return SimpleNamespace(app=app, url=url, limits=limits)


def wait_until(true, seconds=60):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


# --- programs ---


def connect(server, folder):
    """A program's client, with a session of its own."""
    return gradio_client.Client(server.url, verbose=False, download_files=folder)


def send(path):
    return gradio_client.handle_file(str(path))


# --- the page ---


def upload(page, path, says="Good to go"):
    """Gradio replaces the input when the first example arrives: a file that the old one was given a moment before is
    lost, as no person is quick enough to see. So it is given once more where nothing comes of it."""
    from playwright.sync_api import TimeoutError as NothingCame

    note = page.locator(f"#kf-note :text('{says}')")
    for _ in range(3):
        page.set_input_files("#kf-photo input[type=file]", str(path))
        try:
            note.first.wait_for(timeout=WAIT / 3)
            return
        except NothingCame:
            continue
    raise AssertionError(f"the page never said: {says}")


def run(page, scale="2x"):
    page.get_by_label(scale, exact=True).check()
    page.click("#kf-run")


def picture_size(page, selector):
    """Natural (width, height) of a picture that has arrived."""
    page.wait_for_function("s => { const i = document.querySelector(s); return i && i.naturalWidth }", arg=selector)
    return page.eval_on_selector(selector, "image => [image.naturalWidth, image.naturalHeight]")


def contrast(page, selector, own=False):
    """WCAG contrast of a text against the page, or against the element's own ground."""
    ink, ground = page.eval_on_selector(
        selector,
        """(e, own) => [getComputedStyle(e).color, getComputedStyle(own ? e : document.body).backgroundColor]
            .map(colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number))""",
        own,
    )

    def luminance(colour):
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dim = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (light + 0.05) / (dim + 0.05)


def has_colour(page, selector, colour, is_it=True):
    """Waits until the ground of an element has that colour, or has it no more: colours change gradually."""
    page.wait_for_function(
        "([s, colour, is]) => (getComputedStyle(document.querySelector(s)).backgroundColor === colour) === is",
        arg=[selector, colour, is_it],
    )
