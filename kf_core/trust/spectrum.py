"""How well a kernel explains the power spectrum of the photo; no network.

Photographs have power spectra near a power law c |f|^-p. Shrunk with a kernel of transfer function K, aliases included,

    S(f) = c sum over the s x s frequencies g that alias to f of |K(g)|^2 |g|^-p, + n

and the periodogram P of the photo scatters around S as an exponential variable does: the negative log-likelihood is the
sum of log S + P / S (Whittle, 1953). A kernel's misfit is its mean over all frequencies, at the c, p and n that suit it
best. It sees how wide a kernel is and where its zeros are, and neither its phase nor a turn by 180 degrees.

Not in the paper. See docs/design.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from kf_core.physics.grid import LUMA, luma
from kf_core.progress import Monitor

POWERS = [1 + i / 4 for i in range(15)]  # p; natural photographs are near 2, out-of-focus ones above
# n in squared grey levels; 8-bit rounding is 1 / 12, and a flat photo brought to full contrast is hardly anything else
NOISES = (0.08, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
FINER_NOISES = [NOISES[0] * (300 / NOISES[0]) ** (i / 32) for i in range(42)]  # 32 steps from 0.08 to 300, and on
ANISOTROPIES = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)  # log of how much finer the scene's detail is down than across
EULER = 0.5772156649
DCT_BLOCK = 8  # pixels per side of the blocks of JPEG
FEWEST = 64  # frequencies to judge by


def grey_plane(photo: Tensor, colours: Sequence[float] = LUMA) -> Tensor:
    """One plane (h, w) float64 of a photo (1, 3, h, w) in [-1, 1], in grey levels about 0."""
    return luma(photo[0].detach().cpu().double(), colours) * 127.5


class Judge(Protocol):
    """What says how well kernels explain what was seen: the spectrum of one photo, or those of several.

    Attributes:
        least: what the misfit would be on average, were the model the truth.
    """

    least: float

    def misfit(self, kernel: Tensor) -> float:
        """Nats per LR pixel, lower is better."""
        ...

    def fit_anisotropy(self, kernel: Tensor, monitor: Monitor | None = None) -> float:
        """The misfit at the scene's anisotropy that suits the kernel best, which counts from then on."""
        ...


