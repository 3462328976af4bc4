"""A: what it computes, where its pixels stand, its adjoint, and kernels as pictures of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kf_core import BadInput
from kf_core.physics.blur import PADDINGS, Convolution, UniformBlur
from kf_core.physics.grid import bicubic
from kf_core.physics.kernel import (
    centre,
    centre_of_mass,
    check_kernel_size,
    cosine_similarity,
    default_kernel_size,
    gaussian_kernel,
    matching_size,
    normalise,
    odd_part,
    off_centre,
    rebin_kernel,
    resample_kernel,
    wiener_mismatch,
)

NUMPY_PADDING = {"reflect": "reflect", "replicate": "edge", "zeros": "constant"}
quick = settings(max_examples=60, deadline=None)


@st.composite
def cases(draw, smallest=1):
    """(blur with a random kernel, LR height, LR width) of any scale, parity-matched kernel size and padding."""
    scale = draw(st.sampled_from([2, 3, 4]))
    size = scale + 2 * draw(st.integers(0, 5))
    padding = draw(st.sampled_from(sorted(PADDINGS)))
    blur = UniformBlur(random(size, size, seed=2), scale, padding)
    return blur, draw(st.integers(smallest, 9)), draw(st.integers(smallest, 9))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def delta(size: int, row: int, column: int) -> torch.Tensor:
    kernel = torch.zeros(size, size, dtype=torch.float64)
    kernel[row, column] = 1
    return kernel


@quick
@given(case=cases(smallest=6))
def test_a_is_the_strided_cross_correlation_of_the_padded_picture(case):
    blur, h, w = case
    hr = random(2, 3, *blur.hr_size(h, w))
    around = [(0, 0), (0, 0), (blur.margin,) * 2, (blur.margin,) * 2]
    mode = NUMPY_PADDING.get(blur.padding)
    padded = np.pad(hr.numpy(), around, mode=mode) if mode else hr.numpy()
    weight = blur.kernel.expand(3, 1, *blur.kernel.shape)
    expected = F.conv2d(torch.from_numpy(padded), weight, stride=blur.scale, groups=3)
    got = blur.A(hr)
    assert got.shape == (2, 3, h, w)
    torch.testing.assert_close(got, expected)


@quick
@given(case=cases())
def test_the_adjoint_is_one_even_where_the_picture_is_smaller_than_the_kernel(case):
    blur, h, w = case
    x, y = random(2, 3, *blur.hr_size(h, w)), random(2, 3, h, w, seed=1)
    there, back = (blur.A(x) * y).sum(), (x * blur.A_adjoint(y)).sum()
    torch.testing.assert_close(there, back, rtol=1e-9, atol=1e-9)


@quick
@given(case=cases())
def test_on_the_canvas_a_after_its_adjoint_is_a_convolution_with_the_normal_kernel(case):
    blur, h, w = UniformBlur(case[0].kernel, case[0].scale, "canvas"), case[1], case[2]
    y = random(2, 1, h, w, seed=1)
    normal = blur.normal_kernel()
    reach = (blur.size - 1) // blur.scale
    assert normal.shape == (2 * reach + 1, 2 * reach + 1)
    expected = F.conv2d(y, normal[None, None], padding=reach)
    torch.testing.assert_close(blur.A(blur.A_adjoint(y)), expected)


@pytest.mark.parametrize(("scale", "size"), [(2, 12), (3, 19), (4, 24), (4, 4), (3, 3), (2, 32)])
def test_a_ramp_through_a_symmetric_kernel_shows_where_lr_pixels_stand(scale, size):
    blur = UniformBlur(gaussian_kernel(size, 0.8 * scale).double(), scale, "canvas")
    height, width = blur.hr_size(5, 7)
    column = torch.arange(width, dtype=torch.float64) - blur.margin  # 0 is the photo's first HR pixel
    row = torch.arange(height, dtype=torch.float64)[:, None] - blur.margin
    lr = blur.A((100 * row + column)[None, None])[0, 0]
    at = [scale * torch.arange(n, dtype=torch.float64) + (scale - 1) / 2 for n in (5, 7)]
    torch.testing.assert_close(lr, 100 * at[0][:, None] + at[1], rtol=0, atol=1e-3)


@pytest.mark.parametrize("padding", ["reflect", "replicate", "zeros"])
def test_with_a_padding_the_interior_stands_where_it_does_on_the_canvas(padding):
    blur = UniformBlur(gaussian_kernel(12, 2.0).double(), 4, padding)
    ramp = torch.arange(40, dtype=torch.float64).expand(1, 1, 40, 40)
    lr = blur.A(ramp)[0, 0, 4]
    torch.testing.assert_close(lr[1:-1], 4 * torch.arange(1, 9, dtype=torch.float64) + 1.5, rtol=0, atol=1e-5)


@quick
@given(case=cases(), data=st.data())
def test_a_delta_kernel_picks_one_pixel_of_each_window(case, data):
    (size, s), h, w = (case[0].size, case[0].scale), case[1], case[2]
    row, column = (data.draw(st.integers(0, size - 1)) for _ in "rc")
    blur = UniformBlur(delta(size, row, column), s, "canvas")
    hr = random(1, 1, *blur.hr_size(h, w))
    expected = hr[:, :, row : row + s * (h - 1) + 1 : s, column : column + s * (w - 1) + 1 : s]
    torch.testing.assert_close(blur.A(hr), expected)


def test_an_unknown_padding_is_refused():
    with pytest.raises(ValueError, match="mirror"):
        UniformBlur(gaussian_kernel(24, 2.0), 4, "mirror")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_kernel_sizes_are_refused_unless_they_fit_the_scale(scale):
    assert check_kernel_size(scale, scale) == scale
    assert check_kernel_size(default_kernel_size(scale), scale) in (6 * scale, 6 * scale + 1)
    for wrong in (scale - 2, scale + 1, default_kernel_size(scale) + 1, 16 * scale + 1, 16 * scale + 2, 0, -scale):
        with pytest.raises(BadInput) as caught:
            check_kernel_size(wrong, scale)
        assert str(wrong) in caught.value.message and caught.value.hint
        largest = 16 * scale if scale % 2 == 0 else 16 * scale - 1
        assert str(largest) in caught.value.hint and check_kernel_size(largest, scale) == largest


@pytest.mark.parametrize("values", [0.0, float("nan"), float("inf"), -1.0])
def test_a_kernel_without_a_finite_positive_sum_is_refused(values):
    with pytest.raises(BadInput) as caught:
        normalise(torch.full((4, 4), values))
    assert caught.value.hint


def test_normalise_only_divides_by_the_sum():
    kernel = torch.tensor([[1.0, -1.0], [2.0, 2.0]])
    torch.testing.assert_close(normalise(kernel), kernel / 4)


def test_the_centre_of_mass_of_two_taps_lies_between_them():
    kernel = 0.75 * delta(6, 1, 4) + 0.25 * delta(6, 5, 0)
    assert centre_of_mass(kernel).tolist() == [2.0, 3.0]
    assert float(off_centre(kernel)) == pytest.approx(0.5**2 + 0.5**2)
    assert float(off_centre(gaussian_kernel(9, 1.5))) == pytest.approx(0, abs=1e-9)
    assert float(off_centre(delta(9, 1, 7))) == 9 + 9


@quick
@given(size=st.integers(12, 15), top=st.integers(0, 9), left=st.integers(0, 9), seed=st.integers(0, 99))
def test_centring_moves_the_mass_to_the_middle_by_whole_pixels(size, top, left, seed):
    blob = random(3, 3, seed=seed).abs() + 0.01
    kernel = torch.zeros(size, size, dtype=torch.float64)
    kernel[top : top + 3, left : left + 3] = blob / blob.sum()
    moved, shift = centre(kernel)
    assert float(moved.sum()) == pytest.approx(1)
    assert float((centre_of_mass(moved) - (size - 1) / 2).abs().max()) <= 0.5 + 1e-9
    torch.testing.assert_close(moved[moved > 0], kernel[kernel > 0])  # the same taps in the same order
    torch.testing.assert_close(kernel.roll(shift, (0, 1)), moved)
    torch.testing.assert_close(centre(moved)[0], moved)


@quick
@given(scale=st.sampled_from([2, 3, 4]), other=st.sampled_from([2, 3, 4]), steps=st.integers(0, 12))
def test_the_matching_size_fits_the_other_scale_and_covers_as_much(scale, other, steps):
    size = scale + 2 * steps
    matched = matching_size(size, scale, other)
    assert check_kernel_size(matched, other) == matched
    covered = matched / other - size / scale  # in LR pixels
    assert -1e-9 <= covered < 2 / other
    if other == scale:
        assert matched == size


@quick
@given(seed=st.integers(0, 99))
def test_on_a_grid_twice_as_fine_a_kernel_keeps_sum_and_place(seed):
    kernel = F.pad(random(8, 8, seed=seed).abs(), (2,) * 4)
    kernel = kernel / kernel.sum()
    fine = resample_kernel(kernel, 2, 24, 4)
    assert fine.shape == (24, 24) and float(fine.sum()) == pytest.approx(1)
    torch.testing.assert_close((centre_of_mass(fine) - 11.5) / 4, (centre_of_mass(kernel) - 5.5) / 2)


@pytest.mark.parametrize(("scale", "size", "target", "wider"), [(2, 14, 3, 19), (3, 19, 4, 24), (2, 12, 4, 24)])
def test_a_smooth_kernel_is_the_same_blur_on_any_finer_grid(scale, size, target, wider):
    def blur(size: int, scale: int) -> torch.Tensor:
        """A Gaussian of 0.8 x 0.5 LR pixels, 0.3 below and 0.2 left of the middle, sampled at a scale."""
        offset = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2) / scale
        rows, columns = torch.exp(-(((offset - 0.3) / 0.8) ** 2) / 2), torch.exp(-(((offset + 0.2) / 0.5) ** 2) / 2)
        return normalise(rows[:, None] * columns)

    fine = resample_kernel(blur(size, scale), scale, wider, target)
    assert cosine_similarity(fine, blur(wider, target)) > 0.995
    moved = (centre_of_mass(fine) - (wider - 1) / 2) / target
    torch.testing.assert_close(moved, torch.tensor([0.3, -0.2], dtype=torch.float64), rtol=0, atol=0.02)


@quick
@given(seed=st.integers(0, 99), scale=st.sampled_from([2, 3, 4]), target=st.sampled_from([2, 3, 4]))
def test_rebinned_to_any_scale_a_kernel_keeps_sum_and_place(seed, scale, target):
    size, other = 6 * scale, matching_size(6 * scale, scale, target) + 2
    kernel = normalise(random(size, size, seed=seed).abs())
    found = rebin_kernel(kernel, scale, other, target)
    assert found.shape == (other, other) and float(found.sum()) == pytest.approx(1) and float(found.min()) >= 0
    middles = [(centre_of_mass(k) - (len(k) - 1) / 2) / s for k, s in ((kernel, scale), (found, target))]
    torch.testing.assert_close(*middles, rtol=0, atol=0.02)
    torch.testing.assert_close(rebin_kernel(kernel, scale, size, scale), kernel)
    coarse = rebin_kernel(rebin_kernel(kernel, scale, 2 * size, 2 * scale), 2 * scale, size, scale)
    torch.testing.assert_close(coarse, kernel)  # twice as fine and back


def test_the_wiener_mismatch_is_zero_for_the_truth_and_grows_with_the_error():
    truth = gaussian_kernel(24, 2.0)
    near, far = (gaussian_kernel(24, sigma) for sigma in (2.3, 4.0))
    found = [wiener_mismatch(kernel, truth, 4) for kernel in (truth, near, far)]
    assert found[0] < 0.02 and found == sorted(found) and found[2] > found[1] + 0.05
    lopsided = normalise(gaussian_kernel(24, 1.5) + 0.6 * gaussian_kernel(24, 1.5).roll((5, 2), (0, 1)))
    assert wiener_mismatch(lopsided.flip(0, 1), lopsided, 4) > 0.1  # the turn, which the power spectrum does not see
    assert float(odd_part(truth).abs().max()) < 1e-7 and float(odd_part(lopsided).abs().max()) > 1e-3


@pytest.mark.parametrize(("scale", "size"), [(2, 12), (3, 19), (4, 24)])
def test_resampling_to_the_same_grid_changes_nothing(scale, size):
    kernel = normalise(random(size, size).abs())
    torch.testing.assert_close(resample_kernel(kernel, scale, size, scale), kernel)


@pytest.mark.parametrize(("size", "sigma"), [(24, 2.0), (25, 2.5)])
def test_a_gaussian_kernel_has_the_variance_asked_for_and_is_round(size, sigma):
    kernel = gaussian_kernel(size, sigma).double()
    offset = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    assert float(kernel.sum()) == pytest.approx(1)
    for axis in (0, 1):
        assert float((kernel.sum(axis) * offset**2).sum()) == pytest.approx(sigma**2, rel=1e-3)
    near, far = kernel[size // 2, size // 2], kernel[size // 2 + 3, size // 2 + 4]
    radii = [2 * (size // 2 - (size - 1) / 2) ** 2, sum((size // 2 + n - (size - 1) / 2) ** 2 for n in (3, 4))]
    assert float(far / near) == pytest.approx(np.exp((radii[0] - radii[1]) / 2 / sigma**2), rel=1e-4)


def test_the_kernel_score_is_one_for_the_same_shape_and_falls_with_a_shift():
    kernel = gaussian_kernel(24, 2.0)
    assert cosine_similarity(kernel, 7 * kernel) == pytest.approx(1)
    scores = [cosine_similarity(kernel.roll(shift, 1), kernel) for shift in (1, 2, 3)]
    expected = [np.exp(-(shift**2) / 4 / 2.0**2) for shift in (1, 2, 3)]  # of two shifted Gaussians
    assert scores == pytest.approx(expected, rel=1e-3)
    assert cosine_similarity(delta(5, 0, 0), delta(5, 4, 4)) == 0


@settings(max_examples=25, deadline=None)
@given(height=st.integers(4, 20), width=st.integers(4, 20), scale=st.sampled_from([2, 3, 4]))
def test_bicubic_is_that_of_pillow(height, width, scale):
    lr = random(1, 3, height, width).clamp(-1, 1).float()
    large = (width * scale, height * scale)
    planes = [np.asarray(Image.fromarray(p.numpy()).resize(large, Image.Resampling.BICUBIC)) for p in lr[0]]
    expected = torch.from_numpy(np.stack(planes)).clamp(-1, 1)[None]
    torch.testing.assert_close(bicubic(lr, height * scale, width * scale), expected, rtol=0, atol=1e-5)


def test_bicubic_clamps_what_overshoots_at_an_edge():
    edge = torch.ones(1, 3, 8, 8)
    edge[..., :4] = -1
    unclamped = np.asarray(Image.fromarray(edge[0, 0].numpy()).resize((32, 32), Image.Resampling.BICUBIC))
    assert unclamped.min() < -1.01 and unclamped.max() > 1.01
    enlarged = bicubic(edge, 32, 32)
    assert float(enlarged.min()) == -1 and float(enlarged.max()) == 1


@quick
@given(height=st.integers(1, 40), width=st.integers(1, 40), reach=st.integers(0, 6), seed=st.integers(0, 99))
def test_a_convolution_by_the_fourier_transform_is_conv2d_s_for_any_size(height, width, reach, seed):
    random = torch.Generator().manual_seed(seed)
    image = torch.randn(2, 3, height, width, generator=random)
    kernel = torch.rand(2 * reach + 1, 2 * reach + 1, generator=random)
    expected = F.conv2d(image.reshape(6, 1, height, width), kernel.flip(0, 1)[None, None], padding=reach)
    found = Convolution(kernel, height, width)(image)
    torch.testing.assert_close(found, expected.reshape(image.shape), rtol=0, atol=1e-4)
