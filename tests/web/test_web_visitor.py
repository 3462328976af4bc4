"""What visitors meet beyond a plain run: others before them, a second photo, files that are none, a phone."""

from __future__ import annotations

import re
import threading
from io import BytesIO

import pytest
from PIL import Image
from web_steps import WAIT, connect, contrast, has_colour, picture_size, run, send, upload, wait_until

import kf_core
from web_demo import examples, runner

needs_example = pytest.mark.skipif(not examples.names(), reason="no example is there: python -m web_demo.make_cached")


def test_a_waiting_visitor_sees_place_and_minutes(visit, slow_server, photo, tmp_path):
    other = connect(slow_server, tmp_path / "other")
    job = other.submit(photo=send(photo("1.png")), scale=2, api_name="/super_resolve")
    wait_until(lambda: job.outputs() and runner.busy())
    page = visit(slow_server)
    upload(page, photo())
    page.wait_for_selector("#kf-forecast :text('1 in the line before you')")
    run(page)
    page.wait_for_selector("#kf-live :text('You are number 2 in the line.')")
    words = page.inner_text("#kf-live")
    assert re.search(r"One job is before yours: (a few seconds|about \d+ (seconds|minutes|hours))", words)
    red = "rgb(185, 28, 28)"
    has_colour(page, "#kf-stop", red)
    assert contrast(page, "#kf-stop", own=True) >= 4.5
    for width in (1280, 390):  # at a desk, and on a phone
        page.set_viewport_size({"width": width, "height": 900})
        box = page.locator("#kf-live").bounding_box()
        assert box["height"] > 40 and box["width"] > 250
    other.predict(api_name="/stop")
    page.wait_for_selector("#kf-live [role=progressbar]")  # it starts by itself
    page.click("#kf-stop")
    wait_until(lambda: not runner.busy())
    has_colour(page, "#kf-stop", red, False)


@needs_example
def test_a_new_photo_takes_the_old_result_away(visit, server, photo):
    page = visit(server)
    upload(page, photo())
    page.wait_for_selector("#kf-result img", state="detached")
    assert not page.inner_text("#kf-verdict").strip() and page.locator("#kf-compare img").count() == 0
    assert page.locator("#kf-get-photo").is_disabled()
    run(page)
    page.wait_for_selector("#kf-live :text('Done.')")
    page.wait_for_selector("#kf-get-photo:enabled")
    upload(page, photo("second.png", size=(50, 50)), says="50 x 50 pixels. Good to go")
    page.wait_for_selector("#kf-result img", state="detached")
    page.wait_for_selector("#kf-get-photo:disabled")


@needs_example
def test_a_late_run_leaves_the_example_alone_and_can_be_brought_back(visit, server, photo, monkeypatch):
    chosen, super_resolve = threading.Event(), kf_core.super_resolve

    def late(*args, **kwargs):
        assert chosen.wait(WAIT / 1000)
        return super_resolve(*args, **kwargs)

    monkeypatch.setattr(kf_core, "super_resolve", late)  # this page is served by this process
    page, name = visit(server), examples.names()[-1]
    upload(page, photo("mine.png"))
    run(page)
    wait_until(runner.busy)
    page.click(f".kf-examples button:has-text('{examples.title(name)}')")
    page.wait_for_function("n => document.querySelector('#kf-result img')?.src.includes(n)", arg=name)
    chosen.set()
    page.wait_for_selector("#kf-live :text('mine is done')")
    assert name in page.get_attribute("#kf-result img", "src")
    page.wait_for_selector("#kf-again:visible")
    page.click("#kf-again")
    page.wait_for_selector("#kf-result img[src*=mine]")
    assert picture_size(page, "#kf-photo img") == [48, 40] and picture_size(page, "#kf-result img") == [96, 80]
    assert page.locator("#kf-scale input").nth(1).is_checked()


def test_a_kernel_file_that_is_none_does_not_stop_run(visit, server, photo, tmp_path):
    page = visit(server)
    upload(page, photo())
    page.get_by_role("button", name="Advanced").click()
    (tmp_path / "no.npy").write_bytes(b"no kernel at all")
    page.set_input_files("#kf-kernel-file input[type=file]", str(tmp_path / "no.npy"))
    page.wait_for_selector(":text('does not hold a kernel')")
    page.wait_for_selector("#kf-kernel-file :text('no.npy')", state="detached")
    run(page)
    page.wait_for_selector("#kf-live :text('Done.')")


def test_on_a_phone_the_end_of_a_run_comes_into_view(visit, server, photo):
    page = visit(server, width=390)
    upload(page, photo())
    run(page)
    page.wait_for_selector("#kf-live :text('Done.')")
    page.wait_for_function(
        """() => { const b = document.querySelector('#kf-live').getBoundingClientRect();
        return b.top >= -5 && b.bottom <= innerHeight && document.querySelector('#kf-input').getBoundingClientRect().top
            < innerHeight; }"""
    )


def test_the_page_is_as_wide_whatever_it_shows(visit, server, photo):
    page, widths = visit(server), {}

    def measure():
        for width in (1279, 1280, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            widths.setdefault(width, []).append(page.locator("#kf-head").bounding_box()["width"])

    measure()
    page.get_by_role("tab", name="About").click()
    page.wait_for_selector(":text('For programs'):visible")
    measure()
    page.get_by_role("tab", name="Your photo").click()
    upload(page, photo("large.png", size=(300, 200)), says="takes up to 64 x 64")
    measure()
    for seen in widths.values():
        assert max(seen) - min(seen) < 20 and min(seen) > 1080  # a scroll bar may come


def test_errors_have_a_colour_that_can_be_read(visit, server, tmp_path):
    (tmp_path / "no.png").write_bytes(b"nonsense")
    for dark in (False, True):
        page = visit(server, dark=dark)
        upload(page, tmp_path / "no.png", says="not a photo that can be read")
        ink = page.eval_on_selector("#kf-note strong", "e => getComputedStyle(e).color")
        assert ink == ("rgb(255, 156, 148)" if dark else "rgb(179, 19, 12)")
        assert contrast(page, "#kf-note strong") >= 4.5


def test_in_the_dark_the_kernel_has_no_white_ground(visit, server):
    page = visit(server, dark=True)
    image = Image.open(BytesIO(page.request.get(page.get_attribute("#kf-kernel img", "src")).body()))
    assert image.mode == "RGBA" and image.getpixel((2, 2))[3] == 0


def test_the_fool_panel_tells_gain_and_confidence_first_and_shows_its_choices(visit, server):
    page = visit(server)
    page.get_by_role("tab", name="Try to fool it").click()
    page.wait_for_selector("#kf-fool-forecast :text('112 x 112'), #kf-fool-forecast :text('64 x 64')")
    thumbs = page.locator(".kf-thumbs figure:visible")
    assert thumbs.count() == 10
    page.locator(".kf-thumbs figure[data-name='box']").click()
    assert page.get_by_label("box", exact=True).is_checked()
    page.click("#kf-fool-run")
    page.wait_for_selector("#kf-fool-live :text('Done.')")
    assert re.search(
        r"(fooled it|not fooled|most of the kernel): [+-][\d.]+ dB", page.inner_text("#kf-score .kf-headline")
    )
