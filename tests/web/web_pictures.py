"""Takes pictures of the page in a real browser: PYTHONPATH=tests:. python tests/web/web_pictures.py FOLDER

Those that the documents show are web_desktop.png, web_fool.png and web_phone.png; the others are to be looked at.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from conftest import FLAGS, Visits
from PIL import Image
from playwright.sync_api import sync_playwright
from web_steps import connect, send, upload, wait_until

import web_demo
from kf_core.examples import example
from web_demo import runner


def take(page, path):
    page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    page.evaluate("for (const image of document.images) image.loading = 'eager'")  # also what is far below
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    page.screenshot(path=path, full_page=True)


def show(visit, server, folder, width, name, dark=False):
    page = visit(server, width=width, dark=dark)
    page.wait_for_selector("#kf-forecast :text('pixels')")
    take(page, folder / f"{name}.png")
    return page


def main(folder):
    app = web_demo.build_app()
    _, url, _ = web_demo.launch(app, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    server = SimpleNamespace(app=app, url=url)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=FLAGS
        )
        visit = Visits(browser)
        show(visit, server, folder, 390, "web_phone")
        show(visit, server, folder, 1440, "desktop_1440")
        show(visit, server, folder, 1280, "dark", dark=True)
        page = show(visit, server, folder, 1160, "web_desktop")
        page.get_by_role("tab", name="Try to fool it").click()
        page.wait_for_selector("#kf-fool-compare .kf-stage img:visible")
        take(page, folder / "web_fool.png")
        page.get_by_role("tab", name="About").click()
        page.wait_for_selector(":text('For programs'):visible")
        take(page, folder / "about.png")
        large = folder / "large.jpg"
        Image.fromarray(np.tile(np.asarray(Image.open(example("windmill")).convert("RGB")), (14, 20, 1))).save(large)
        other = connect(server, folder / "other")
        job = other.submit(photo=send(example("windmill")), api_name="/super_resolve")
        wait_until(lambda: job.outputs() and runner.busy())
        for width in (1280, 390):
            page = visit(server, width=width)
            upload(page, large, says="Choose what to work on")
            page.locator("#kf-choose .kf-frame").wait_for()
            page.wait_for_selector("#kf-forecast :text('in the line before you')")
            take(page, folder / f"choice_{width}.png")
            page.click("#kf-run")
            page.wait_for_selector("#kf-live :text('number 2 in the line')")
            take(page, folder / f"waiting_{width}.png")
            page.click("#kf-stop")
            visit.leave()
        other.predict(api_name="/stop")
        wait_until(lambda: not runner.busy(), 300)
        visit.close()
        browser.close()
    app.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
