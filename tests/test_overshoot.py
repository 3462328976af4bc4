"""The limit of overshoot: at strong edges only, and nowhere else."""

from __future__ import annotations

import torch

from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import bicubic
from kf_core.physics.kernel import gaussian_kernel
from kf_core.progress import Monitor
from kf_core.restore.overshoot import BEYOND, BEYOND_PLATEAU, REACH, without_overshoot
from kf_core.restore.plug_and_play import restore
from kf_core.run import Run
from kf_core.settings import Settings

torch.set_num_threads(1)


def bars(low: float, high: float) -> torch.Tensor:
    photo = torch.full((1, 3, 32, 36), high)
    photo[..., 12:20] = low
    return photo


def test_overshoot_at_a_strong_edge_is_cut_and_the_rest_is_left():
    photo = bars(-0.8, 0.8)
    image = bicubic(photo, 128, 144)
    rung = image.clone()
    rung[..., 40:46] = 2.5  # bright seams beside the dark bar
    rung[..., 50:54] = -3.0
    found = without_overshoot(rung, photo)
    most = 0.8 + (0.08 + BEYOND_PLATEAU * 1.2) * 1.6  # the plain enlargement goes beyond 0.8 itself
    assert float(found.max()) <= most and float(found.min()) >= -most
    seen = (found != rung)[0, 0].any(0)
    assert bool(seen[40:46].all()) and not bool(seen[100:].any())
    far = image.clone()
    far[..., 110:120] = 1.9  # a lamp in the sky, where there is no edge
    assert torch.equal(without_overshoot(far, photo), far)


def test_a_thin_stroke_may_become_darker_than_its_blur_and_the_paper_around_it_hardly_brighter():
    page = torch.full((1, 3, 32, 36), 0.8)
    page[..., 15] = -0.6
    plain = bicubic(page, 128, 144, (-9.0, 9.0))
    darker = without_overshoot(torch.full_like(plain, -9.0), page)[..., 60:64].min()
    brighter = without_overshoot(torch.full_like(plain, 9.0), page)[..., 54:70].max()
    assert float(plain.min() - darker) > 0.8 * BEYOND * 1.4
    assert float(brighter - plain.max()) < 1.2 * BEYOND_PLATEAU * 1.6


def test_weak_edges_are_not_limited_and_a_plain_enlargement_is_left_as_it_is():
    weak = bars(-0.2, 0.2)
    detail = bicubic(weak, 96, 108) + 0.9 * torch.sin(torch.arange(108.0))
    assert torch.equal(without_overshoot(detail, weak), detail)
    strong = bars(-0.9, 0.9)
    plain = bicubic(strong, 64, 72, (-2.0, 2.0))
    assert torch.equal(without_overshoot(plain, strong), plain)


def test_the_limit_reaches_as_far_as_it_says_at_every_scale():
    for scale in (2, 3, 4):
        photo = bars(-0.8, 0.8)
        wild = torch.full((1, 3, 32 * scale, 36 * scale), 3.0)
        limited = (without_overshoot(wild, photo) < 3)[0, 0, 0]
        first = int(limited.nonzero()[0])
        assert (12 - REACH - 1) * scale <= first <= (12 - REACH + 1) * scale


def test_a_restoration_with_too_wide_a_kernel_stays_within_the_limit():
    """With a denoiser that does nothing, nothing else holds it."""

    class Nothing:
        reach, multiple = 0, 1

        def __call__(self, noisy, sigma):
            return noisy

    photo, kernel = bars(-0.6, 0.6), gaussian_kernel(12, 2.5)
    settings = Settings.preset("fast").finish
    run = Run(torch.device("cpu"), torch.Generator().manual_seed(0), Monitor())
    blur = UniformBlur(kernel, 2, "canvas")
    found = restore(Photo(photo, ends=(-9.0, 9.0)), blur, Nothing(), NoiseSchedule(), settings, run, 1e-3)
    edge = found[..., 21:27]  # around an edge of the bar
    assert torch.equal(without_overshoot(found, photo), found) and float(edge.max()) < 0.7 + BEYOND * 1.4
