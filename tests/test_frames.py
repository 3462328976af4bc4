"""Frames, borders and letterboxes: they are found, left out, and enlarged as they are."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY

from benchmarks.split import case
from kf_core import Settings, super_resolve
from kf_core.frame import NO_FRAME, find_frame
from kf_core.photo import Photo
from kf_core.physics.grid import bicubic
from kf_core.pixels import to_array, to_tensor
from kf_core.preview import preview

torch.set_num_threads(1)
CPU = torch.device("cpu")
SIDE = 48


def photo(index: int = 4) -> np.ndarray:
    return case(index, SIDE).lr


def framed(pixels: np.ndarray, top: int, bottom: int, left: int, right: int, colour) -> np.ndarray:
    height, width, _ = pixels.shape
    larger = np.empty((height + top + bottom, width + left + right, 3), pixels.dtype)
    larger[:] = colour
    larger[top : top + height, left : left + width] = pixels
    return larger


def found_in(pixels: np.ndarray) -> tuple[int, int, int, int]:
    return find_frame(np.atleast_3d(pixels).astype(float).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("widths", "colour"),
    [((9, 9, 0, 0), 0), ((0, 0, 12, 7), 0), ((6, 6, 6, 6), 255), ((1, 1, 1, 1), 0), ((5, 3, 4, 2), (250, 240, 200))],
)
def test_a_frame_is_found_to_the_pixel(widths, colour):
    assert found_in(framed(photo(), *widths, colour)) == widths
    lifted = framed(photo(), *widths, colour).astype(np.float32) * 40 - 3000  # whatever the values mean
    assert found_in(lifted) == widths


def test_a_black_line_within_a_white_border_is_a_frame_too():
    pixels = framed(framed(photo(), 1, 1, 1, 1, 0), 8, 8, 8, 8, 255)
    assert found_in(pixels) == (9, 9, 9, 9)


def test_a_scanned_border_with_noise_and_a_mixed_row_is_found():
    pixels = framed(photo(), 7, 7, 7, 7, 236).astype(float)
    pixels[7] = 0.6 * 236 + 0.4 * pixels[7]  # half of a row of the photo
    pixels += np.random.default_rng(0).normal(0, 2, pixels.shape)
    assert found_in(pixels.round().clip(0, 255).astype(np.uint8)) == (8, 7, 7, 7)


def test_a_letterbox_is_found_in_a_jpeg():
    file = io.BytesIO()
    Image.fromarray(framed(photo(), 13, 13, 0, 0, 0)).save(file, "JPEG", quality=80)
    top, bottom, left, right = found_in(np.array(Image.open(file)))
    assert 12 <= top <= 14 and 12 <= bottom <= 14 and left == right == 0


def test_what_is_no_frame_is_left_in_the_photo():
    assert all(found_in(photo(index)) == NO_FRAME for index in range(0, 30, 3))
    sky = photo()
    sky[:10] = 255
    sky[10:16] = np.linspace(255, sky[16].mean(), 6)[:, None, None]  # a horizon in haze
    assert found_in(sky) == NO_FRAME
    page = np.full((60, 60, 3), 255, np.uint8)
    page[20:40, 10:40:3] = 0  # writing on paper
    assert found_in(page) == NO_FRAME
    assert found_in(np.full((60, 60, 3), 9, np.uint8)) == NO_FRAME
    assert found_in(framed(photo()[:20, :20], 10, 10, 10, 10, 0)) == NO_FRAME  # too little would be left


def quick(*overrides: str) -> Settings:
    return Settings.preset("fast", scale=2, device="cpu").with_overrides([*TINY, "finish.steps=2", *overrides])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("grey", [False, True])
def test_the_photo_in_a_frame_is_the_photo_alone_and_the_frame_is_enlarged_as_it_is(dtype, grey):
    factor = {"uint8": 1, "uint16": 257, "float32": np.float32(1 / 255)}[dtype]
    alone = photo().astype(dtype) * factor
    around = framed(photo(), 9, 5, 6, 3, 255).astype(dtype) * factor
    alone, around = (each[..., 1] if grey else each for each in (alone, around))
    kernel = np.full((4, 4), 1 / 16)
    expected = super_resolve(alone, quick(), kernel=kernel).image
    found = super_resolve(around, quick(), kernel=kernel)
    assert found.image.shape[:2] == (124, 114) and found.image.dtype == alone.dtype
    assert np.array_equal(found.image[18:-10, 12:-6], expected)
    plain = to_array(bicubic(to_tensor(around), 124, 114), around)
    outside = np.ones((124, 114), bool)
    outside[18:-10, 12:-6] = False
    assert np.abs(found.image[outside].astype(float) - plain[outside]).max() <= 1.01 * factor
    assert found.report["frame"] == [9, 5, 6, 3]
    assert found.report["input_size"] == [57, 62] and found.report["output_size"] == [114, 124]


@pytest.mark.slow
def test_progress_shows_where_the_photo_lies_in_its_frame():
    regions = []
    super_resolve(
        framed(photo(), 9, 5, 6, 3, 255),
        quick(),
        progress=lambda event: regions.append(event.preview()["region"] if event.preview else None),
    )
    assert regions[-1] == (9, 6, SIDE, SIDE)


@pytest.mark.slow
@pytest.mark.parametrize("spot", [(20, 20, 12, 14), (2, 20, 16, 12), (0, 0, 7, 5)])
def test_a_preview_of_a_spot_at_the_frame_is_what_the_run_makes_there(spot):
    pixels, kernel = framed(photo(), 9, 5, 6, 3, 255), np.full((4, 4), 1 / 16)
    settings = Settings.preset("fast", scale=2, device="cpu").with_overrides(["finish.steps=8", "finish.start=100"])
    whole = super_resolve(pixels, settings, kernel=kernel).image.astype(float)
    seen = preview(pixels, spot, settings, kernel=kernel)
    top, left, height, width = (2 * value for value in spot)
    wanted = whole[top : top + height, left : left + width]
    assert seen.image.shape == wanted.shape
    difference, moved = np.abs(seen.image - wanted).mean(), np.abs(seen.plain - wanted).mean()
    assert difference < 1 or difference < 0.5 * moved


@pytest.mark.slow
def test_a_frame_does_not_change_the_kernel_nor_the_photo():
    pair = case(4, 64)
    alone = super_resolve(pair.lr, Settings.preset("fast", device="cpu"))
    around = super_resolve(framed(pair.lr, 10, 10, 10, 10, 255), Settings.preset("fast", device="cpu"))
    assert np.allclose(around.kernel, alone.kernel, atol=1e-6)
    assert around.report["confidence"] == alone.report["confidence"]
    assert np.array_equal(around.image[40:-40, 40:-40], alone.image)


def test_the_paper_preset_takes_every_pixel():
    assert Photo.from_array(framed(photo(), 9, 5, 6, 3, 255), CPU, False).size == (62, 57)
