"""The degradation A: high resolution (HR) -> low resolution (LR), its adjoint, and kernels as pictures of it.

    LR(j) = sum over a K x K window of HR, centred on HR coordinate s j + (s - 1) / 2, of HR times kernel

a cross-correlation (what conv2d computes), the same kernel for every colour, on gamma-encoded values. LR and HR are
aligned as in ordinary half-pixel resizing, which needs K and s of equal parity: the window reaches margin = (K - s) / 2
pixels beyond the s x s block of its LR pixel on each side.

What lies beyond the picture is said by `padding`:
    "reflect", "replicate", "zeros": HR has the LR's size times s and is padded;
    "canvas": HR is itself (K - s) pixels larger than LR's size times s, nothing is assumed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.physics.kernel import check_kernel_size

CG_ITERATIONS = 30  # of the data step; docs/results.md has what more of them would change
PADDINGS = {"reflect": "reflect", "replicate": "replicate", "zeros": "constant", "canvas": None}


class Degradation:
    """A for one kernel size, scale and padding. Images are (B, C, H, W), kernels (K, K)."""

    def __init__(self, kernel_size: int, scale: int, padding: str = "reflect"):
        if padding not in PADDINGS:
            raise ValueError(f"unknown padding {padding!r}")
        self.size, self.scale, self.padding = check_kernel_size(kernel_size, scale), scale, padding
        self.margin = (kernel_size - scale) // 2

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

    def __call__(self, hr: Tensor, kernel: Tensor) -> Tensor:
        """A: (B, C, H, W) -> (B, C, h, w). H and W are what hr_size gives for some h and w."""
        padded = F.pad(self.pad(hr), (0, self._filler, 0, self._filler))
        batch, colours, height, width = padded.shape
        phases = F.pixel_unshuffle(padded.reshape(batch * colours, 1, height, width), self.scale)
        lr = F.conv2d(phases, self._polyphase(kernel))
        return lr.reshape(batch, colours, *lr.shape[-2:])

    def adjoint(self, lr: Tensor, kernel: Tensor) -> Tensor:
        """A^T: (B, C, h, w) -> (B, C, H, W), so that <A x, y> = <x, A^T y>."""
        batch, colours, h, w = lr.shape
        phases = F.conv_transpose2d(lr.reshape(batch * colours, 1, h, w), self._polyphase(kernel))
        spread = F.pixel_shuffle(phases, self.scale)
        height, width = spread.shape[-2] - self._filler, spread.shape[-1] - self._filler
        spread = spread[:, :, :height, :width].reshape(batch, colours, height, width)
        if self.padding == "canvas" or self.margin == 0:
            return spread
        inside = torch.zeros(batch, colours, h * self.scale, w * self.scale).to(lr).requires_grad_()
        with torch.enable_grad():  # the adjoint of padding is the gradient of padding
            return torch.autograd.grad(self.pad(inside), inside, spread)[0]

    def normal_kernel(self, kernel: Tensor) -> Tensor:
        """A A^T of the canvas as a kernel on the LR grid: the autocorrelation of `kernel` at multiples of the scale.

        (2 r + 1, 2 r + 1) with r = (K - 1) // s; A A^T y is its convolution with zero-padded y, exactly.
        """
        reach = (self.size - 1) // self.scale * self.scale
        overlap = F.conv2d(F.pad(kernel, (reach,) * 4)[None, None], kernel[None, None], stride=self.scale)
        return overlap[0, 0]

    def prox(self, clean: Tensor, lr: Tensor, kernel: Tensor, mu: float, iterations: int = CG_ITERATIONS) -> Tensor:
        """argmin_x |A x - lr|^2 + mu |x - clean|^2, approximately: the image near `clean` that explains the photo.

        By the push-through identity x = clean + A^T (A A^T + mu)^-1 (lr - A clean), and on the canvas A A^T is a
        convolution of the LR grid with the kernel's own autocorrelation: conjugate gradients there cost 1/s^2 of the
        same on HR. They stop after `iterations`, before the solution where the kernel is wide and mu is small.

        Args:
            clean: (B, C, H, W) on the canvas. lr: (B, C, h, w). mu: positive.

        Raises ValueError with any other padding than "canvas".
        """
        if self.padding != "canvas":
            raise ValueError("prox needs the canvas")
        normal = self.normal_kernel(kernel)[None, None]

        def apply(y: Tensor) -> Tensor:
            flat = y.reshape(-1, 1, *y.shape[-2:])
            return F.conv2d(flat, normal, padding=normal.shape[-1] // 2).reshape(y.shape) + mu * y

        rest = lr - self(clean, kernel)
        solution, direction, energy = torch.zeros_like(rest), rest.clone(), rest.square().sum()
        enough = 1e-10 * float(energy)
        for _ in range(iterations):
            if float(energy) <= enough:
                break
            image = apply(direction)
            step = energy / (direction * image).sum()
            solution, rest = solution + step * direction, rest - step * image
            energy, before = rest.square().sum(), energy
            direction = rest + energy / before * direction
        return clean + self.adjoint(solution, kernel)

    @property
    def _filler(self) -> int:
        """Zero taps that make the kernel a whole number of scale steps."""
        return -self.size % self.scale

    def _polyphase(self, kernel: Tensor) -> Tensor:
        """The kernel for the s*s phases of the image: the strided convolution becomes an unstrided one of s*s channels,
        which a CPU does several times faster."""
        return F.pixel_unshuffle(F.pad(kernel, (0, self._filler, 0, self._filler))[None, None], self.scale)


def bicubic(lr: Tensor, height: int, width: int) -> Tensor:
    """Ordinary bicubic enlargement, clamped to [-1, 1]: the baseline, and the initial guess of line 5.

    a = -0.5 and half-pixel aligned, as in Pillow and MATLAB; torch has that only under antialias=True.
    """
    here = lr.cpu() if lr.device.type == "mps" else lr  # where some versions of torch lack it
    return F.interpolate(here, (height, width), mode="bicubic", antialias=True).clamp(-1, 1).to(lr.device)


def initial_guess(lr: Tensor, degradation: Degradation) -> Tensor:
    """LR enlarged bicubically to the degradation's HR size; on the canvas its margin repeats the edge."""
    margin = degradation.margin if degradation.padding == "canvas" else 0
    guess = bicubic(lr, lr.shape[-2] * degradation.scale, lr.shape[-1] * degradation.scale)
    return F.pad(guess, (margin,) * 4, mode="replicate")


def shifted(image: Tensor, rows: int, columns: int) -> Tensor:
    """The image (..., H, W) moved down and right by whole pixels; what comes in repeats the edge."""
    height, width = image.shape[-2:]
    down = (torch.arange(height, device=image.device) - rows).clamp(0, height - 1)
    right = (torch.arange(width, device=image.device) - columns).clamp(0, width - 1)
    return image[..., down[:, None], right]


def inner(image: Tensor, margin: int) -> Tensor:
    """The image (..., H, W) without its outermost `margin` pixels."""
    return image[..., margin : image.shape[-2] - margin, margin : image.shape[-1] - margin]
