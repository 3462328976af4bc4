"""The page in a real browser: what a visitor does at a desk, on a phone, with the keyboard, in the dark."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image
from web_steps import contrast, picture_size, run, upload, wait_until

import kf_core
from kf_core import pace
from web_demo import examples, runner


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
    for _ in range(5):  # and the page goes on: no click on Run is lost
        run(page)
        page.wait_for_selector("#kf-live [role=progressbar]", timeout=20_000)
        page.click("#kf-stop")
        page.wait_for_selector("#kf-live :text('Stopped')")
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


def within(page):
    """The words on the frame lie inside the photo."""
    stage, words = (page.locator(f"#kf-choose .{part}").bounding_box() for part in ("kf-photo-stage", "kf-frame-size"))
    for start, length in (("x", "width"), ("y", "height")):
        assert stage[start] - 1 <= words[start]
        assert words[start] + words[length] <= stage[start] + stage[length] + 1


def forecast(page, size):
    """The words beside Run, once they are about a photo of that size."""
    page.wait_for_selector(f"#kf-forecast :text('{size} to')")
    return page.inner_text("#kf-forecast")


def test_the_time_is_chosen_and_blur_that_varies_is_seen(visit, slow_server, photo, monkeypatch):
    """Without a time its runs do not end; the map is that of a larger photo than this page takes."""
    service = slow_server.app.web_service
    fast = service.settings("fast", 4, 0, 0)
    assert f"loses about {-min(pace.LOSSES.values()):.1f} dB" in service.forecast(3000, 2000, fast, False, 60)
    assert "dB" not in service.forecast(3000, 2000, fast)
    made = kf_core.super_resolve

    def super_resolve(pixels, settings, **more):
        result = made(pixels, settings, **more)
        regions = {"kernels": {"kernels": np.stack([result.kernel, result.kernel])[None].tolist()}}
        result.report["regions"] = {**result.report["regions"], **regions}
        return result

    monkeypatch.setattr(kf_core, "super_resolve", super_resolve)
    page = visit(slow_server)
    upload(page, photo())
    page.get_by_label("2x", exact=True).check()
    page.wait_for_selector("#kf-forecast :text-matches('minutes|hour', 'i')")
    page.get_by_label("20 seconds").check()
    page.wait_for_selector("#kf-forecast :text-matches('second', 'i')")
    assert not page.locator("#kf-map").is_visible()
    page.get_by_role("button", name="Advanced").click()
    page.locator("#kf-varying input").check()
    run(page)
    page.wait_for_selector("#kf-live :text('Done.')")
    width, height = picture_size(page, "#kf-map img")
    assert width > 1.5 * height and page.locator("#kf-map").is_visible()
    assert page.locator("#kf-more").is_disabled()  # there is no one kernel to make more with
    assert not page.wrong


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
    within(page)
    page.keyboard.press("-")
    assert frame.inner_text() == "58 x 58"
    for key in ("ArrowRight", "ArrowUp"):
        for _ in range(80):
            page.keyboard.press(key)
    within(page)


def test_an_example_shows_at_once_with_its_result(visit, server):
    page = visit(server)
    assert picture_size(page, ".kf-examples button img")[0] > 0  # its icon is there
    page.get_by_label("2x", exact=True).check()
    page.get_by_label("Balanced, slower").check()
    page.get_by_role("button", name=examples.title(examples.names()[-1])).click()
    page.wait_for_function("n => document.querySelector('#kf-result img')?.src.includes(n)", arg=examples.names()[-1])
    with Image.open(examples.CACHED / examples.names()[-1] / "result.png") as result:
        assert picture_size(page, "#kf-result img") == list(result.size)
    page.wait_for_selector(
        "#kf-scale input:checked[value='4']"
    )  # the settings beside it are those that it was made with
    page.wait_for_selector("#kf-quality input:checked[value='fast']")
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
    tabs = {"Try to fool it": "#kf-fool-run", "About": ":text('For programs')", "Your photo": "#kf-input"}
    for tab, inside in tabs.items():
        page.get_by_role("tab", name=tab).click()
        page.wait_for_selector(f"{inside}:visible")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for name in ("kf-input", "kf-result", "kf-kernel", "kf-run", "kf-stop"):
        box = page.locator(f"#{name}").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["height"] >= 30
    assert contrast(page, "#kf-head p") >= 4.5 and contrast(page, "#kf-verdict p") >= 4.5
    assert contrast(page, "#kf-run", own=True) >= 4.5 and contrast(page, "#kf-stop", own=True) >= 4.5
