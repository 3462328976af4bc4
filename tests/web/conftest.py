"""The web demo served on loopback with an engine that takes a second, and a real browser."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image
from web_steps import WAIT, cannot, serve

FLAGS = [
    f"--{flag}"
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
    )
]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The engine's runs here are so small that threads only wait for each other, most of all where two processes test
    at once."""
    import torch

    before, said = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
    yield
    torch.set_num_threads(before)
    os.environ.pop("OMP_NUM_THREADS")
    if said is not None:
        os.environ["OMP_NUM_THREADS"] = said


@pytest.fixture(scope="session")
def server():
    running = serve("finish.steps=2")
    yield running
    running.app.close()


@pytest.fixture(scope="session")
def slow_server():
    """Its runs do not end by themselves within a test."""
    running = serve("finish.steps=100000")
    yield running
    running.app.close()


@pytest.fixture(scope="session")
def browser():
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        cannot("there is no chromium: make chromium installs it")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        cannot(str(error))
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


class Visits:
    """Pages of one browser. One is used again by the next visitor, who loads in half the time what the last one has
    loaded, and otherwise finds nothing of theirs."""

    def __init__(self, browser):
        self._browser, self._pages = browser, {}

    def __call__(self, server, width=1280, dark=False):
        """Opens a page: visit(server, width, dark) -> page. What it asked the network for is page.asked, the errors of
        its scripts are page.wrong."""
        from web_demo import examples

        page = self._page(width < 500)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.asked.clear()
        page.wrong.clear()
        page.goto(server.url + ("?__theme=dark" if dark else ""))
        page.wait_for_selector("#kf-run")
        if examples.names():  # the first example shows by itself
            page.wait_for_selector("#kf-result img")
        return page

    def _page(self, touch):
        page = self._pages.get(touch)
        if page is None or page.is_closed():
            context = self._browser.new_context(has_touch=touch, accept_downloads=True)
            context.set_default_timeout(WAIT)
            page = self._pages[touch] = context.new_page()
            page.asked, page.wrong = [], []
            page.on("request", lambda request: page.asked.append(request.url))
            page.on("pageerror", lambda error: page.wrong.append(str(error)))
        return page

    def leave(self):
        for page in self._pages.values():
            if not page.is_closed() and page.url.startswith("http"):
                page.evaluate("localStorage.clear()")
                page.goto("about:blank")

    def close(self):
        for page in self._pages.values():
            if not page.is_closed():
                page.context.close()


@pytest.fixture(scope="module")
def visits(browser):
    made = Visits(browser)
    yield made
    made.close()


@pytest.fixture
def visit(visits):
    yield visits
    visits.leave()


@pytest.fixture
def photo(tmp_path):
    """Writes a photo of smooth shapes: photo(name, size, bits) -> its path."""

    def write(name="photo.png", size=(48, 40), bits=8):
        import kf_core

        y, x = np.mgrid[: size[1], : size[0]]
        grey = 0.5 + 0.25 * np.sin(x / 3.0) * np.cos(y / 4.0) + 0.2 * ((x // 8 + y // 8) % 2)
        channels = np.stack([grey, grey[::-1], grey[:, ::-1]], axis=-1).clip(0, 1)
        pixels = (channels * (255 if bits == 8 else 65535)).astype(np.uint8 if bits == 8 else np.uint16)
        path = tmp_path / name
        if bits == 8 and path.suffix == ".png":
            Image.fromarray(pixels).save(path)
        else:
            kf_core.write_picture(path, kf_core.Picture(pixels))
        return path

    return write
