"""KernelGAN (Bell-Kligler, Shocher, Irani, NeurIPS 2019): a deep linear network shrinks crops of the photo by 2 so that
a discriminator cannot tell their patches from the photo's own. What it convolves with is the kernel.

Written from the paper. Its own finish, ZSSR, is left out.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import convolve2d
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from benchmarks.rivals.base import Outcome, on_our_grid

ITERATIONS, CROP = 3000, 64
WINDOWS = (7, 5, 3, 1, 1, 1)  # of the generator's layers: 13 taps together
TAPS = sum(WINDOWS) - len(WINDOWS) + 1


class Generator(nn.Module):
    """Six linear layers, the last of stride 2."""

    def __init__(self, width: int = 64):
        super().__init__()
        channels = (1, *[width] * (len(WINDOWS) - 1), 1)
        self.layers = nn.ModuleList(
            nn.Conv2d(channels[n], channels[n + 1], window, stride=2 if n == len(WINDOWS) - 1 else 1, bias=False)
            for n, window in enumerate(WINDOWS)
        )
        for layer in self.layers:
            nn.init.xavier_normal_(layer.weight, gain=1.0)

    def forward(self, image: Tensor) -> Tensor:
        for layer in self.layers:
            image = layer(image)
        return image

    def kernel(self) -> Tensor:
        """(13, 13): what the layers come to, as a cross-correlation."""
        answer = torch.zeros(1, 1, 2 * TAPS - 1, 2 * TAPS - 1)
        answer[..., TAPS - 1, TAPS - 1] = 1
        for layer in self.layers:
            answer = F.conv2d(answer, layer.weight)
        return answer[0, 0].flip(0, 1)


def discriminator(width: int = 64) -> nn.Sequential:
    """A map of how real each 7 x 7 patch looks."""
    layers: list[nn.Module] = [spectral_norm(nn.Conv2d(1, width, 7))]
    for _ in range(5):
        layers += [spectral_norm(nn.Conv2d(width, width, 1)), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(width, 1, 1)), nn.Sigmoid())


def kernel_gan(lr: np.ndarray, scale: int, iterations: int = ITERATIONS, seed: int = 0) -> Outcome:
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator, judge = Generator(), discriminator()
    photo = torch.from_numpy(lr.astype(np.float32) / 255).mean(-1)[None, None]
    making = torch.optim.Adam(generator.parameters(), 2e-4, betas=(0.5, 0.999))
    judging = torch.optim.Adam(judge.parameters(), 2e-4, betas=(0.5, 0.999))
    plainly = 5.0  # weight of looking like a bicubic shrink; only to begin with
    for step in range(iterations):
        if step and step % 750 == 0:
            for group in (*making.param_groups, *judging.param_groups):
                group["lr"] /= 10
        crop = drawn(photo, CROP, random)
        small = generator(crop)
        looks = judge(small)
        kernel = generator.kernel()
        bicubic = F.interpolate(crop, scale_factor=0.5, mode="bicubic", antialias=True)
        edge = (bicubic.shape[-1] - small.shape[-1]) // 2
        likeness = F.mse_loss(small, bicubic[..., edge : edge + small.shape[-2], edge : edge + small.shape[-1]])
        loss = (looks - 1).abs().mean() + plainly * likeness + priors(kernel, sparse=5.0 if plainly < 0.1 else 0.0)
        making.zero_grad()
        loss.backward()
        making.step()
        if float(likeness.detach()) < 0.4 / 255 and step > 50:
            plainly = max(plainly / 2, 5e-6)
        real = drawn(photo, small.shape[-1], random)
        wrong = (judge(real) - 1).abs().mean() + judge(small.detach()).abs().mean()
        judging.zero_grad()
        (wrong / 2).backward()
        judging.step()
    found = generator.kernel().detach().clamp_min(0)
    found = torch.where(found < found.flatten().sort().values[-40], 0, found)  # the largest forty taps are meant
    two = (found / found.sum()).numpy()
    return Outcome(None, on_our_grid(twice(two) if scale == 4 else two))


def drawn(photo: Tensor, side: int, random: torch.Generator) -> Tensor:
    top, left = (int(torch.randint(length - side + 1, (), generator=random)) for length in photo.shape[-2:])
    return photo[..., top : top + side, left : left + side]


def priors(kernel: Tensor, sparse: float) -> Tensor:
    """Sum 1, nothing at the border, the middle of mass in the middle, and, later, few taps."""
    axis = torch.arange(TAPS) - (TAPS - 1) / 2
    distance = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt()
    total = kernel.sum()
    middle = torch.stack([(kernel.sum(1) * axis).sum(), (kernel.sum(0) * axis).sum()]) / total.abs().clamp_min(1e-6)
    border = (kernel * (distance / distance.max()) ** 4).abs().mean() * 100
    few = kernel.abs().clamp_min(1e-8).pow(0.2).mean()
    return 0.5 * (1 - total).abs() + 0.5 * border + middle.square().mean() + sparse * few * 0.2


def twice(kernel: np.ndarray) -> np.ndarray:
    """The kernel of two such shrinks, one after the other, on the finer grid."""
    size = 2 * len(kernel) - 1
    apart = np.zeros((size, size))
    apart[::2, ::2] = kernel
    return convolve2d(apart, kernel)
