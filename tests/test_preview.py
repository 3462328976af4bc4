"""The preview of one spot: the same picture there as the run makes, without the wait."""

import numpy as np
import pytest
from tiny import TINY

import kf_core
from kf_core import preview as previews
from kf_core.errors import BadInput, Cancelled
from kf_core.examples import example
from kf_core.files.picture import read_picture
from kf_core.physics.kernel import gaussian_kernel
from kf_core.preview import preview
from kf_core.settings import Settings

SCALE = 2
SPOT = (10, 24, 20, 16)  # top, left, height, width
INSIDE = np.s_[20:60, 48:80]  # the same of the result
QUICK = ["finish.steps=8", "finish.start=100"]


BLUR = gaussian_kernel(12, 1.2).numpy()


def large() -> np.ndarray:
    return read_picture(example("chambord")).pixels[:120].astype(np.float32) / 255


def photo() -> np.ndarray:
    """`large`, shrunk by BLUR: 60 x 64 pixels."""
    padded = np.pad(large(), ((5, 6), (5, 6), (0, 0)), mode="edge")
    taps = [(i, j) for i in range(12) for j in range(12)]
    shrunk = sum(BLUR[i, j] * padded[i : i + 120 : SCALE, j : j + 128 : SCALE] for i, j in taps)
    return (255 * shrunk).round().astype(np.uint8)


def settings(*overrides: str, **more) -> Settings:
    return Settings.preset("fast", scale=SCALE, device="cpu", **more).with_overrides(overrides)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "grey"), [("uint8", False), ("uint16", True), ("float32", False)])
def test_a_spot_is_what_the_run_makes_there(dtype, grey):
    image = photo().astype(dtype) * {"uint8": 1, "uint16": 257, "float32": np.float32(1 / 255)}[dtype]
    image = image[..., 1] if grey else image
    whole = kf_core.super_resolve(image, settings(*QUICK), kernel=BLUR)
    seen = preview(image, SPOT, settings(*QUICK), kernel=BLUR)
    assert seen.image.shape == seen.plain.shape == (40, 32, *image.shape[2:])
    assert seen.image.dtype == seen.plain.dtype == image.dtype
    assert not seen.approximate and seen.report["kernel_source"] == "given"
    wanted = whole.image[INSIDE]
    assert distance(seen.image, wanted) < 0.5 * distance(seen.plain, wanted)
    for elsewhere in (np.s_[22:62, 48:80], np.s_[20:60, 50:82]):
        assert distance(seen.image, wanted) < 0.7 * distance(seen.image, whole.image[elsewhere])
        assert distance(seen.plain, wanted) < 0.95 * distance(seen.plain, whole.image[elsewhere])


@pytest.mark.slow
def test_a_search_of_seconds_is_made_and_a_longer_one_is_not(monkeypatch):
    told = []
    quick = preview(photo(), SPOT, settings(*TINY), progress=lambda event: told.append(event.phase))
    assert "recover_kernel" in told and not quick.approximate
    monkeypatch.setattr(previews, "SECONDS", 0.0)
    told.clear()
    learned = preview(photo(), SPOT, settings(*QUICK), progress=lambda event: told.append(event.phase))
    assert "refine_kernel" in told and told.count("recover_kernel") == 1 and learned.approximate
    assert 0 <= learned.report["share"] <= 0.9
    assert learned.kernel.shape == (12, 12) and learned.kernel.sum() == pytest.approx(1, abs=1e-3)
    told.clear()
    again = preview(
        photo(), (0, 0, 16, 16), settings(*QUICK), found=learned.found, progress=lambda event: told.append(event.phase)
    )
    assert set(told) == {"finish"} and again.approximate
    assert np.array_equal(again.kernel, learned.kernel)


@pytest.mark.slow
def test_a_blurred_photo_gets_sharper(monkeypatch):
    monkeypatch.setattr(previews, "SECONDS", 0.0)
    found = preview(photo(), SPOT, settings("finish.steps=8"))
    truth = 255 * large()[INSIDE]
    assert distance(found.image, truth) < 0.95 * distance(found.plain, truth)


@pytest.mark.parametrize("spot", [(0, 0, 61, 4), (-1, 0, 4, 4), (0, 60, 4, 5), (0, 0, 0, 4)])
def test_a_spot_outside(spot):
    with pytest.raises(BadInput, match=r"The spot to preview is not in the photo\. Choose one inside it\."):
        preview(photo(), spot, settings())


@pytest.mark.parametrize("spot", [(0, 0, 60, 64), (0, 0, 1, 1), (59, 63, 1, 1), (0, 30, 60, 2)])
def test_any_spot_inside(spot):
    seen = preview(photo(), spot, settings("finish.steps=1"), kernel=BLUR)
    assert seen.image.shape == seen.plain.shape == (2 * spot[2], 2 * spot[3], 3)


def test_it_stops_when_asked():
    with pytest.raises(Cancelled):
        preview(photo(), SPOT, settings(*QUICK), should_stop=lambda: True)
