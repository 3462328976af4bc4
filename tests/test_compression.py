"""What JPEG took from a photo: measured, and left out where kernels are judged by the spectrum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import scene, with_noise

from benchmarks.robustness import jpeg
from benchmarks.split import case
from kf_core.kernels.base import Evidence
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.kernel import gaussian_kernel
from kf_core.pixels import to_array, to_tensor
from kf_core.trust.compression import Compression, find_compression
from kf_core.trust.confidence import share
from kf_core.trust.fitted import FITTED
from kf_core.trust.noise import noise_level
from kf_core.trust.spectrum import Spectrum

torch.set_num_threads(1)


def compression_noise(lr: torch.Tensor) -> float:
    return find_compression(Photo(lr)).noise


@pytest.mark.slow
@pytest.mark.parametrize("quality", [95, 85, 70, 50])
def test_what_jpeg_took_is_measured_and_only_where_it_took_something(quality):
    for index in (4, 28):
        photo = case(index, 64).lr
        spoilt = jpeg(photo, quality)
        grey = (spoilt.astype(float) - photo) @ np.array([0.299, 0.587, 0.114])
        truth = np.sqrt(np.square(grey).mean())
        assert truth / 1.6 < compression_noise(to_tensor(spoilt)) < 1.6 * truth
        assert compression_noise(to_tensor(np.ascontiguousarray(spoilt[3:, 5:]))) > truth / 1.6  # cut out of it
        assert compression_noise(to_tensor(photo)) == 0 == compression_noise(with_noise(to_tensor(photo), 5.0))


def brightened(photo: np.ndarray) -> np.ndarray:
    return (255 * (photo / 255.0) ** 0.8).round().astype(np.uint8)


CHANGES = {
    "saved again": lambda spoilt: jpeg(spoilt, 90),
    "brightened": brightened,
    "brightened, then saved again": lambda spoilt: jpeg(brightened(spoilt), 90),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_jpeg_that_was_changed_since_is_still_known_for_one(change):
    for index in (4, 28):
        photo = case(index, 96).lr
        spoilt = jpeg(photo, 40)
        truth = np.sqrt(np.square((spoilt.astype(float) - photo) @ np.array([0.299, 0.587, 0.114])).mean())
        assert truth / 1.6 < compression_noise(to_tensor(change(spoilt))) < 1.6 * truth
        assert compression_noise(to_tensor(change(photo))) < truth / 1.6


ROWS, COLUMNS = np.indices((96, 96))
EVEN = {
    "gradient": (ROWS + COLUMNS) * 1.3,
    "stripes": COLUMNS // 4 % 2 * 200 + 20,
    "stripes of a block": COLUMNS // 8 % 2 * 200 + 20,
    "squares": (ROWS // 5 + COLUMNS // 5) % 2 * 200 + 20,
    "frame": 255 * ((np.abs(ROWS - 48) < 30) & (np.abs(COLUMNS - 48) < 20)),
}


@pytest.mark.parametrize("pattern", EVEN.values(), ids=list(EVEN))
def test_a_regular_drawing_is_no_jpeg(pattern):
    assert compression_noise(to_tensor(np.repeat(pattern[..., None], 3, 2).round().astype(np.uint8))) == 0


@pytest.mark.parametrize("low, high", [(40, 200), (0, 260)])
def test_what_jpeg_took_is_measured_in_the_steps_of_its_file_whatever_the_range_and_the_lamps(low, high):
    pair = case(4, 64)
    photo = (low + pair.lr.astype(float) * ((high - low) / 255)).clip(0, 255).astype(np.uint8)
    photo[20:26, 20:26] = 255  # near it values are painted over, where noise is measured
    photo[28:34, 28:34] = 0
    spoilt = jpeg(photo, 75)
    truth = np.sqrt(np.square((spoilt.astype(float) - photo) @ np.array([0.299, 0.587, 0.114])).mean())
    seen = Photo.from_array(spoilt, torch.device("cpu"), stretch=True)
    compression = find_compression(seen)
    assert truth / 1.6 < compression.noise * seen.unit < 1.6 * truth
    assert noise_level(seen, torch.from_numpy(pair.kernel), 4) >= compression.noise
    assert compression.kept[0, 1] and not compression.kept[7, 7]
    assert find_compression(Photo.from_array(photo, torch.device("cpu"), stretch=True)) == Compression()


def test_frequencies_that_jpeg_erased_are_not_taken_for_blur():
    narrow, wide = gaussian_kernel(24, 1.2), gaussian_kernel(24, 2.4)
    lr = UniformBlur(narrow, 4, "canvas").A(scene(404, 404, 2.0)).clamp(-1, 1)
    spoilt = to_tensor(jpeg(to_array(lr, np.zeros((1, 1, 3), np.uint8)), 60))
    whole, left = Spectrum(spoilt, 4), Spectrum(spoilt, 4, kept=find_compression(Photo(spoilt)).kept)
    assert whole.misfit(wide) < whole.misfit(narrow) and left.misfit(narrow) < left.misfit(wide)
    nothing = torch.zeros(8, 8, dtype=torch.bool)
    assert Spectrum(spoilt, 4, kept=nothing).misfit(wide) == whole.misfit(wide)


def test_the_kernel_of_a_jpeg_must_explain_what_is_left_of_its_spectrum():
    evidence = Evidence(-0.03, 0.2, 0.0, 3.0, agreement=0.99)
    assert share(1.0, evidence, "recovered") > 0.2
    assert share(1.0, replace(evidence, compressed=True), "recovered") == 0
    assert share(1.0, replace(evidence, compressed=True, margin=0.2), "recovered") > 0.99 * FITTED.largest_share
