"""The page in a real browser: what a visitor sees and does, at a desk, on a phone, with the keyboard, in the dark."""

from __future__ import annotations

import re
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from web_settings import WAIT

from web_demo import examples, runner


@pytest.fixture
def visit(browser):
    """Opens a page: visit(server, width, dark) -> page. What it asked the network for is page.asked."""
    contexts = []

    def open_page(server, width=1280, dark=False):
        scheme = "dark" if dark else "light"
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=width < 500, accept_downloads=True
        )
        contexts.append(context)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.asked, page.wrong = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.goto(server.url + ("?__theme=dark" if dark else ""))
        page.wait_for_selector("#kf-run")
        if examples.names():  # the first example shows by itself
            page.wait_for_selector("#kf-result img")
        return page

    yield open_page
    for context in contexts:
        context.close()


def upload(page, path, says="Good to go"):
    page.set_input_files("#kf-photo input[type=file]", str(path))
    page.wait_for_selector(f"#kf-note :text('{says}')")


def run(page, scale="2x"):
    page.get_by_label(scale, exact=True).check()
    page.click("#kf-run")


def picture_size(page, selector):
    """Natural (width, height) of a picture that has arrived."""
    page.wait_for_function("s => { const i = document.querySelector(s); return i && i.naturalWidth }", arg=selector)
    return page.eval_on_selector(selector, "image => [image.naturalWidth, image.naturalHeight]")


