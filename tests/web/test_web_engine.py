"""The engine behind the page: frames, stopping, time limits, and what is made of a result."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import TINY

import kf_core
from kf_core import BadInput, Cancelled, Settings
from web_demo import decode, fool, plots, results, runner
from web_demo.limits import Limits
from web_demo.live import live
from web_demo.verdict import verdict


def job(steps=4, bits=8, **changes):
    settings = Settings.preset("fast", scale=2, device="cpu").with_overrides([*TINY, f"finish.steps={steps}"])
    dtype = np.uint8 if bits == 8 else np.uint16
    pixels = np.random.default_rng(0).integers(0, 2**bits - 1, (40, 48, 3)).astype(dtype)
    return runner.Job(pixels, settings, **changes)


def wait_until_free():
    until = time.monotonic() + 60
    while runner.busy():
        assert time.monotonic() < until, "the device was not freed"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def finished():
    return list(runner.frames(job()))


def test_a_run_reports_progress_and_ends_with_the_result(finished):
    fractions = [frame.progress.fraction for frame in finished if frame.progress]
    assert fractions == sorted(fractions) and fractions[-1] > 0.5
    assert [frame for frame in finished if frame.result] == finished[-1:]
    assert finished[-1].result.image.shape == (80, 96, 3)
    assert not runner.busy()


def test_the_live_view_has_words_a_bar_and_both_pictures(finished):
    with_preview = [frame for frame in finished if frame.preview]
    assert with_preview
    shown = live(with_preview[-1])
    assert with_preview[-1].progress.label.capitalize() in shown and "step" in shown
    assert "aria-valuenow=" in shown and shown.count("data:image/png;base64,") == 2 and shown.count("alt='") == 2


def test_closing_the_generator_frees_the_device():
    run = runner.frames(job(steps=100_000))
    while next(run).progress is None:
        pass
    assert runner.busy()
    run.close()
    wait_until_free()


def test_stop_ends_the_owner_s_run_and_nobody_else_s():
    run = runner.frames(job(steps=100_000, owner="one"))
    while next(run).progress is None:
        pass
    assert not runner.stop("two") and runner.busy()
    assert runner.stop("one")
    with pytest.raises(Cancelled):
        list(run)
    wait_until_free()
    assert not runner.stop("one")


def test_a_second_job_waits_for_the_device():
    first, second = runner.frames(job(steps=100_000)), runner.frames(job())
    next(first)
    assert next(second).waiting
    first.close()
    assert list(second)[-1].result is not None


def test_a_run_that_takes_too_long_ends_with_a_sentence():
    with pytest.raises(runner.OutOfTime, match="longer than the 1 seconds"):
        list(runner.frames(job(steps=100_000, seconds=1)))
    wait_until_free()


def test_an_error_of_the_engine_reaches_the_page_and_frees_the_device():
    with pytest.raises(BadInput):
        list(runner.frames(job(kernel=np.ones((5, 5), np.float32))))  # odd at scale 2
    wait_until_free()


def test_a_lent_gpu_is_asked_for_longer_the_larger_the_result():
    small, large = job(), job()
    large = runner.Job(np.zeros((256, 256, 3), np.uint8), Settings.preset("fast", scale=4))
    assert 30 < runner.seconds_needed(small) < runner.seconds_needed(large) <= 60
    assert runner.seconds_needed(runner.Job(large.pixels, large.settings, seconds=20)) == 20


def test_the_files_of_a_result_are_the_engine_s_own(finished, tmp_path):
    outcome, photo = finished[-1].result, kf_core.Picture(job().pixels)
    files = results.write_result(tmp_path, "../my photo.tif", photo, outcome, 2)
    back = kf_core.read_picture(files.photo)
    assert files.photo.name == "my_photo_x2.png"
    assert np.array_equal(back.pixels, outcome.image)
    assert np.array_equal(np.load(files.kernel), outcome.kernel)
    assert json.loads(files.report.read_text())["output_size"] == [96, 80]
    before, after = (kf_core.read_picture(path).pixels for path in (files.before, files.after))
    assert before.shape == after.shape == (80, 96, 3) and before.dtype == after.dtype == np.uint8


def test_the_kernels_of_regions_are_a_picture_and_in_the_archive(finished, tmp_path):
    import zipfile

    outcome, photo = finished[-1].result, kf_core.Picture(job().pixels)
    taps = np.zeros((2, 3, 12, 12))
    taps[0, 0, 6, 6] = taps[1, 2, 6, 6] = 1
    varies = {"rows": 2, "columns": 3, "sentence": "The blur varies.", "kernels": {"kernels": taps.tolist()}}
    varying = SimpleNamespace(**{**vars(outcome), "report": {**outcome.report, "regions": varies}})
    files = results.write_result(tmp_path, "a.png", photo, varying, 2)
    seen = kf_core.read_picture(files.map, transparency=True).pixels
    ink = np.argwhere(seen.max(2) > 240)  # the brightest taps alone
    assert {tuple(place) for place in ink * (2, 3) // seen.shape[:2]} == {(0, 0), (1, 2)}
    assert files.map.name in zipfile.ZipFile(files.everything).namelist()
    assert "The blur varies." in verdict(varying.report)
    assert results.write_result(tmp_path, "b.png", photo, outcome, 2).map is None


def test_a_16_bit_result_is_handed_out_whole_and_shown_in_8(tmp_path):
    photo = kf_core.Picture(job(bits=16).pixels)
    image = np.random.default_rng(3).integers(0, 65535, (80, 96, 3)).astype(np.uint16)
    outcome = SimpleNamespace(image=image, kernel=np.eye(12, dtype=np.float32) / 12, report={})
    files = results.write_result(tmp_path, "deep.tif", photo, outcome, 2)
    assert np.array_equal(kf_core.read_picture(files.photo).pixels, image)
    after = kf_core.read_picture(files.after).pixels
    assert after.dtype == np.uint8 and np.abs(after * 257.0 - image).max() < 130


def test_no_exif_and_no_hostile_profile_reaches_the_result(tmp_path, photo):
    from PIL import Image, ImageCms

    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[0x8825] = {1: "N", 2: (48.0, 1.0, 2.0)}
    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile, kept in ((good, good), (b"\xff" * 5000, None), (good + bytes(2**19), None)):
        Image.open(photo()).save(tmp_path / "p.png", exif=exif, icc_profile=profile)
        picture = decode.read(tmp_path / "p.png")
        assert picture.exif is None and picture.profile == kept


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"confidence": 0.8, "confidence_sentence": "It fits <well>."}, "Confidence 80%.</strong> It fits &lt;"),
        ({"consistency_rms_grey_levels": 1.2}, "explain your photo well"),
        ({"consistency_rms_grey_levels": 9.0, "kernel_source": "given"}, "the kernel you gave"),
        ({"seconds": {"finish": 200.0}}, "Time taken: 3 minutes."),
    ],
)  # fmt: skip
def test_the_verdict_is_a_sentence(report, words):
    assert words in verdict(report)


@pytest.mark.parametrize(
    ("confidence", "preset", "scale", "said", "unsaid"),
    [
        (0.2, "fast", 4, ["sharp edges", "Balanced quality", "smaller enlargement", "drawing"], ["another seed"]),
        (0.2, "balanced", 2, ["sharp edges", "another seed", "drawing"], ["Balanced quality", "smaller enlargement"]),
        (0.6, "fast", 4, [], ["What may help", "another seed"]),
    ],
)
def test_at_a_low_confidence_the_page_says_what_to_try(confidence, preset, scale, said, unsaid):
    settings = Settings.preset(preset, scale=scale).as_dict()
    report = {"confidence": confidence, "confidence_sentence": "So so.", "settings": settings}
    words = verdict(report)
    assert ("What may help: " in words) == bool(said)
    assert all(part in words for part in said) and not any(part in words for part in unsaid)


def test_a_kernel_figure_shows_size_and_colour_bar():
    kernel = np.zeros((24, 24), np.float32)
    kernel[10, 12] = 1
    figure = plots.kernel_figure(kernel)
    assert figure.dtype == np.uint8 and min(figure.shape[:2]) > 400
    lightness = plots.colours(np.linspace(0, 1, 50)) @ np.array([0.3, 0.59, 0.11])
    assert (np.diff(lightness) > 0).all()  # it reads in grey, too


def test_kernels_that_were_possible_too_stand_below_the_kernel_with_their_weights():
    kernel, other = np.full((24, 24), 1 / 576, np.float32), np.zeros((24, 24))
    other[:, 12] = 1 / 24
    entry = {"source": "simple", "name": "a line", "weight": 0.31, "kernel": other.tolist()}
    others = results.runners_up({"other_kernels": [entry, entry | {"weight": 0.2}, entry | {"weight": 0.01}]})
    assert [weight for _, weight in others] == [0.31, 0.2] and np.array_equal(others[0][0], other)
    alone, figure = plots.kernel_figure(kernel), plots.kernel_figure(kernel, others=others)
    below = figure[len(alone) :].astype(int)
    assert len(below) > 150 and figure.shape[1] == alone.shape[1]
    assert np.array_equal(figure[: len(alone) - 10], alone[: len(alone) - 10])
    brightest = np.abs(below[..., :3] - below[..., :3].max((0, 1))).sum(-1) == 0
    assert brightest[:, : below.shape[1] // 3].any() and brightest[:, below.shape[1] // 3 : -200].any()  # both lines
    assert results.runners_up({}) == []


# --- try to fool it ---


def test_the_puzzle_is_shrunk_as_the_engine_assumes():
    kernel = np.zeros((24, 24))
    kernel[9, 14] = 1  # one tap: the small photo is the sharp one, sampled
    sharp = np.random.default_rng(1).integers(0, 255, (180, 180, 3), dtype=np.uint8)
    puzzle = fool.make_puzzle(sharp, kernel, Limits())
    assert puzzle.small.shape == (40, 40, 3) and puzzle.truth.shape == (160, 160, 3)
    # LR(j) is HR at 4 j + 1.5, moved by the tap's place against the kernel's middle, 11.5
    assert np.array_equal(puzzle.small[5, 7], puzzle.truth[4 * 5 + 2 + 9 - 12, 4 * 7 + 2 + 14 - 12])


@pytest.mark.parametrize("name", fool.KERNELS)
def test_bundled_kernels_are_whole(name):
    kernel = fool.bundled_kernel(name)
    assert kernel.shape == (24, 24) and kernel.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", fool.PHOTOS)
def test_bundled_sharp_photos_fill_the_panel(name):
    puzzle = fool.make_puzzle(fool.sharp_photo(name, None, Limits()), fool.bundled_kernel("L"), Limits())
    assert puzzle.small.shape == (fool.LARGEST, fool.LARGEST, 3)


def test_a_drawing_is_moved_to_the_middle():
    rows = np.zeros((24, 24))
    rows[0:2, 0:3] = 1
    kernel = fool.drawn_kernel(json.dumps(rows.tolist()))
    assert kernel.sum() == pytest.approx(1) and np.count_nonzero(kernel) == 6
    centre = [(kernel.sum(1 - axis) * np.arange(24)).sum() for axis in (0, 1)]
    assert np.allclose(centre, 11.5, atol=0.51)


NO_DRAWINGS = ["", "[]", "[[1]]", "{", "null", "[" * 9000, "x" * 50_000, "[[NaN" + ",0" * 23 + "]]"]
NO_DRAWINGS += [json.dumps([[value] * 24] * 24) for value in (-1, 0)]


@pytest.mark.parametrize("text", NO_DRAWINGS, ids=range(len(NO_DRAWINGS)))
def test_a_drawing_that_is_none_is_refused(text):
    with pytest.raises(BadInput):
        fool.drawn_kernel(text)


def test_scores_are_what_they_say():
    truth = np.random.default_rng(2).integers(30, 220, (64, 64)).astype(np.uint8)
    assert fool.psnr(truth + 5, truth) == pytest.approx(20 * np.log10(255 / 5))
    edge = truth.copy()
    edge[:16] = 0
    assert fool.psnr(edge, truth) > 90  # the outermost pixels do not count
    kernel = fool.bundled_kernel("ring")
    assert fool.cosine(kernel, kernel) == pytest.approx(1) and fool.cosine(kernel, np.roll(kernel, 6)) < 0.7


def test_phases_without_words_still_say_something():
    progress = kf_core.Progress(phase="new", step=1, total=2, fraction=0.5)
    assert "Working" in live(SimpleNamespace(waiting=False, progress=progress, preview=None))
