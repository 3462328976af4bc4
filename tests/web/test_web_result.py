"""A visitor's own result: what the page shows of a finished run, and what can be done with it."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from web_steps import picture_size, run, upload, wait_until

from web_demo import runner


@pytest.fixture(scope="module")
def finished(visits, server, tmp_path_factory):
    """One run by a visitor, whose page all tests look at."""
    y, x = np.mgrid[:40, :48]
    grey = (128 + 60 * np.sin(x / 3) * np.cos(y / 4) + 50 * ((x // 8 + y // 8) % 2)).clip(0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("browser") / "my photo.png"
    Image.fromarray(np.stack([grey, grey[::-1], grey.T[:40, :40].repeat(2, 1)[:, :48]], -1)).save(path)
    page = visits(server)
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
    page.wait_for_selector("#kf-get-photo:enabled")
    page.percents = page.evaluate("window.percents")
    return page


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


@pytest.fixture
def mine(finished):
    """The same page, reloaded: it shows the result again, as if nothing had been done with it."""
    finished.reload()
    finished.wait_for_selector("#kf-result img[src*=my_photo]")
    finished.wait_for_selector("#kf-get-photo:enabled")
    return finished


def test_a_result_survives_a_reload(mine):
    assert picture_size(mine, "#kf-result img") == [96, 80] and picture_size(mine, "#kf-photo img") == [48, 40]
    mine.wait_for_selector("#kf-get-photo:enabled")
    assert "Time taken" in mine.inner_text("#kf-verdict")


def pixels_of(page, selector):
    page.wait_for_function("s => document.querySelector(s)?.naturalWidth", arg=selector)
    body = page.request.get(page.eval_on_selector(selector, "image => image.src")).body()
    return np.asarray(Image.open(BytesIO(body)).convert("RGB"), dtype=float)


def test_the_strength_mixes_without_a_new_run(mine):
    full = pixels_of(mine, "#kf-result img")
    plain = pixels_of(mine, "#kf-compare .kf-before img")
    source = mine.get_attribute("#kf-result img", "src")
    slider = mine.locator("#kf-strength input[type=range]")
    slider.focus()
    for _ in range(10):
        mine.keyboard.press("ArrowLeft")
    mine.locator("#kf-strength input[type=range]").dispatch_event("pointerup")
    mine.wait_for_function("old => document.querySelector('#kf-result img')?.src !== old", arg=source)
    half = pixels_of(mine, "#kf-result img")
    assert np.abs(half - (full + plain) / 2).mean() < 2.5 and np.abs(full - plain).mean() > 3
    with mine.expect_download() as download:
        mine.click("#kf-get-photo")
    assert np.array_equal(np.asarray(Image.open(download.value.path()).convert("RGB"), dtype=float), half)
    assert not runner.busy()


def test_the_large_photo_comes_as_jpeg_and_webp_and_all_files_in_one(mine):
    for form, suffix, kind in (("JPEG", ".jpg", "JPEG"), ("WebP", ".webp", "WEBP"), ("PNG", ".png", "PNG")):
        mine.locator("#kf-format").get_by_label(form, exact=True).check()
        mine.wait_for_selector(f"#kf-get-photo:has-text('{form}')")
        got = []

        def right(name=f"my_photo_x2{suffix}", got=got):
            with mine.expect_download() as download:
                mine.click("#kf-get-photo")
            got.append(download.value)
            return download.value.suggested_filename == name

        wait_until(right)  # the label may change before the file does
        with Image.open(got[-1].path()) as image:
            assert image.format == kind and image.size == (96, 80)
    with mine.expect_download() as download:
        mine.click("#kf-get-all")
    assert download.value.suggested_filename == "my_photo_x2.zip" and Path(download.value.path()).stat().st_size > 1000


def test_the_recovered_kernel_is_edited_and_the_picture_follows(mine):
    mine.get_by_role("button", name="Draw or edit the kernel").click()
    mine.wait_for_selector("#kf-pad canvas:visible")
    mine.wait_for_function("!document.querySelector('#kf-pad .kf-count').textContent.startsWith('0 ')")
    taps = int(mine.inner_text("#kf-pad .kf-count").split()[0])
    assert taps > 4  # the recovered kernel, of 12 x 12
    mine.click("#kf-pad .kf-clear")
    assert mine.inner_text("#kf-pad .kf-count").startswith("0 ")
    mine.click("#kf-pad .kf-undo")
    assert mine.inner_text("#kf-pad .kf-count").startswith(f"{taps} ")
    mine.click("#kf-pad .kf-clear")
    sheet = mine.locator("#kf-pad canvas")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    mine.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    soft = int(mine.inner_text("#kf-pad .kf-count").split()[0])
    assert soft == 9  # a soft dab, not one tap
    mine.wait_for_selector("#kf-pad-view .kf-stage img")
    assert picture_size(mine, "#kf-pad-view .kf-after img") == [96, 80]
    mine.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    mine.click("#kf-use-pad")  # while the small one runs, which gives way
    mine.wait_for_selector("#kf-verdict :text('your kernel')")
    assert not mine.locator(":text('still waiting or running'), :text('sheet is empty')").count()
    assert "given" in mine.inner_text("#kf-verdict") or "kernel" in mine.inner_text("#kf-verdict")


def test_wheel_pinch_pixels_and_double_click(mine):
    stage = mine.locator("#kf-compare .kf-stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()

    def zoom():
        return float(re.search(r"scale\(([\d.]+)\)", stage.evaluate("e => e.style.getPropertyValue('--move')"))[1])

    def split():
        return stage.evaluate("e => e.style.getPropertyValue('--split')")

    mine.mouse.move(box["x"] + 100, box["y"] + 100)
    mine.mouse.wheel(0, -300)
    mine.wait_for_function(
        "e => Number(e.style.getPropertyValue('--move').match(/scale\\(([\\d.]+)/)[1]) > 1.3",
        arg=stage.element_handle(),
    )
    mine.click("#kf-compare .kf-fit")
    assert zoom() == 1
    mine.click("#kf-compare .kf-pixels-1")  # of a small picture: smaller than the view
    assert zoom() * box["width"] * mine.evaluate("devicePixelRatio") == pytest.approx(96, rel=0.01)
    mine.click("#kf-compare .kf-fit")
    mine.mouse.dblclick(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.3)
    assert zoom() == 4 and split() == "50%"  # the line stays
    mine.click("#kf-compare .kf-fit")
    mine.evaluate(
        """() => { const s = document.querySelector('#kf-compare .kf-stage'), b = s.getBoundingClientRect();
        s.setPointerCapture = () => {};
        const at = (type, id, x) => s.dispatchEvent(new PointerEvent(type, {pointerId: id, bubbles: true,
            pointerType: 'touch', clientX: b.left + x, clientY: b.top + 100}));
        at('pointerdown', 1, 100); at('pointerdown', 2, 140); at('pointermove', 2, 220); at('pointerup', 1, 100);
        at('pointerup', 2, 220); }"""
    )
    assert zoom() == pytest.approx(3, abs=0.1) and split() == "50%"
    mine.click("#kf-compare .kf-full")
    mine.wait_for_function("document.fullscreenElement?.matches('.kf-compare')")
    mine.keyboard.press("Escape")


def test_two_more_seeds_show_side_by_side_with_the_kernel_kept(mine):
    mine.get_by_role("button", name="Advanced").click()
    button = mine.locator("#kf-more:enabled")
    assert re.search(r"\((a few seconds|about \d+ \w+)\)", button.inner_text())  # said before it is pressed
    button.click()
    mine.wait_for_selector("#kf-seeds :text('seed 2')")
    sources = mine.eval_on_selector_all("#kf-seeds img", "all => [...new Set(all.map(image => image.src))]")
    files = [mine.request.get(source).body() for source in sources]
    assert len(set(files)) == 3 and {Image.open(BytesIO(file)).size for file in files} == {(96, 80)}
    assert files[0] == mine.request.get(mine.get_attribute("#kf-result img", "src")).body()
