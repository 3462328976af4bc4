"""The three networks: what they see, their sizes as the paper prints them, and what they can never output."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kf_core.denoisers.patch import ACTIVATIONS, RECEPTIVE_FIELD, PatchDiffusion
from kf_core.kernels.models import (
    DirectKernel,
    ImplicitKernel,
    LinearKernel,
    leaky_sigmoid,
    make_kernel_model,
    signed_floor,
)
from kf_core.physics.blur import UniformBlur
from kf_core.restore.unet import Refiner

torch.set_num_threads(1)  # on a busy machine two that wait for each other are many times slower
KERNEL_MODELS = ["inr", "direct_sigmoid", "direct_relu", "linear_cnn"]
PAPER_INR = {"layers": 5, "width": 256, "omega": 5.0, "extent": 1.0}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [m for m in module.modules() if isinstance(m, nn.Conv2d)]


def assert_trains(network: nn.Module, loss: torch.Tensor) -> None:
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and bool(torch.isfinite(parameter.grad).all()), name
        assert float(parameter.grad.abs().max()) > 0, f"no gradient reaches {name}"


# Patch diffusion


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_patch_diffusion_sees_15_by_15_pixels_no_more_and_no_less(activation, residual):
    network = PatchDiffusion(16, activation=activation, residual=residual)
    picture, t, middle = torch.randn(1, 3, 31, 29), torch.tensor([300]), (15, 14)
    changed = torch.zeros(31, 29, dtype=torch.bool)
    with torch.no_grad():
        before = network(picture, t)
        for sign in (-1000.0, 1000.0):
            other = picture.clone()
            other[..., middle[0], middle[1]] += sign
            changed |= (network(other, t) - before).abs().amax((0, 1)) > 1e-6
    rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    reach = RECEPTIVE_FIELD // 2
    assert reach == 7
    assert rows.tolist() == list(range(middle[0] - reach, middle[0] + reach + 1))
    assert columns.tolist() == list(range(middle[1] - reach, middle[1] + reach + 1))


def test_patch_diffusion_has_the_papers_blocks():
    network = PatchDiffusion()
    blocks = [convolutions(block) for block in network.blocks]
    sizes = [[conv.kernel_size for conv in block] for block in blocks]
    assert sizes == [[(3, 3), (3, 3)]] + [[(3, 3), (1, 1)]] * 5
    flat = [conv for block in blocks for conv in block]
    assert [conv.in_channels for conv in flat] == [3] + [128] * 11
    assert [conv.out_channels for conv in flat] == [128] * 11 + [3]
    assert all(conv.stride == (1, 1) and conv.dilation == (1, 1) for conv in flat)
    assert not any(isinstance(m, (nn.BatchNorm2d, nn.GroupNorm, nn.MultiheadAttention)) for m in network.modules())
    assert sum(count(conv) for conv in flat) == pytest.approx(1e6, rel=0.05)
    assert count(network) < 1.25e6  # with what tells the blocks the timestep
    assert network.config == {"channels": 128, "colours": 3, "activation": "relu", "residual": True}


def test_every_block_of_patch_diffusion_depends_on_the_timestep():
    network = PatchDiffusion(16)
    early, late = network.embedding(torch.tensor([10, 600]))[:, None].unbind()
    for block in network.blocks:
        x = torch.randn(1, convolutions(block)[0].in_channels, 9, 9)
        assert float((block(x, early) - block(x, late)).detach().abs().max()) > 1e-3
        scale, shift = block.condition(early)[:, :, None, None].chunk(2, dim=1)  # what the timestep does, and no more
        expected = block.second(block.activation((1 + scale) * block.first(x) + shift))
        torch.testing.assert_close(block(x, early), expected, rtol=1e-4, atol=1e-5)


def test_each_picture_of_a_batch_has_its_own_timestep():
    network = PatchDiffusion(8)
    pictures, t = torch.randn(3, 3, 17, 21), torch.tensor([1, 400, 1000])
    alone = torch.cat([network(p[None], time[None]) for p, time in zip(pictures, t, strict=True)])
    torch.testing.assert_close(network(pictures, t), alone, rtol=1e-4, atol=1e-5)


def test_the_residual_setting_changes_the_network_and_patch_diffusion_trains():
    network = PatchDiffusion(8, residual=True)
    plain = PatchDiffusion(8, residual=False)
    plain.load_state_dict(network.state_dict())
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([5, 500])
    assert not torch.allclose(network(x, t), plain(x, t), atol=1e-3)
    assert_trains(network, network(x, t).square().sum())


# The refiner


def test_the_refiner_has_the_papers_five_levels():
    network = Refiner()
    down = [[conv.out_channels for conv in convolutions(block)] for block in network.down]
    assert down == [[32, 32], [64, 64], [128, 128], [256, 256], [512, 512]]
    assert [convolutions(block)[-1].out_channels for block in network.up] == [256, 128, 64, 32]
    for block in [*network.down, *network.up]:
        assert [type(m) for m in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 2
        assert all(conv.kernel_size == (3, 3) for conv in convolutions(block))
    shapes = []
    for block in network.down:
        block.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[-2:])))
    network(torch.zeros(1, 3, 64, 32))
    assert shapes == [(64, 32), (32, 16), (16, 8), (8, 4), (4, 2)]


@settings(max_examples=25, deadline=None)
@given(height=st.integers(17, 50), width=st.integers(17, 50), depth=st.integers(2, 5))
def test_the_refiner_keeps_any_size_and_stays_in_range(height, width, depth):
    image = 50 * torch.randn(1, 3, height, width)
    with torch.no_grad():
        out = Refiner(4, depth=depth)(image)
    assert out.shape == image.shape and bool(torch.isfinite(out).all())
    assert float(out.abs().max()) <= 1


def test_the_refiner_ends_in_a_tanh_and_trains():
    network = Refiner(4)
    with torch.no_grad():
        network.last.bias.fill_(3.0)
        network.last.weight.zero_()
    torch.testing.assert_close(network(torch.randn(1, 3, 33, 47)), torch.full((1, 3, 33, 47), math.tanh(3.0)))
    network = Refiner(4)
    assert_trains(network, (network(torch.randn(1, 3, 33, 47)) - torch.randn(1, 3, 33, 47)).square().mean())


def test_the_refiner_sees_the_whole_picture_not_patches():
    network, image = Refiner(4), torch.randn(1, 3, 64, 64)
    other = image.clone()
    other[..., :8, :8] += 3
    with torch.no_grad():
        assert float((network(image) - network(other))[..., -8:, -8:].abs().max()) > 1e-6


# Kernel models


def test_the_siren_is_the_papers():
    model = ImplicitKernel(24)
    assert [(layer.in_features, layer.out_features) for layer in model.hidden] == [(2, 256)] + [(256, 256)] * 4
    assert (model.last.in_features, model.last.out_features, model.omega) == (256, 1, 5.0)
    assert float(model.hidden[0].weight.detach().abs().max()) <= 1 / 2
    for layer in [*model.hidden[1:], model.last]:  # Sitzmann et al. 2020: keeps the activations' spread
        bound = math.sqrt(6 / 256) / 5
        assert 0.9 * bound < float(layer.weight.detach().abs().max()) <= bound


@settings(max_examples=20, deadline=None)
@given(size=st.integers(3, 25), extent=st.floats(0.5, 2.0), omega=st.floats(1.0, 30.0))
def test_the_siren_is_a_chain_of_sines_over_the_coordinates(size, extent, omega):
    model = ImplicitKernel(size, layers=3, width=8, omega=omega, extent=extent)
    logits = model.logits(size).detach()
    for row, column in [(0, 0), (size - 1, 1), (size // 2, size // 3)]:
        x = extent * (2 * torch.tensor([row + 0.5, column + 0.5]) / size - 1)
        for layer in model.hidden:
            x = torch.sin(omega * (layer.weight @ x + layer.bias))
        expected = float((model.last.weight[0] @ x + model.last.bias).detach())
        assert float(logits[row, column]) == pytest.approx(expected, abs=2e-3)


@settings(max_examples=10, deadline=None)
@given(size=st.integers(2, 8), times=st.sampled_from([3, 5]))
def test_other_grids_sample_the_same_function(size, times):
    model = ImplicitKernel(24, layers=3, width=16)
    fine = model.logits(size * times)[times // 2 :: times, times // 2 :: times]  # cells with the same middle
    torch.testing.assert_close(model.logits(size), fine, rtol=1e-4, atol=1e-5)
    assert model(size).shape == (size, size) and float(model(size).sum().detach()) == pytest.approx(1)


def test_the_leaky_sigmoid_reaches_a_little_below_zero_and_not_above_one():
    x = torch.tensor([-200.0, 0.0, 200.0], dtype=torch.float64)
    expected = torch.tensor([-1e-4, 0.5 * (1 + 1e-4) - 1e-4, 1.0], dtype=torch.float64)
    torch.testing.assert_close(leaky_sigmoid(x), expected, rtol=0, atol=1e-9)
    zero = -math.log(1e4)  # where a tap is exactly zero
    assert float(leaky_sigmoid(torch.tensor(zero, dtype=torch.float64))) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("size", [12, 19, 24, 25])
@pytest.mark.parametrize("name", KERNEL_MODELS)
def test_every_kernel_model_sums_to_one_and_trains(name, size):
    model = make_kernel_model(name, size, **PAPER_INR)
    kernel = model()
    assert kernel.shape == (size, size)
    assert float(kernel.sum().detach()) == pytest.approx(1, abs=1e-3)
    assert_trains(model, (kernel * torch.randn(size, size)).sum())


@pytest.mark.parametrize(("activation", "apply"), [("sigmoid", torch.sigmoid), ("relu", F.relu)])
def test_direct_kernels_are_their_taps_kept_from_below_zero(activation, apply):
    model = DirectKernel(8, activation)
    torch.testing.assert_close(model(), torch.full((8, 8), 1 / 64), rtol=0.1, atol=0)  # starts flat
    with torch.no_grad():
        model.taps.copy_(torch.randn(8, 8))
    taps = apply(model.taps)
    torch.testing.assert_close(model(), taps / taps.sum())
    assert float(model().detach().min()) >= 0


def test_the_linear_kernel_has_kernelgans_layers():
    model = LinearKernel(24)
    assert [layer.kernel_size[0] for layer in model.layers] == [7, 7, 5, 3, 1, 4]
    assert [layer.in_channels for layer in model.layers] == [1, 32, 32, 32, 32, 32]
    assert model.layers[-1].out_channels == 1 and all(layer.bias is None for layer in model.layers)
    assert model.reach == 22
    rim = torch.ones(24, 24, dtype=torch.bool)
    rim[1:-1, 1:-1] = False
    kernel = model().detach()
    assert float(kernel[rim].abs().max()) == 0 and bool((kernel[1:-1, 1:-1] != 0).all())


def test_the_linear_kernel_is_what_its_layers_make_of_a_point():
    model = LinearKernel(24)
    point = torch.zeros(1, 1, 43, 43)
    point[..., 21, 21] = 1
    x = point
    for layer in model.layers:
        x = F.conv2d(x, layer.weight)  # the response of a cross-correlation to a point is the kernel, turned around
    expected = x[0, 0].flip(0, 1)
    torch.testing.assert_close(model()[1:-1, 1:-1], expected / expected.sum(), rtol=1e-3, atol=1e-4)


def test_degrading_with_the_linear_kernel_is_running_its_layers_with_the_last_stride():
    model = LinearKernel(24)
    blur = UniformBlur(model(), 4, "canvas")
    hr = torch.randn(1, 1, *blur.hr_size(3, 5))
    x, total = hr[..., 1:-1, 1:-1], torch.ones(1, 1, 22, 22)
    for layer in model.layers:
        stride = 4 if layer is model.layers[-1] else 1
        x, total = F.conv2d(x, layer.weight, stride=stride), F.conv2d(total, layer.weight)
    torch.testing.assert_close(blur.A(hr), x / total, rtol=1e-3, atol=1e-4)


def test_a_sum_near_zero_is_kept_away_from_it_with_its_sign():
    totals = torch.tensor([-2.0, -1e-9, 0.0, 1e-9, 2.0])
    torch.testing.assert_close(signed_floor(totals), torch.tensor([-2.0, -1e-4, 1e-4, 1e-4, 2.0]))


def test_an_unknown_kernel_model_is_refused():
    with pytest.raises(ValueError, match="spline"):
        make_kernel_model("spline", 24, **PAPER_INR)
