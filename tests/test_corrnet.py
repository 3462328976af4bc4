"""The kernel estimator's network: correlations, symmetries, and what it returns."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kf_core.kernels import corrnet
from kf_core.kernels.correlate import REACH, correlations
from kf_core.kernels.corrnet import SIZE, CorrNet, estimate
from kf_core.training.kernel_loss import odd_part


@pytest.fixture(scope="module")
def network() -> CorrNet:
    """Small, with a head strong enough that the photo matters."""
    torch.manual_seed(0)
    network = CorrNet(width=8, maps=4, mixed=16, narrow=8, odd=8, hidden=32)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    return network.eval().requires_grad_(False)


def photo(height: int = 40, width: int = 47, seed: int = 0) -> torch.Tensor:
    """(1, 1, h, w) with lopsided edges: steps that jump up and fade."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 1, height, width, generator=generator)
    return (noise.clamp_min(1) - 1).cumsum(-1).cumsum(-2).sin() + 0.1 * noise


def slow_correlations(maps: torch.Tensor) -> torch.Tensor:
    centred = maps - maps.mean((2, 3), keepdim=True)
    height, width = maps.shape[2:]
    rows = []
    for dy in range(REACH + 1):
        for dx in range(-REACH, REACH + 1):
            here = centred[:, :, : height - dy, max(0, -dx) : width - max(0, dx)]
            there = centred[:, :, dy:, max(0, dx) : width - max(0, -dx)]
            rows.append(torch.einsum("biyx,bjyx->bij", here, there).flatten(1) / here[0, 0].numel())
    return torch.stack(rows, 1).reshape(len(maps), REACH + 1, 2 * REACH + 1, -1)


@settings(deadline=None, max_examples=8)
@given(st.integers(REACH + 1, 20), st.integers(REACH + 1, 20))
def test_correlations_are_means_of_products_over_the_lags(height: int, width: int) -> None:
    maps = torch.randn(2, 3, height, width)
    assert torch.allclose(correlations(maps), slow_correlations(maps), atol=1e-5)


def test_the_gradient_of_the_correlations_is_theirs() -> None:
    maps = torch.randn(2, 3, 12, 17, requires_grad=True)
    weight = torch.randn_like(correlations(maps))
    (ours,) = torch.autograd.grad((correlations(maps) * weight).sum(), maps)
    (expected,) = torch.autograd.grad((slow_correlations(maps) * weight).sum(), maps)
    assert torch.allclose(ours, expected, atol=1e-5)
    assert expected.abs().max() > 0.01


@settings(deadline=None, max_examples=8)
@given(st.integers(32, 70), st.integers(32, 70))
def test_any_size_gives_a_kernel(network: CorrNet, height: int, width: int) -> None:
    kernels = network(torch.cat([photo(height, width), photo(height, width, seed=1)]))
    assert kernels.shape == (2, SIZE, SIZE)
    assert kernels.min() >= 0
    assert torch.allclose(kernels.sum((1, 2)), torch.ones(2), atol=1e-5)


def test_another_photo_gives_another_kernel(network: CorrNet) -> None:
    one, other = network(photo()), network(photo(seed=1))
    assert (one - other).abs().max() > 0.02 * one.max()


def test_a_half_turn_of_the_photo_turns_the_kernel_in_one_pass(network: CorrNet) -> None:
    kernel = network(photo())
    turned = network(photo().flip(2, 3))
    assert torch.allclose(turned, kernel.flip(1, 2), atol=1e-6)
    assert odd_part(kernel).abs().max() > 100 * (turned - kernel.flip(1, 2)).abs().max()  # and it has a phase


def test_without_odd_statistics_a_kernel_equals_its_own_turn(network: CorrNet) -> None:
    """So whatever phase the network sees comes through them."""
    weight = network.mix_odd.weight.clone()
    try:
        network.mix_odd.weight.zero_()
        kernel = network(photo())
        assert torch.allclose(kernel, kernel.flip(1, 2), atol=1e-7)
    finally:
        network.mix_odd.weight.copy_(weight)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_the_estimate_turns_with_the_photo(network: CorrNet, mirrored: bool, quarters: int) -> None:
    def moved(image: torch.Tensor) -> torch.Tensor:
        image = image.flip(-1) if mirrored else image
        return image.rot90(quarters, (-2, -1))

    grey = photo()[0, 0]
    kernel = estimate(network, grey)
    assert torch.allclose(estimate(network, moved(grey)), moved(kernel), atol=1e-6)
    if mirrored or quarters:
        assert not torch.allclose(moved(kernel), kernel, atol=1e-5)


@settings(deadline=None, max_examples=8)
@given(st.floats(0.01, 300), st.floats(-100, 100))
def test_brightness_and_contrast_do_not_matter(network: CorrNet, contrast: float, brightness: float) -> None:
    grey = photo()[0, 0].double()
    kernel = estimate(network, grey.float())
    assert torch.allclose(estimate(network, (contrast * (grey + brightness)).float()), kernel, atol=1e-4 * kernel.max())


def test_a_flat_photo_gives_some_kernel(network: CorrNet) -> None:
    kernel = estimate(network, torch.full((40, 40), 0.5))
    assert torch.isfinite(kernel).all()
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)


def test_a_large_photo_is_read_in_parts(network: CorrNet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts with nothing but a little noise do not count; and it is exact under the half turn."""
    large = photo(96, 96)
    large[..., 48:, :] = 0.001 * torch.randn(48, 96)
    monkeypatch.setattr(corrnet, "TILE", 48)
    for all_of_it, upper in zip(network.statistics(large), network.statistics(large[..., :48, :]), strict=True):
        assert (all_of_it - upper).square().mean() < 0.02 * upper.square().mean()
    assert torch.allclose(network(large.flip(2, 3)), network(large).flip(1, 2), atol=1e-6)


@given(st.integers(32, 3000))
def test_the_parts_cover_a_side_evenly(side: int) -> None:
    cuts = corrnet._cuts(side)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == side
    assert len({end - start for start, end in cuts}) == 1
    assert cuts[0][1] <= corrnet.TILE + len(cuts)
    assert all(b[0] <= a[1] for a, b in zip(cuts, cuts[1:], strict=False))
    assert cuts == [(side - end, side - start) for start, end in reversed(cuts)]


def test_it_is_small_enough_to_be_shipped() -> None:
    network = CorrNet()
    assert network.config == corrnet.CONFIG
    assert sum(value.numel() for value in network.state_dict().values()) <= 4.5e6