def wait_until(true, seconds=60):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def finished(browser, server, tmp_path_factory):
    """One run by a visitor, whose page several tests look at."""
    y, x = np.mgrid[:40, :48]
    grey = (128 + 60 * np.sin(x / 3) * np.cos(y / 4) + 50 * ((x // 8 + y // 8) % 2)).clip(0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("browser") / "my photo.png"
    Image.fromarray(np.stack([grey, grey[::-1], grey.T[:40, :40].repeat(2, 1)[:, :48]], -1)).save(path)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.asked, page.wrong, page.percents = [], [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(server.url)
    page.wait_for_selector("#kf-result img")  # the first example shows by itself
    upload(page, path)
    page.evaluate(
        """() => { window.percents = []; new MutationObserver(() => {
            const bar = document.querySelector('#kf-live [role=progressbar]');
            if (bar) window.percents.push([Number(bar.getAttribute('aria-valuenow')),
                                           document.querySelectorAll('#kf-live figure img').length]);
        }).observe(document.querySelector('#kf-live'), {childList: true, subtree: true, attributes: true}); }"""
    )
    run(page)
    page.wait_for_selector("#kf-live :text('Done.')")
    page.wait_for_selector("#kf-result img[src*=my_photo]")
    page.percents = page.evaluate("window.percents")
    yield page
    context.close()


def test_progress_moves_and_shows_the_picture(finished):
    percents = [percent for percent, _ in finished.percents]
    assert len(set(percents)) > 1 and percents == sorted(percents)
    assert any(pictures == 2 for _, pictures in finished.percents)


def test_three_panels_with_the_right_sizes(finished):
    assert picture_size(finished, "#kf-input img") == [48, 40]
    assert picture_size(finished, "#kf-result img") == [96, 80]
    assert min(picture_size(finished, "#kf-kernel img")) > 400
    assert "Time taken" in finished.inner_text("#kf-verdict")
    tops = [finished.locator(f"#{name}").bounding_box()["y"] for name in ("kf-input", "kf-result", "kf-kernel")]
    assert max(tops) - min(tops) < 2  # side by side


def test_downloads_are_the_files_the_engine_wrote(finished):
    from web_demo import plots

    with finished.expect_download() as download:
        finished.click("#kf-get-photo")
    photo = download.value
    assert photo.suggested_filename == "my_photo_x2.png"
    content = Path(photo.path()).read_bytes()
    shown = finished.get_attribute("#kf-result img", "src")
    assert finished.request.get(shown).body() == content
    names = {}
    for button in ("kernel", "taps", "report"):
        with finished.expect_download() as download:
            finished.click(f"#kf-get-{button}")
        names[download.value.suggested_filename] = Path(download.value.path()).read_bytes()
    assert set(names) == {"my_photo_x2_kernel.npy", "my_photo_x2_kernel.png", "my_photo_x2_report.json"}
    kernel = np.load(BytesIO(names["my_photo_x2_kernel.npy"]), allow_pickle=False)
    picture = np.array(Image.open(BytesIO(names["my_photo_x2_kernel.png"])))
    assert kernel.shape == (12, 12) and np.array_equal(picture, plots.kernel_colours(kernel, 480))


def test_the_before_after_view_answers_to_mouse_and_keys(finished):
    page = finished
    stage = page.locator("#kf-compare .kf-stage")
    for side in ("before", "after"):
        assert picture_size(page, f"#kf-compare .kf-{'before' if side == 'before' else 'side'} img") == [96, 80]

    def style(name):
        return stage.evaluate("(stage, name) => stage.style.getPropertyValue(name)", name)

    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    assert float(style("--split").rstrip("%")) == pytest.approx(25, abs=1)
    stage.focus()
    page.keyboard.press("ArrowRight")
    assert float(style("--split").rstrip("%")) == pytest.approx(30, abs=1)
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert "scale(3)" in style("--move") and page.input_value("#kf-compare .kf-zoom") == "3"
    page.keyboard.press("ArrowDown")
    assert not re.search(r"translate\(0%, 0%\)", style("--move").replace("-0%", "0%"))
    transforms = page.eval_on_selector_all(
        "#kf-compare .kf-side img", "all => all.map(i => getComputedStyle(i).transform)"
    )
    assert len(transforms) == 2 and transforms[0] == transforms[1] != "none"
    page.locator("#kf-compare .kf-zoom").fill("1")
    page.locator("#kf-compare .kf-split").fill("80")
    assert style("--split") == "80%" and "scale(1)" in style("--move")


def test_nothing_is_fetched_from_elsewhere_and_no_script_fails(finished, server):
    foreign = [url for url in finished.asked if not url.startswith((server.url, "data:", "blob:"))]
    assert not foreign and not finished.wrong


def test_every_picture_button_and_field_has_a_name(finished):
    page = finished
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('img')].filter(i => i.offsetParent && !i.alt).map(i => i.outerHTML)"""
    )
    assert not nameless
    unlabelled = page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea, select, canvas')]
            .filter(e => e.offsetParent && !(e.innerText || '').trim() && !e.getAttribute('aria-label')
                && !e.title && !(e.labels && e.labels.length) && !e.querySelector('img[alt]') && e.type !== 'file')
            .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert not unlabelled


def test_the_keyboard_alone_starts_a_run(visit, server, photo):
    page = visit(server)
    upload(page, photo())
    page.focus("#kf-photo")
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.closest('[id^=kf-]')?.id || document.activeElement.id"))
        if page.evaluate("document.activeElement.id") == "kf-run":
            break
    assert page.evaluate("document.activeElement.id") == "kf-run", reached
    page.keyboard.press("Enter")
    page.wait_for_selector("#kf-live [role=progressbar], #kf-live :text('Done.')")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "kf-stop"
    page.keyboard.press("Enter")
    page.wait_for_selector("#kf-live :text('Stopped'), #kf-live :text('Nothing')")
    wait_until(lambda: not runner.busy())


def test_stop_works_at_once(visit, slow_server, photo):
    page = visit(slow_server)
    upload(page, photo())
    run(page)
    page.wait_for_selector("#kf-live [role=progressbar]")
    assert runner.busy()
    page.click("#kf-stop")
    page.wait_for_selector("#kf-live :text('Stopped')")
    wait_until(lambda: not runner.busy(), 20)
    run(page)  # and the page goes on
    page.wait_for_selector("#kf-live [role=progressbar]")
    page.click("#kf-stop")
    wait_until(lambda: not runner.busy(), 20)


def test_closing_the_page_stops_the_engine(visit, slow_server, photo):
    page = visit(slow_server)
    upload(page, photo())
    run(page)
    page.wait_for_selector("#kf-live [role=progressbar]")
    page.context.close()
    wait_until(lambda: not runner.busy())


def test_errors_are_sentences(visit, server, photo, tmp_path):
    page = visit(server)
    (tmp_path / "no.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    upload(page, tmp_path / "no.png", says="not a photo that can be read")
    page.get_by_role("button", name="Advanced").click()
    upload(page, photo())
    page.get_by_label("Kernel size in pixels").fill("7")
    run(page)
    page.wait_for_selector(":text('does not fit a scale of 2')")
    assert "Traceback" not in page.inner_text("body") and not runner.busy()


def forecast(page, size):
    """The words beside Run, once they are about a photo of that size."""
    page.wait_for_selector(f"#kf-forecast :text('{size} to')")
    return page.inner_text("#kf-forecast")


def test_of_a_large_photo_a_part_is_framed_and_run(visit, server, photo):
    page = visit(server)
    upload(page, photo("large.png", size=(400, 300)), says="takes up to 64 x 64")
    frame = page.locator("#kf-choose .kf-frame")
    frame.wait_for()
    assert frame.inner_text() == "64 x 64" and re.search(r"second", forecast(page, "64 x 64"))
    before, stage = frame.bounding_box(), page.locator("#kf-choose .kf-photo-stage").bounding_box()
    page.mouse.move(before["x"] + 10, before["y"] + 10)
    page.mouse.down()
    page.mouse.move(stage["x"] + 15, stage["y"] + 15, steps=4)
    page.mouse.up()
    moved = frame.bounding_box()
    assert moved["x"] == pytest.approx(stage["x"] + 5, abs=2) and moved["y"] == pytest.approx(stage["y"] + 5, abs=2)
    page.mouse.move(moved["x"] + moved["width"], moved["y"] + moved["height"])
    page.mouse.down()
    page.mouse.move(moved["x"] + moved["width"] * 0.75, moved["y"] + moved["height"] * 0.75, steps=4)
    page.mouse.up()
    size = frame.inner_text()
    columns, rows = (int(side) for side in size.split(" x "))
    assert 44 <= columns <= 52 and 44 <= rows <= 52
    forecast(page, size)
    run(page)
    page.wait_for_selector("#kf-live :text('Done.')")
    assert picture_size(page, "#kf-result img") == [2 * columns, 2 * rows]
    assert picture_size(page, "#kf-input img") == [columns, rows]


def test_a_large_photo_is_shrunk_or_exchanged(visit, server, photo):
    page = visit(server)
    upload(page, photo("large.png", size=(400, 300)), says="takes up to 64 x 64")
    page.get_by_label("All of it, shrunk").check()
    assert "All of it, shrunk to 73 x 55" in " ".join(page.inner_text("#kf-choose .kf-modes").split())
    forecast(page, "73 x 55")
    run(page)
    page.wait_for_selector("#kf-live :text('Done.')")
    assert picture_size(page, "#kf-result img") == [146, 110]
    page.click("#kf-other")  # there is a way back
    page.wait_for_selector("#kf-choose", state="hidden")
    upload(page, photo())


def test_the_frame_answers_to_the_keyboard(visit, server, photo):
    page = visit(server)
    upload(page, photo("large.png", size=(400, 300)), says="takes up to 64 x 64")
    frame = page.locator("#kf-choose .kf-frame")
    frame.focus()
    for _ in range(80):
        page.keyboard.press("ArrowLeft")
    left = page.evaluate("document.querySelector('#kf-choose .kf-frame').style.left")
    assert left == "0%"
    page.keyboard.press("-")
    assert frame.inner_text() == "58 x 58"


def test_an_example_shows_at_once_with_its_result(visit, server):
    page = visit(server)
    name = examples.names()[-1].replace("_", " ")
    page.get_by_role("button", name=name).click()
    page.wait_for_function("n => document.querySelector('#kf-result img')?.src.includes(n)", arg=examples.names()[-1])
    assert picture_size(page, "#kf-result img") == [512, 512]
    assert not runner.busy()


def test_a_kernel_is_drawn_and_recovered(visit, server):
    page = visit(server)
    page.get_by_role("tab", name="Try to fool it").click()
    page.get_by_label("my drawing").check()
    sheet = page.locator("#kf-draw canvas")
    sheet.scroll_into_view_if_needed()
    page.locator("#kf-draw .kf-brush").select_option("1 tap")
    box = sheet.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    sheet.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    taps = int(page.inner_text("#kf-draw .kf-count").split()[0])
    assert 5 <= taps <= 9
    page.click("#kf-fool-run")
    page.wait_for_selector("#kf-fool-live :text('Done.')")
    assert "cosine" in page.inner_text("#kf-score") and picture_size(page, "#kf-fool-compare .kf-side img") == [
        256,
        256,
    ]
    assert not page.wrong


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_phone_shows_all_of_it(visit, server, dark):
    page = visit(server, width=360, dark=dark)
    for tab in ("Your photo", "Try to fool it", "About"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("tab", name="Your photo").click()
    for name in ("kf-input", "kf-result", "kf-kernel", "kf-run", "kf-stop"):
        box = page.locator(f"#{name}").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["height"] >= 30
    assert contrast(page, "#kf-head p") >= 4.5 and contrast(page, "#kf-verdict p") >= 4.5
    assert contrast(page, "#kf-run", own=True) >= 4.5 and contrast(page, "#kf-stop", own=True) >= 4.5


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
