"""The web demo served on loopback with an engine that takes a second, and a real browser."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tiny import TINY

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


def cannot(reason: str):
    """A skip, which in CI is a failure: there everything has to be installed."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def serve(*overrides: str, **changes):
    try:
        import web_demo
    except ImportError as error:
        cannot(f"the web demo needs a package: {error}")
    usual = {"pixels": 64 * 64, "decoded_pixels": 1_000_000, "file_bytes": 2**20, "seconds": 120, "waiting": 25}
    limits = web_demo.Limits(**{**usual, **changes})
    app = web_demo.build_app((*TINY, *overrides), limits)
    _, url, _ = web_demo.launch(app, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    return SimpleNamespace(app=app, url=url, limits=limits)


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
