"""A blur whose kernel varies over the picture: kernels on a grid of places, interpolated linearly between them.

    LR(j) = sum over kernels i of window_i(j) * (A_i HR)(j)

with A_i the blur by kernel i alone (blur.py). The windows sum to one at every LR pixel, so each pixel has a kernel of
its own, a weighted mean of the nearest four. Beyond the outermost places the kernels stay what they are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from kf_core.physics.blur import UniformBlur, fast_length
from kf_core.physics.grid import Box
from kf_core.physics.solve import CG_ITERATIONS, conjugate_gradients


@dataclass(frozen=True)
class KernelMap:
    """Kernels on a grid of places in a photo.

    Attributes:
        rows, columns: (R,) and (C,) rising, in LR pixels of the photo; 0 is the middle of its first pixel.
        kernels: (R, C, K, K), each with sum 1, in the orientation of a cross-correlation.
    """

    rows: Tensor
    columns: Tensor
    kernels: Tensor

    def at(self, row: float, column: float) -> Tensor:
        """The kernel (K, K) of one LR pixel."""
        down, across = (
            windows(places, torch.tensor([place], dtype=places.dtype))[:, 0]
            for places, place in ((self.rows.cpu(), row), (self.columns.cpu(), column))
        )
        return torch.einsum("r,c,rcij->ij", down.to(self.kernels), across.to(self.kernels), self.kernels)


class VaryingBlur:
    """The degradation with a map of kernels, on the canvas: HR is `margin` pixels larger on each side.

    Args:
        field: the kernels and where they are.
        scale: s.
        kernel: (K, K), the one that stands for all in previews and reports.
        box: the LR pixels of the photo that are looked at.
    """

    def __init__(self, field: KernelMap, scale: int, kernel: Tensor, box: Box):
        self.field, self.scale, self.kernel, self.box = field, scale, kernel, box
        self.margin = UniformBlur(kernel, scale, "canvas").margin
        top, left, height, width = box
        self.parts: list[tuple[UniformBlur, Tensor]] = []  # of kernels that are seen in the box
        down = windows(field.rows, torch.arange(top, top + height).to(field.rows))
        across = windows(field.columns, torch.arange(left, left + width).to(field.columns))
        for row, one in enumerate(down):
            for column, other in enumerate(across):
                weight = one[:, None] * other[None]
                if bool((weight > 0).any()):
                    self.parts.append((UniformBlur(field.kernels[row, column], scale, "canvas"), weight))

    def A(self, hr: Tensor) -> Tensor:
        """(B, C, H, W) on the canvas -> (B, C, h, w)."""
        (height, width), size = self.box[2:], self.kernel.shape[-1]
        lr = hr.new_zeros(*hr.shape[:2], height, width)
        for blur, weight in self.parts:
            (top, bottom), (left, right) = span(weight)
            seen = hr[
                ...,
                top * self.scale : (bottom - 1) * self.scale + size,
                left * self.scale : (right - 1) * self.scale + size,
            ]
            lr[..., top:bottom, left:right] += weight[top:bottom, left:right] * blur.A(seen)
        return lr

    def A_adjoint(self, lr: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, H, W), so that <A x, y> = <x, A_adjoint y>."""
        extra, size = 2 * self.margin, self.kernel.shape[-1]
        hr = lr.new_zeros(*lr.shape[:2], *(side * self.scale + extra for side in lr.shape[-2:]))
        for blur, weight in self.parts:
            (top, bottom), (left, right) = span(weight)
            hr[
                ...,
                top * self.scale : (bottom - 1) * self.scale + size,
                left * self.scale : (right - 1) * self.scale + size,
            ] += blur.A_adjoint(weight[top:bottom, left:right] * lr[..., top:bottom, left:right])
        return hr

    def prox_l2(
        self, clean: Tensor, lr: Tensor, mu: float, known: Tensor | None = None, iterations: int = CG_ITERATIONS
    ) -> Tensor:
        """argmin_x |A x - lr|^2 + mu |x - clean|^2, as UniformBlur.prox_l2: on the LR grid, by conjugate gradients.

        Args:
            clean: (B, C, H, W) on the canvas. lr: (B, C, h, w). mu: positive.
            known: (B, C, h, w), 1 where lr counts and 0 where it says nothing; None: all of it counts.
        """

        def apply(y: Tensor) -> Tensor:
            normal_y = self._normal(y)
            return (normal_y if known is None else known * normal_y) + mu * y

        rest = lr - self.A(clean)
        solution = conjugate_gradients(apply, rest if known is None else known * rest, iterations)
        return clean + self.A_adjoint(solution)

    def window(self, box: Box) -> VaryingBlur:
        """What a tile sees that holds the LR pixels of `box`, counted from the first that is looked at here."""
        top, left, height, width = box
        return VaryingBlur(self.field, self.scale, self.kernel, (self.box[0] + top, self.box[1] + left, height, width))

    @cached_property
    def _normal(self) -> Normal:
        return Normal(self)


class Normal:
    """A A^T of a VaryingBlur, by the Fourier transform of the LR grid: images (B, C, h, w) to the same.

    HR is seen as its s * s phases, images of LR's size. With k_ip the phase p of kernel i, this is the sum over i of
    window_i times the sum over p of [k_ip correlated with x_p], where the phase x_p of A^T y is the sum over j of k_jp
    convolved with window_j y. An image is transformed once per kernel each way.
    """

    def __init__(self, blur: VaryingBlur):
        self.weights = [weight for _, weight in blur.parts]
        self.height, self.width = blur.box[2:]
        phases = torch.stack([part.phases()[0] for part, _ in blur.parts])  # (parts, s * s, taps, taps)
        more = phases.shape[-1] - 1  # no phase reaches farther, so that nothing wraps around
        self.sizes = [fast_length(side + more) for side in (self.height, self.width)]
        self.spectra = torch.fft.rfft2(phases, self.sizes)

    def __call__(self, y: Tensor) -> Tensor:
        """(B, C, h, w) -> the same."""
        batch, colours = y.shape[:2]
        planes = y.reshape(batch * colours, 1, self.height, self.width)
        hr: Tensor | float = 0.0
        for weight, spectrum in zip(self.weights, self.spectra, strict=True):
            hr = hr + spectrum * torch.fft.rfft2(weight * planes, self.sizes)
        total = torch.zeros_like(planes)
        for weight, spectrum in zip(self.weights, self.spectra, strict=True):
            lr = torch.fft.irfft2((spectrum.conj() * hr).sum(1, keepdim=True), self.sizes)
            total += weight * lr[..., : self.height, : self.width]
        return total.reshape(y.shape)


def windows(places: Tensor, at: Tensor) -> Tensor:
    """(P, N): the share of each of P rising places in each of N points, by linear interpolation; the shares of a point
    sum to 1."""
    if len(places) == 1:
        return torch.ones(1, len(at)).to(at)
    point = at.clamp(places[0], places[-1])
    after = torch.searchsorted(places, point, right=True).clamp(1, len(places) - 1)
    share = (point - places[after - 1]) / (places[after] - places[after - 1])
    result = torch.zeros(len(places), len(at)).to(at)
    result.scatter_(0, after[None], share[None])
    return result.scatter_(0, after[None] - 1, 1 - share[None])


def span(weight: Tensor) -> Iterator[tuple[int, int]]:
    """(first, end) row, then column, of what is not zero."""
    for axis in (1, 0):
        there = (weight > 0).any(axis).nonzero()[:, 0]
        yield int(there[0]), int(there[-1]) + 1
