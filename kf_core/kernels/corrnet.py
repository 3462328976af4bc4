"""CorrNet: from one grey photo to its kernel, in one pass through a network.

Correlations of learned feature maps over the photo, decoded into a kernel, after Kaufman & Fattal, "Deblurring using
analysis-synthesis networks pair" (CVPR 2020); here with squared maps, third-order statistics and an exact half turn.

The kernel's grid is SPAN = 6 LR pixels wide, whatever the scale, and has SIZE = 24 samples a side: four to an LR
pixel, which for scale 4 are HR pixels. For another scale the kernel is resampled from this grid. Orientation as in the
degradation: a cross-correlation, LR(j) = sum over a 24 x 24 window of HR centred on HR coordinate 4 j + 1.5.

Turning the photo by 180 degrees turns the estimate, exactly: the network is built so. Every feature map i has a
partner i', the map that i would be on the turned photo, itself turned back. With C_ij(l) the correlation of maps i and
j over the lag l, the turned photo has C_j'i'(l) in place of C_ij(l): sums C_ij + C_j'i' ("even") stay, differences
("odd") change their sign. The decoder runs on (even, odd) and on (even, -odd), and the second result is turned back
before the two are averaged. Without odd statistics the estimate would always equal its own turn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kf_core.kernels.correlate import REACH, correlations

SIZE = 24  # samples of the kernel a side
SPAN = 6  # LR pixels that they cover
TILE = 128  # LR pixels: a longer side is cut into parts
CLIP = 6.0  # standard deviations: of all maps, against single lamps and specks
ODD_GAIN = 8.0  # odd statistics are that much smaller than even ones
CONFIG = {"width": 24, "maps": 12, "mixed": 96, "narrow": 38, "odd": 36, "hidden": 512}


class TurnConv(nn.Module):
    """A convolution whose outputs are partners: turning its input by 180 degrees turns them and swaps the halves.

    Args:
        lifts: the input is the photo, which has no partner, rather than another TurnConv's output.
    """

    def __init__(self, inputs: int, outputs: int, size: int, dilation: int = 1, lifts: bool = False, pad: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs // 2, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs // 2))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.shift = 0 if lifts else inputs // 2
        self.dilation = dilation
        self.padding = dilation * (size // 2) if pad else 0

    def forward(self, x: Tensor) -> Tensor:
        turned = self.weight.flip(2, 3).roll(self.shift, 1)
        weight, bias = torch.cat([self.weight, turned]), torch.cat([self.bias, self.bias])
        return F.conv2d(x, weight, bias, padding=self.padding, dilation=self.dilation)


class CorrNet(nn.Module):
    """forward: grey photo (B, 1, h, w), 32 pixels a side or more, in any range -> kernels (B, SIZE, SIZE), sums 1."""

    def __init__(
        self,
        width: int = CONFIG["width"],
        maps: int = CONFIG["maps"],
        mixed: int = CONFIG["mixed"],
        narrow: int = CONFIG["narrow"],
        odd: int = CONFIG["odd"],
        hidden: int = CONFIG["hidden"],
    ):
        super().__init__()
        self.config = {"width": width, "maps": maps, "mixed": mixed, "narrow": narrow, "odd": odd, "hidden": hidden}
        self.first = TurnConv(1, width, 5, lifts=True, pad=False)
        self.second = TurnConv(width, width, 3)
        self.third = TurnConv(width, width, 3, dilation=2)
        self.fourth = TurnConv(width, width, 3)
        self.last = TurnConv(width, maps, 1)
        half = torch.arange(maps).roll(maps // 2)
        self.learned = _Symmetries(torch.cat([half, half + maps]), torch.ones(2 * maps))
        directions = torch.arange(16)  # g, |g|, g^2, g|g| in four directions each: own partners, but g changes its sign
        self.fixed = _Symmetries(directions, torch.tensor([-1.0, 1.0, 1.0, -1.0]).repeat_interleave(4))
        lags = (REACH + 1) * (2 * REACH + 1)
        self.mix_even = nn.Linear(self.learned.evens + self.fixed.evens, mixed)
        self.narrow = nn.Conv2d(mixed, narrow, 3, padding=1)
        self.dense_even = nn.Linear(narrow * lags, hidden)
        self.mix_odd = nn.Linear(self.learned.odds + self.fixed.odds, odd, bias=False)
        self.dense_odd = nn.Linear(odd * lags, hidden, bias=False)
        self._begin_with_third_order()
        self.deeper = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(2)])
        self.head = nn.Linear(hidden, SIZE * SIZE)
        nn.init.normal_(self.head.weight, std=1e-2)
        at = torch.arange(SIZE) - (SIZE - 1) / 2
        squares = at[:, None] ** 2 + at[None, :] ** 2
        with torch.no_grad():  # the first guess: a wide Gaussian
            self.head.bias.copy_(-(squares / (2 * (SIZE / 5) ** 2)).flatten())

    def forward(self, grey: Tensor) -> Tensor:
        return self.logits(grey).flatten(1).softmax(1).reshape(-1, SIZE, SIZE)

    def logits(self, grey: Tensor) -> Tensor:
        """(B, SIZE, SIZE): the logarithm of the kernel up to a constant."""
        return self.decode(*self.statistics(grey))

    def statistics(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Correlation coefficients (B, REACH + 1, 2 REACH + 1, pairs) of the learned and of the fixed maps, each
        averaged over the photo."""
        tiles = _tiles(standardised(grey))
        with torch.no_grad():
            fixed = _mean_correlations([gradients(tile) for tile in tiles], gradient_maps)
        learned = _mean_correlations([self.features(tile) for tile in tiles], learned_maps)
        return _normalised(learned), _normalised(fixed)

    def features(self, photo: Tensor) -> Tensor:
        """Learned maps (B, maps, h - 4, w - 4) of a standardised photo, not negative."""
        x = F.relu(self.first(photo))
        x = F.relu(self.second(x)) + x
        x = F.relu(self.third(x)) + x
        x = F.relu(self.fourth(x)) + x
        return F.relu(self.last(x))

    def _begin_with_third_order(self) -> None:
        """The first odd mixtures are |g| with g^2 and g with g|g|, unmixed. From there the phase is learned many times
        sooner than from random mixtures, as it is with no nonlinearity before the statistics meet in the sum."""
        one, other = self.fixed.odd_pair // 16 // 4, self.fixed.odd_pair % 16 // 4  # which of g, |g|, g^2, g|g|
        chosen = (((one == 1) & (other == 2)) | ((one == 0) & (other == 3))).nonzero()[:, 0]
        chosen = chosen[: len(self.mix_odd.weight)]
        with torch.no_grad():
            self.mix_odd.weight[: len(chosen)] = 0
            self.mix_odd.weight[torch.arange(len(chosen)), self.learned.odds + chosen] = 1

    def decode(self, learned: Tensor, fixed: Tensor) -> Tensor:
        mixed_even, mixed_odd = self.mix(learned, fixed)
        even = F.relu(self.narrow(F.relu(mixed_even).permute(0, 3, 1, 2)))
        even, odd = self.dense_even(even.flatten(1)), self.dense_odd(mixed_odd.flatten(1))
        x = F.gelu(torch.cat([even + odd, even - odd]))
        for layer in self.deeper:
            x = x + F.gelu(layer(x))
        as_is, turned = self.head(x).reshape(-1, SIZE, SIZE).chunk(2)
        return (as_is + turned.flip(1, 2)) / 2

    def mix(self, learned: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """Linear mixtures of the even (B, lags, lags, mixed) and of the odd statistics (B, lags, lags, odd)."""
        even = self.mix_even.weight.split([self.learned.evens, self.fixed.evens], 1)
        odd = (ODD_GAIN * self.mix_odd.weight).split([self.learned.odds, self.fixed.odds], 1)
        mixed = F.linear(learned, self.learned.spread(even[0], odd[0]))
        mixed = mixed + F.linear(fixed, self.fixed.spread(even[1], odd[1]))
        mixed_even, mixed_odd = mixed.split([len(self.mix_even.weight), len(self.mix_odd.weight)], -1)
        return mixed_even + self.mix_even.bias, mixed_odd


class _Symmetries(nn.Module):
    """Which sums and differences of the correlations of M maps are even and odd, by each map's partner and its sign
    under a half turn."""

    even_pair: Tensor
    even_turned: Tensor
    even_sign: Tensor
    odd_pair: Tensor
    odd_turned: Tensor
    odd_sign: Tensor

    def __init__(self, partner: Tensor, sign: Tensor):
        super().__init__()
        count = len(partner)
        first, second = torch.meshgrid(torch.arange(count), torch.arange(count), indexing="ij")
        pair = (first * count + second).flatten()
        turned = (partner[second] * count + partner[first]).flatten()
        signs = (sign[:, None] * sign[None, :]).flatten()
        even = (pair < turned) | ((pair == turned) & (signs > 0))
        odd = (pair < turned) | ((pair == turned) & (signs < 0))
        for name, chosen in (("even", even), ("odd", odd)):
            self.register_buffer(f"{name}_pair", pair[chosen], persistent=False)
            self.register_buffer(f"{name}_turned", turned[chosen], persistent=False)
            self.register_buffer(f"{name}_sign", signs[chosen], persistent=False)
        self.count, self.evens, self.odds = count, int(even.sum()), int(odd.sum())

    def spread(self, even: Tensor, odd: Tensor) -> Tensor:
        """Weights of even (n, evens) and odd statistics (m, odds) as weights (n + m, M M) of the correlations."""
        evens, odds = (weight.new_zeros(len(weight), self.count**2) for weight in (even, odd))
        evens = evens.index_add(1, self.even_pair, even / 2).index_add(1, self.even_turned, self.even_sign * even / 2)
        odds = odds.index_add(1, self.odd_pair, odd / 2).index_add(1, self.odd_turned, -self.odd_sign * odd / 2)
        return torch.cat([evens, odds])


def standardised(grey: Tensor) -> Tensor:
    """The photo without its mean, in units of twice its RMS gradient: brightness and contrast no longer matter."""
    photo = grey - grey.mean((1, 2, 3), keepdim=True)
    across = (photo[..., 1:] - photo[..., :-1]).square().mean((1, 2, 3), keepdim=True)
    down = (photo[..., 1:, :] - photo[..., :-1, :]).square().mean((1, 2, 3), keepdim=True)
    return photo / (2 * (across + down).sqrt()).clamp_min(1e-12)


def gradients(photo: Tensor) -> Tensor:
    """(B, 4, h - 4, w - 4): central differences across, down and along both diagonals."""
    p = photo[..., 1:-1, 1:-1]
    across, down = p[..., 1:-1, 2:] - p[..., 1:-1, :-2], p[..., 2:, 1:-1] - p[..., :-2, 1:-1]
    falling, rising = p[..., 2:, 2:] - p[..., :-2, :-2], p[..., 2:, :-2] - p[..., :-2, 2:]
    return torch.cat([across, down, falling / 2**0.5, rising / 2**0.5], 1)


def gradient_maps(g: Tensor) -> Tensor:
    """(B, 4, ...) -> (B, 16, ...): g, |g|, g^2 and g |g|."""
    return torch.cat([g, g.abs(), g.square(), g * g.abs()], 1)


def learned_maps(x: Tensor) -> Tensor:
    return torch.cat([x, x.square()], 1)


def estimate(net: CorrNet, grey: Tensor) -> Tensor:
    """The kernel (SIZE, SIZE) of one grey photo (h, w), the mean over its eight turns and mirrors.

    Equivariant: a photo turned or mirrored has its kernel turned or mirrored.
    """
    total = estimates(net, grey).sum(0)
    return total / total.sum()


def estimates(net: CorrNet, grey: Tensor) -> Tensor:
    """What the network says of a photo (h, w), as it is, turned by 90 degrees, and both mirrored: (4, SIZE, SIZE), each
    moved back.

    Four stand for all eight turns and mirrors, for the network is exact under half turns.
    """
    kernels = []
    with torch.inference_mode():
        for mirrored in (False, True):
            for quarter in (False, True):
                kernel = net(_moved(grey, mirrored, quarter)[None, None])[0]
                kernels.append(_moved_back(kernel, mirrored, quarter))
    return torch.stack(kernels)


def _moved(image: Tensor, mirrored: bool, quarter: bool) -> Tensor:
    image = image.flip(-1) if mirrored else image
    return image.rot90(1, (-2, -1)) if quarter else image


def _moved_back(image: Tensor, mirrored: bool, quarter: bool) -> Tensor:
    image = image.rot90(-1, (-2, -1)) if quarter else image
    return image.flip(-1) if mirrored else image


def _tiles(photo: Tensor) -> list[Tensor]:
    """The photo in equal parts of at most TILE a side, symmetrically laid so that its half turn has the same ones."""
    rows = _cuts(photo.shape[-2])
    columns = _cuts(photo.shape[-1])
    return [photo[..., a:b, c:d] for a, b in rows for c, d in columns]


def _cuts(side: int) -> list[tuple[int, int]]:
    count = -(-side // TILE)
    if count == 1:
        return [(0, side)]
    length = -(-side // count)
    length += (side - length) % (count - 1)  # so that they lie equally far apart; they may overlap a little
    step = (side - length) // (count - 1)
    return [(n * step, n * step + length) for n in range(count)]


def _mean_correlations(parts: list[Tensor], expand: Callable[[Tensor], Tensor]) -> Tensor:
    """Of maps in units of their RMS over the whole photo, clipped, then expanded; the mean over its parts."""
    areas = [part.shape[-2] * part.shape[-1] for part in parts]
    shared = [(area / sum(areas), part) for area, part in zip(areas, parts, strict=True)]
    power = reduce(torch.add, (share * part.square().mean((1, 2, 3), keepdim=True) for share, part in shared))
    unit = power.sqrt() + 1e-4
    return reduce(torch.add, (share * correlations(expand((part / unit).clamp(-CLIP, CLIP))) for share, part in shared))


def _normalised(c: Tensor) -> Tensor:
    """Correlation coefficients from covariances (B, lags, lags, M M): the variances stand at lag zero."""
    count = round(c.shape[-1] ** 0.5)
    deviation = c[:, 0, REACH, :: count + 1].clamp_min(1e-6).sqrt()
    return c / (deviation[:, :, None] * deviation[:, None, :]).flatten(1)[:, None, None]
