"""The blur that varies over the frame: A and its adjoint, its data step, and what a tile sees of it."""

import pytest
import torch

from kf_core.physics.blur import UniformBlur
from kf_core.physics.varying import KernelMap, VaryingBlur, windows

torch.set_num_threads(1)


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernels(rows, columns, size, seed=0):
    taps = random(rows, columns, size, size, seed=seed)
    return taps / taps.sum((2, 3), keepdim=True)


def a_map(size, rows=(6.0, 15.0, 30.0), columns=(4.5, 20.5)):
    places = [torch.tensor(each, dtype=torch.float64) for each in (rows, columns)]
    return KernelMap(*places, kernels(len(rows), len(columns), size))


def blur_of(field, scale, box):
    return VaryingBlur(field, scale, field.kernels[0, 0], box)


def canvas(blur, seed=1):
    height, width = (side * blur.scale + 2 * blur.margin for side in blur.box[2:])
    return random(1, 3, height, width, seed=seed) - 0.5


SIZES = [(2, 12), (3, 19), (4, 24), (4, 10)]


@pytest.mark.parametrize(("scale", "size"), SIZES)
def test_the_adjoint_is_the_adjoint(scale, size):
    blur = blur_of(a_map(size), scale, (3, 2, 25, 31))
    x, y = canvas(blur), random(1, 3, 25, 31, seed=2) - 0.5
    there, back = (blur.A(x) * y).sum(), (x * blur.A_adjoint(y)).sum()
    assert float((there - back).abs()) < 1e-5 * float(there.abs())
    assert float(there.abs()) > 1e-3


@pytest.mark.parametrize(("scale", "size"), SIZES)
def test_every_pixel_has_the_kernel_that_is_interpolated_between_the_places(scale, size):
    field = a_map(size)
    blur = blur_of(field, scale, (3, 2, 25, 31))
    x = canvas(blur)
    lr = blur.A(x)
    for row, column in ((0, 0), (12, 10), (24, 30), (3, 19)):
        window = x[0, :, row * scale :, column * scale :][:, :size, :size]
        expected = (window * field.at(3 + row, 2 + column)).sum((1, 2))
        assert torch.allclose(lr[0, :, row, column], expected)
    halfway = (field.kernels[0, 0] + field.kernels[1, 0]) / 2
    assert torch.allclose(field.at(10.5, 4.5), halfway)
    assert torch.allclose(field.at(-9, 99), field.kernels[0, 1])  # beyond the outermost places


@pytest.mark.parametrize(("scale", "size"), SIZES)
@pytest.mark.parametrize("clipped", [False, True])
def test_with_equal_kernels_it_is_the_uniform_blur(scale, size, clipped):
    one = kernels(1, 1, size)[0, 0].float()
    field = a_map(size)
    field = KernelMap(field.rows.float(), field.columns.float(), one.expand(3, 2, -1, -1).clone())
    blur, uniform = blur_of(field, scale, (3, 2, 25, 31)), UniformBlur(one, scale, "canvas")
    x, lr = canvas(blur).float(), random(1, 3, 25, 31, seed=2).float() - 0.5
    known = (random(1, 3, 25, 31, seed=4) > 0.1).float() if clipped else None
    assert torch.allclose(blur.A(x), uniform.A(x), atol=1e-6)
    assert torch.allclose(blur.A_adjoint(lr), uniform.A_adjoint(lr), atol=1e-6)
    for mu in (1e-3, 0.03, 1.0):
        assert float((blur.prox_l2(x, lr, mu, known) - uniform.prox_l2(x, lr, mu, known)).abs().max()) < 1e-4


def test_the_data_step_is_the_minimum():
    blur = blur_of(a_map(12), 2, (3, 2, 25, 31))
    clean, lr, mu = canvas(blur), random(1, 3, 25, 31, seed=2) - 0.5, 0.1
    x = blur.prox_l2(clean, lr, mu)
    gradient = blur.A_adjoint(blur.A(x) - lr) + mu * (x - clean)
    at_the_start = blur.A_adjoint(blur.A(clean) - lr)
    assert float(gradient.norm()) < 1e-4 * float(at_the_start.norm())


def test_a_tile_sees_what_the_whole_does_and_only_the_kernels_near_it():
    blur = blur_of(a_map(12), 2, (0, 0, 40, 44))
    x = canvas(blur)
    tile = blur.window((20, 24, 14, 16))
    seen = x[..., 20 * 2 :, 24 * 2 :][..., : 14 * 2 + 10, : 16 * 2 + 10]
    assert torch.allclose(tile.A(seen), blur.A(x)[..., 20:34, 24:40])
    assert len(tile.parts) == 2 and len(blur.parts) == 6


def test_windows_sum_to_one_wherever_the_points_are():
    shares = windows(torch.tensor([2.0, 5.0, 11.0]), torch.arange(-4.0, 20.0))
    assert torch.allclose(shares.sum(0), torch.ones(24)) and bool((shares >= 0).all())
    assert torch.allclose(windows(torch.tensor([3.0]), torch.arange(4.0)), torch.ones(1, 4))
