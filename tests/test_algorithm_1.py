"""`recover` beside Algorithm 1 written down literally from appendix A.1, tensor by tensor on tiny networks."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.kernels.algorithm1 import recover
from kf_core.kernels.models import make_kernel_model
from kf_core.physics.grid import bicubic
from kf_core.progress import Monitor
from kf_core.restore.unet import Refiner
from kf_core.run import Run
from kf_core.settings import RecoverySettings

torch.set_num_threads(1)
WALK, FIRST, REST, RATE, LAST, COM = (300, 120, 20), 3, 2, 1e-3, 1e-4, 0.05


class TinyPrior(nn.Module):
    """Something that depends on the image and on t, in double precision."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, noisy, t):
        return torch.sin(self.mix(noisy) * (1 + t / 500))


@pytest.fixture(autouse=True)
def in_double_precision():
    """Batch norm and Adam make much of the last digit, so that single precision would say little."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def literally(lr, prior, unet, kernel_net, generator):
    """Lines 5 to 28 with everything spelled out: no helper of the package but the networks themselves."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    a = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - beta, 0)]).float()
    adam = torch.optim.Adam([*unet.parameters(), *kernel_net.parameters()])
    x0_later, x_later, later = (
        F.interpolate(lr, scale_factor=2, mode="bicubic", antialias=True).clamp(-1, 1),
        None,
        None,
    )

    def down(x, k):  # (x * k), every second pixel, borders reflected
        padded = F.pad(x, (5, 5, 5, 5), mode="reflect").transpose(0, 1)
        return F.conv2d(padded, k[None, None], stride=2).transpose(0, 1)

    for t in WALK:
        epsilon = torch.randn(1, 3, 48, 48, generator=generator)
        count = FIRST if x_later is None else REST
        for i in range(count):
            for group in adam.param_groups:
                group["lr"] = LAST + (RATE - LAST) * (1 + math.cos(math.pi * i / count)) / 2
            k = kernel_net()
            refined = unet(x0_later)
            if x_later is None:
                x_t = a[t].sqrt() * refined + (1 - a[t]).sqrt() * epsilon
            else:  # q(x_t | x_later, x_0), the steps between merged into one
                b = 1 - a[later] / a[t]
                mean = (a[t].sqrt() * b * refined + (a[later] / a[t]).sqrt() * (1 - a[t]) * x_later) / (1 - a[later])
                x_t = mean + (b * (1 - a[t]) / (1 - a[later])).sqrt() * epsilon
            v = prior(x_t, torch.tensor([t]))
            x0 = unet(a[t].sqrt() * x_t - (1 - a[t]).sqrt() * v)
            index = torch.arange(12.0)
            com = ((k.sum(1) * index).sum() - 5.5) ** 2 + ((k.sum(0) * index).sum() - 5.5) ** 2
            loss = (lr - down(refined, k)).square().mean() + (lr - down(x0, k)).square().mean() + COM * com
            adam.zero_grad()
            loss.backward()
            adam.step()
        x0_later, x_later, later = x0.detach(), x_t.detach(), t
    return x0.detach(), k.detach()


@pytest.mark.parametrize("seed", [0, 1])
def test_recover_is_algorithm_1(seed):
    picture = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8
    lr = bicubic(picture, 24, 24)
    settings = RecoverySettings(
        timesteps=WALK, first_iterations=FIRST, iterations=REST, learning_rate=RATE, final_learning_rate=LAST,
        unet_channels=4, unet_depth=3, inr_layers=3, inr_width=16, com_weight=COM,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        prior = TinyPrior().requires_grad_(False)
        state = torch.random.get_rng_state()
        unet = Refiner(4, 3, 3)
        kernel_net = make_kernel_model("inr", 12, layers=3, width=16, omega=5.0, extent=1.0)
        start = copy.deepcopy(kernel_net)().detach()
        image, kernel = literally(lr, prior, unet, kernel_net, torch.Generator().manual_seed(seed))
        torch.random.set_rng_state(state)  # the same initial weights again
        run = Run(torch.device("cpu"), torch.Generator().manual_seed(seed), Monitor())
        found = recover(lr, 12, 2, prior, NoiseSchedule(), settings, run)
    assert float((kernel - start).abs().max()) > 1e-5  # something was learned
    torch.testing.assert_close(found.image, image, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.kernel, kernel, rtol=0, atol=1e-6)