class Spectrum:
    """The periodogram of one LR photo (1, 3, h, w) in [-1, 1], to judge kernels (K, K) of one size and scale by.

    Args:
        colours: what is taken of red, green and blue.
        kept: (8, 8) bool, frequencies of the DCT that JPEG has not erased; the others say nothing of the blur. Not
            heeded if hardly any are left.
    """

    def __init__(self, lr: Tensor, scale: int, colours: Sequence[float] = LUMA, kept: Tensor | None = None):
        grey = grey_plane(lr, colours)
        height, width = grey.shape
        rows, columns = (torch.hann_window(side + 2, periodic=False).double()[1:-1] for side in (height, width))
        window = rows[:, None] * columns[None]
        centred = (grey - (grey * window).sum() / window.sum()) * window
        self.scale = scale
        self.power = torch.fft.fft2(centred).abs().square() / window.square().sum()
        self.rows, self.columns = (self._aliases(side) for side in (height, width))
        self.lowest = 1 / (scale * max(height, width))
        self.set_anisotropy(0.0)
        low = [(a[:, 0].abs() * scale * side < 1.5) for a, side in ((self.rows, height), (self.columns, width))]
        # The lowest frequencies are the window's own, the mean is gone, and of a real photo one half says it all.
        self.counts = ~(low[0][:, None] & low[1][None]) & (torch.arange(width) <= width // 2)[None]

        if kept is not None:
            rows, columns = ((torch.fft.fftfreq(side).abs() * 2 * DCT_BLOCK).round().long() for side in (height, width))
            inside = self.counts & kept[rows.clamp_max(DCT_BLOCK - 1)][:, columns.clamp_max(DCT_BLOCK - 1)]
            self.counts = inside if int(inside.sum()) >= FEWEST else self.counts

        # What the misfit would be on average, were the model the truth: E log P is log S - Euler's constant.
        self.least = float(self.power[self.counts].clamp_min(1e-9).log().mean()) + 1 + EULER
        self.seen = self.power[self.counts].float()

    def set_anisotropy(self, stretch: float) -> None:
        """Of the scene itself: above 0 its detail is finer from row to row than from column to column."""
        rows, columns = self.rows * math.exp(-stretch / 2), self.columns * math.exp(stretch / 2)
        radius = (rows[:, :, None, None].square() + columns[None, None].square()).clamp_min(self.lowest**2)
        self.log_radius = radius.log().float()
        self.falloff: dict[int, Tensor] = {}  # by the number of the power in POWERS

    def fit_anisotropy(self, kernel: Tensor, monitor: Monitor | None = None) -> float:
        """Sets the anisotropy that suits a roughly right kernel best: horizons are not the camera's doing.

        Returns its misfit there. The monitor is asked between two of them whether to stop.
        """

        def misfit(number: int) -> float:
            if monitor is not None:
                monitor.check()
            self.set_anisotropy(ANISOTROPIES[number])
            return self.misfit(kernel)

        found = {number: misfit(number) for number in range(0, len(ANISOTROPIES), 2)}
        best = min(found, key=found.__getitem__)
        found |= {number: misfit(number) for number in (best - 1, best + 1) if 0 <= number < len(ANISOTROPIES)}
        best = min(found, key=found.__getitem__)
        self.set_anisotropy(ANISOTROPIES[best])
        return found[best]

    def _aliases(self, side: int) -> Tensor:
        """(side, s): cycles per HR pixel that an LR frequency stands for, itself first."""
        own = torch.fft.fftfreq(side).double() / self.scale
        every = own[:, None] + torch.arange(self.scale).double()[None] / self.scale
        return (every + 0.5) % 1 - 0.5

    def transfer(self, kernel: Tensor) -> Tensor:
        """|K|^2 at all frequencies and their aliases: (h, s, w, s)."""
        taps = kernel.detach().cpu().to(torch.complex64)
        offset = torch.arange(len(taps)).double() - (len(taps) - 1) / 2
        turns = (-2j * torch.pi * axis[..., None] * offset for axis in (self.rows, self.columns))
        rows, columns = (turn.exp().to(taps) for turn in turns)
        return torch.einsum("hai,ij,wbj->hawb", rows, taps, columns).abs().square()

    def misfit(self, kernel: Tensor) -> float:
        """Nats per LR pixel, lower is better. Only differences between kernels on the same photo mean something."""
        return self._fitted(kernel, NOISES)[0]

    def noise(self, kernel: Tensor) -> float:
        """Standard deviation, in grey levels, of the white noise that the photo has if this is the kernel."""
        return math.sqrt(self._fitted(kernel, FINER_NOISES)[1])

    def _fitted(self, kernel: Tensor, noises: Sequence[float]) -> tuple[float, float]:
        """The misfit at the best of POWERS and of `noises`, and this noise: every other one of both is tried, then what
        is around the best, until that is in the middle."""
        passed = self.transfer(kernel).float()
        powers, few = range(0, len(POWERS), 2), range(0, len(noises), 2)
        rough = self._misfits(passed, powers, [noises[n] for n in few])
        row, column = divmod(int(rough.argmin()), len(few))
        power, noise, least = powers[row], few[column], math.inf
        while True:
            powers = range(max(0, power - 1), min(len(POWERS), power + 2))
            near = range(max(0, noise - 1), min(len(noises), noise + 2))
            fine = self._misfits(passed, powers, [noises[n] for n in near])
            row, column = divmod(int(fine.argmin()), len(near))
            if (powers[row], near[column]) == (power, noise) or float(fine.min()) >= least:
                return float(fine.min()), noises[near[column]]
            power, noise, least = powers[row], near[column], float(fine.min())

    def _misfits(self, passed: Tensor, powers: Sequence[int], noises: Sequence[float]) -> Tensor:
        """For each of some POWERS and of `noises`: (powers, noises)."""
        power, noise = self.seen, torch.tensor(noises)[None, :, None]
        shapes = torch.stack([self._shape(passed, number) for number in powers])[:, None]
        strength = (power / shapes).median(-1, keepdim=True).values.log().expand(-1, len(noises), -1)
        for _ in range(8):  # Fisher scoring of the logarithm of the strength, for all of them at once
            signal = strength.exp() * shapes
            expected = signal + noise
            share = signal / expected
            slope = (share * (power / expected - 1)).mean(-1, keepdim=True)
            strength = strength + (slope / share.square().mean(-1, keepdim=True).clamp_min(1e-6)).clamp(-1, 1)
        expected = strength.exp() * shapes + noise
        return (expected.log() + power / expected).mean(-1)

    def _shape(self, passed: Tensor, power: int) -> Tensor:
        """The scene's power at the frequencies that count, up to a factor, if it falls with POWERS[power]."""
        if power not in self.falloff:
            self.falloff[power] = (self.log_radius * (-POWERS[power] / 2)).exp()
        return (passed * self.falloff[power]).sum((1, 3))[self.counts]


class SharedSpectrum:
    """The spectra of several photos of one kernel: their evidence is summed, and given per pixel as of one photo."""

    def __init__(self, spectra: Sequence[Judge], pixels: Sequence[int]):
        self.spectra, self.shares = spectra, [count / sum(pixels) for count in pixels]
        self.least = self._mean([each.least for each in spectra])

    def misfit(self, kernel: Tensor) -> float:
        return self._mean([each.misfit(kernel) for each in self.spectra])

    def fit_anisotropy(self, kernel: Tensor, monitor: Monitor | None = None) -> float:
        """Every scene has its own."""
        return self._mean([each.fit_anisotropy(kernel, monitor) for each in self.spectra])

    def _mean(self, values: Sequence[float]) -> float:
        return sum(share * value for share, value in zip(self.shares, values, strict=True))
