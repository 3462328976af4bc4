"""The degradation A: high resolution (HR) -> low resolution (LR), with its adjoint and its data step.

    LR(j) = sum over a K x K window of HR, centred on HR coordinate s j + (s - 1) / 2, of HR times kernel

a cross-correlation (what conv2d computes), the same kernel for every colour, on gamma-encoded values. LR and HR are
aligned as in ordinary half-pixel resizing, which needs K and s of equal parity: the window reaches margin = (K - s) / 2
pixels beyond the s x s block of its LR pixel on each side.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.physics.grid import Box
from kf_core.physics.kernel import check_kernel_size
from kf_core.physics.solve import CG_ITERATIONS, conjugate_gradients

PADDINGS = {"reflect": "reflect", "replicate": "replicate", "zeros": "constant", "canvas": None}


class Blur(Protocol):
    """A degradation that owns its kernel. HR is `margin` pixels larger on each side than the LR's size times `scale`
    where the blur assumes nothing about what lies beyond the picture (a "canvas"), which `prox_l2` needs."""

    scale: int
    margin: int
    kernel: Tensor

    def A(self, hr: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, h, w)."""
        ...

    def A_adjoint(self, lr: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, H, W), so that <A x, y> = <x, A_adjoint y>."""
        ...

    def prox_l2(self, clean: Tensor, lr: Tensor, mu: float, known: Tensor | None = None) -> Tensor:
        """argmin_x |A x - lr|^2 + mu |x - clean|^2, over the values of `lr` where `known` is 1, not 0."""
        ...

    def window(self, box: Box) -> Blur:
        """What a tile sees that holds the LR pixels of `box`."""
        ...


class UniformBlur:
    """One kernel for the whole picture.

    Args:
        kernel: (K, K), K of the parity of the scale. Not normalised here.
        scale: s.
        padding: what lies beyond the picture. "reflect", "replicate", "zeros": HR has the LR's size times s and is
            padded; "canvas": HR is itself (K - s) pixels larger than LR's size times s, nothing is assumed.

    Raises BadKernel for a size that does not fit the scale, ValueError for another padding.

    >>> import torch
    >>> blur = UniformBlur(torch.full((8, 8), 1 / 64), scale=4)
    >>> blur.A(torch.ones(1, 3, 40, 40)).shape
    torch.Size([1, 3, 10, 10])
    """

    def __init__(self, kernel: Tensor, scale: int, padding: str = "reflect"):
        if padding not in PADDINGS:
            raise ValueError(f"unknown padding {padding!r}")
        self.kernel, self.scale, self.padding = kernel, scale, padding
        self.size = check_kernel_size(kernel.shape[-1], scale)
        self.margin = (self.size - scale) // 2
        self._filler = -self.size % scale  # zero taps that make the kernel a whole number of scale steps

    def hr_size(self, lr_height: int, lr_width: int) -> tuple[int, int]:
        extra = 2 * self.margin if self.padding == "canvas" else 0
        return lr_height * self.scale + extra, lr_width * self.scale + extra

    def pad(self, hr: Tensor) -> Tensor:
        """HR with `margin` more pixels on each side; where it is too small to be reflected that far, replicated."""
        mode = PADDINGS[self.padding]
        if mode is None or self.margin == 0:
            return hr
        if mode == "reflect" and min(hr.shape[-2:]) <= self.margin:
            mode = "replicate"
        return F.pad(hr, (self.margin,) * 4, mode=mode)

    def A(self, hr: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, h, w). H and W are what hr_size gives for some h and w."""
        padded = F.pad(self.pad(hr), (0, self._filler, 0, self._filler))
        batch, colours, height, width = padded.shape
        phases = F.pixel_unshuffle(padded.reshape(batch * colours, 1, height, width), self.scale)
        lr = F.conv2d(phases, self.phases())
        return lr.reshape(batch, colours, *lr.shape[-2:])

    def A_adjoint(self, lr: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, H, W), so that <A x, y> = <x, A_adjoint y>."""
        batch, colours, h, w = lr.shape
        phases = F.conv_transpose2d(lr.reshape(batch * colours, 1, h, w), self.phases())
        spread = F.pixel_shuffle(phases, self.scale)
        height, width = spread.shape[-2] - self._filler, spread.shape[-1] - self._filler
        spread = spread[:, :, :height, :width].reshape(batch, colours, height, width)
        if self.padding == "canvas" or self.margin == 0:
            return spread
        inside = torch.zeros(batch, colours, h * self.scale, w * self.scale).to(lr).requires_grad_()
        with torch.enable_grad():  # the adjoint of padding is the gradient of padding
            return torch.autograd.grad(self.pad(inside), inside, spread)[0]

    def normal_kernel(self) -> Tensor:
        """A A^T of the canvas as a kernel on the LR grid: the autocorrelation of the kernel at multiples of the scale.

        (2 r + 1, 2 r + 1) with r = (K - 1) // s; A A^T y is its convolution with zero-padded y, exactly.
        """
        reach = (self.size - 1) // self.scale * self.scale
        kernel = self.kernel
        overlap = F.conv2d(F.pad(kernel, (reach,) * 4)[None, None], kernel[None, None], stride=self.scale)
        return overlap[0, 0]

    def prox_l2(
        self, clean: Tensor, lr: Tensor, mu: float, known: Tensor | None = None, iterations: int = CG_ITERATIONS
    ) -> Tensor:
        """argmin_x |A x - lr|^2 + mu |x - clean|^2, approximately: the image near `clean` that explains the photo.

        By the push-through identity x = clean + A^T (A A^T + mu)^-1 (lr - A clean), and on the canvas A A^T is a
        convolution of the LR grid with the kernel's own autocorrelation: conjugate gradients there cost 1/s^2 of the
        same on HR. They stop after `iterations`, before the solution where the kernel is wide and mu is small.

        Args:
            clean: (B, C, H, W) on the canvas. lr: (B, C, h, w). mu: positive.
            known: (B, C, h, w), 1 where lr counts and 0 where it says nothing; None: all of it counts.

        Raises ValueError with any other padding than "canvas".
        """
        if self.padding != "canvas":
            raise ValueError("prox_l2 needs the canvas")
        convolve = Convolution(self.normal_kernel(), lr.shape[-2], lr.shape[-1])

        def apply(y: Tensor) -> Tensor:
            normal_y = convolve(y)
            return (normal_y if known is None else known * normal_y) + mu * y

        rest = lr - self.A(clean)
        solution = conjugate_gradients(apply, rest if known is None else known * rest, iterations)
        return clean + self.A_adjoint(solution)

    def window(self, box: Box) -> UniformBlur:
        """Itself: the kernel is the same in every tile."""
        return self

    def phases(self) -> Tensor:
        """The kernel (1, s*s, n, n) for the s*s phases of the image: the strided convolution becomes an unstrided one
        of s*s channels, which a CPU does several times faster."""
        return F.pixel_unshuffle(F.pad(self.kernel, (0, self._filler, 0, self._filler))[None, None], self.scale)


class Convolution:
    """Of images (..., h, w), zero beyond their edges, with one small kernel (2 r + 1, 2 r + 1), to the same size.

    By the Fourier transform: for one channel and a kernel of eleven taps a side, ten times faster than conv2d on a CPU.
    """

    def __init__(self, kernel: Tensor, height: int, width: int):
        reach = kernel.shape[-1] // 2
        self.height, self.width = height, width
        # What wraps around is zero; a small photo may be smaller than the kernel.
        self.sizes = [fast_length(max(side, reach + 1) + reach) for side in (height, width)]
        placed = torch.zeros(self.sizes).to(kernel)
        placed[: kernel.shape[0], : kernel.shape[1]] = kernel
        self.spectrum = torch.fft.rfft2(placed.roll((-reach, -reach), (0, 1)))

    def __call__(self, image: Tensor) -> Tensor:
        product = torch.fft.rfft2(image, self.sizes) * self.spectrum
        return torch.fft.irfft2(product, self.sizes)[..., : self.height, : self.width]


def fast_length(least: int) -> int:
    """The smallest number of at least `least` that has no other prime factors than 2, 3 and 5."""
    length = least
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1
