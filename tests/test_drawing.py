"""Text and drawings: told from photographs, and judged by their even colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.drawings import KERNELS, MARGIN, page, screenshot, shrunk
from benchmarks.split import case
from kf_core import Settings, super_resolve
from kf_core.kernels.base import Candidate, Estimate, Evidence
from kf_core.photo import Photo
from kf_core.physics.grid import bicubic
from kf_core.physics.kernel import cosine_similarity, gaussian_kernel
from kf_core.pixels import to_array, to_tensor
from kf_core.progress import Monitor
from kf_core.scores import psnr
from kf_core.trust.confidence import sentence
from kf_core.trust.drawing import between_ink_and_paper, choose_for_drawing, grey_part, misfit
from kf_core.trust.looks import looks_drawn
from kf_core.trust.noise import noise_level

torch.set_num_threads(1)
CPU = torch.device("cpu")
DISC = KERNELS["disc 8"]
STROKE = torch.zeros(24, 24).index_put((torch.arange(2, 22), torch.arange(2, 22)), torch.tensor(0.05))


BLACK_ON_WHITE = ((20, 20, 20), (250, 250, 250))


def photo_of(small: np.ndarray) -> Photo:
    return Photo.from_array(small, CPU, True)


def estimated(kernel: torch.Tensor, *others: torch.Tensor) -> Estimate:
    evidence = Evidence(margin=0.4, clutter=0.1, excess=3.0, noise=0.0, agreement=0.9)
    return Estimate(kernel, "recovered", evidence=evidence, candidates=tuple(Candidate(each) for each in others))


@pytest.mark.parametrize("colours", [BLACK_ON_WHITE, ((235, 235, 235), (30, 34, 60))])
@pytest.mark.parametrize("sigma", [1.2, 3.0])
def test_a_page_of_text_looks_drawn(colours, sigma):
    assert looks_drawn(photo_of(shrunk(page(*colours), gaussian_kernel(24, sigma))))


def test_photographs_do_not_look_drawn():
    assert not any(looks_drawn(photo_of(case(index).lr)) for index in range(0, 36, 2))
    assert not looks_drawn(photo_of(np.full((40, 40), 7, np.uint8)))
    sky = case(4).lr.copy()
    sky[:40] = 250
    assert not looks_drawn(photo_of(sky))


@pytest.mark.parametrize("noise", [2.0, 5.0, 10.0])
@pytest.mark.parametrize("sharp", [page(*BLACK_ON_WHITE), page((235, 235, 235), (30, 34, 60)), screenshot()])
def test_noise_hides_no_page_and_is_measured_between_its_lines(sharp, noise):
    clean = photo_of(shrunk(sharp, gaussian_kernel(24, 2.0)))
    noisy = photo_of(shrunk(sharp, gaussian_kernel(24, 2.0), noise))
    assert looks_drawn(clean) and looks_drawn(noisy)
    assert noise_level(clean, DISC, 4) < 0.3
    assert noise_level(noisy, DISC, 4) * noisy.unit == pytest.approx(noise, rel=0.25)


def test_edges_that_nothing_has_softened_are_not_taken_for_noise():
    mean = KERNELS["mean of the pixel"]
    for size in (34, 24):
        assert noise_level(photo_of(shrunk(page(*BLACK_ON_WHITE, size), mean)), mean, 4) == 0
    assert noise_level(photo_of(shrunk(screenshot(), mean)), mean, 4) == 0


@pytest.mark.parametrize("noise", [5.0, 10.0])
def test_noise_makes_no_page_of_a_photograph(noise):
    random = np.random.default_rng(0)
    drawn = 0
    for index in range(0, 36, 2):
        lr = case(index).lr
        drawn += looks_drawn(photo_of((lr + random.normal(0, noise, lr.shape)).round().clip(0, 255).astype(np.uint8)))
    assert drawn == 0


@pytest.mark.parametrize(
    ("truth", "least"), [(gaussian_kernel(24, 2.0), 0.93), (gaussian_kernel(24, 3.2), 0.9), (DISC, 0.85)]
)
def test_the_kernel_of_a_page_is_found_among_simple_ones(truth, least):
    found = choose_for_drawing(photo_of(shrunk(page(*BLACK_ON_WHITE), truth)), estimated(STROKE), 4, Monitor())
    assert found.source == "simple" and cosine_similarity(found.kernel, truth) > least
    assert (
        found.evidence.drawn
        and found.evidence.excess == 0
        and found.evidence.agreement is None
        and found.evidence.margin > 0.01
    )
    weights = [found.weight, *(each.weight for each in found.candidates)]
    assert sum(weights) == pytest.approx(1) and weights == sorted(weights, reverse=True)


@pytest.mark.slow
def test_a_recovered_kernel_that_explains_the_page_is_kept():
    two = torch.zeros(24, 24)
    two[11:13, 5:7] = two[11:13, 17:19] = 0.125  # everything twice
    found = choose_for_drawing(photo_of(shrunk(page(*BLACK_ON_WHITE), two)), estimated(two), 4, Monitor())
    assert found.source == "recovered" and torch.equal(found.kernel, two)
    among = choose_for_drawing(photo_of(shrunk(page(*BLACK_ON_WHITE), two)), estimated(STROKE, two), 4, Monitor())
    assert torch.equal(among.kernel, two)


def test_too_wide_a_kernel_leaves_more_unexplained_and_too_narrow_a_one_more_grey():
    lr = grey_part(photo_of(shrunk(page(*BLACK_ON_WHITE), gaussian_kernel(24, 2.4))))
    narrow, right, wide = (between_ink_and_paper(lr, gaussian_kernel(12, sigma / 2), 2)[0] for sigma in (1.2, 2.4, 4.8))
    assert all(float(each.min()) >= 0 and float(each.max()) <= 1 for each in (narrow, right, wide))
    costs = [misfit(lr, gaussian_kernel(12, sigma / 2), 2) for sigma in (1.0, 2.4, 4.8)]
    assert costs[1] == min(costs)
    grey = [float((each * (1 - each)).mean()) for each in (narrow, right)]
    assert grey[1] < 0.8 * grey[0]


def test_the_sentence_says_that_it_is_text_and_what_to_do():
    photo = Estimate(gaussian_kernel(24, 2.0), "simple", evidence=Evidence(0.2, 0.2, 0.0, 0.0), name="a soft blur")
    drawing = replace(photo, evidence=replace(photo.evidence, drawn=True))
    for share in (0.05, 0.3, 0.7):
        words = sentence(share, drawing)
        assert "text or a drawing" in words and "prior trained on text" in words
        assert "text" not in sentence(share, photo)


@pytest.mark.slow
@pytest.mark.parametrize("sharp", [page(*BLACK_ON_WHITE, 24), screenshot()])
def test_what_was_merely_averaged_over_the_pixels_is_not_made_worse(sharp):
    mean = KERNELS["mean of the pixel"]
    small = shrunk(sharp, mean)
    truth = (sharp[MARGIN:-MARGIN, MARGIN:-MARGIN] * 255).round().astype(np.uint8)
    found = super_resolve(small, Settings.preset("fast", device="cpu"), kernel=mean.numpy()).image
    plain = to_array(bicubic(to_tensor(small), *truth.shape[:2]), small)
    assert psnr(found, truth) > psnr(plain, truth)


@pytest.mark.slow
def test_a_page_gains_without_a_kernel_given():
    sharp = page(*BLACK_ON_WHITE)
    small = shrunk(sharp, gaussian_kernel(24, 2.0))
    truth = sharp[10:-10, 10:-10]
    found = super_resolve(small, Settings.preset("fast", device="cpu"))
    plain = bicubic(to_tensor(small), *truth.shape[:2])[0].numpy().transpose(1, 2, 0) / 2 + 0.5
    errors = [np.square((each - truth)[8:-8, 8:-8]).mean() for each in (found.image / 255, plain)]
    assert errors[0] < 0.9 * errors[1]
    assert found.report["confidence"] > 0.2 and "text" in found.report["confidence_sentence"]
