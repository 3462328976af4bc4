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

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.errors import BadInput

PADDINGS = {"reflect": "reflect", "replicate": "replicate", "zeros": "constant", "canvas": None}


def default_kernel_size(scale: int) -> int:
    """Six LR pixels, the support of the paper's 24 at scale 4, with the parity of the scale."""
    size = 6 * scale
    return size if (size - scale) % 2 == 0 else size + 1


def largest_kernel_size(scale: int) -> int:
    """Sixteen LR pixels, with the parity of the scale."""
    return 16 * scale - scale % 2


def check_kernel_size(size: int, scale: int) -> int:
    """Returns `size`. Raises BadInput when it cannot be aligned with the scale."""
    largest = largest_kernel_size(scale)
    if size < scale or size > largest or (size - scale) % 2:
        parity = "an even" if scale % 2 == 0 else "an odd"
        raise BadInput(
            f"A kernel of {size} pixels does not fit a scale of {scale}.",
            f"Use {parity} size from {scale} to {largest}; {default_kernel_size(scale)} is usual.",
        )
    return size


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

    @property
    def _filler(self) -> int:
        """Zero taps that make the kernel a whole number of scale steps."""
        return -self.size % self.scale

    def _polyphase(self, kernel: Tensor) -> Tensor:
        """The kernel for the s*s phases of the image: the strided convolution becomes an unstrided one of s*s channels,
        which a CPU does several times faster."""
        return F.pixel_unshuffle(F.pad(kernel, (0, self._filler, 0, self._filler))[None, None], self.scale)


def normalise(kernel: Tensor) -> Tensor:
    """Sum 1. Raises BadInput for a kernel that has no finite, positive sum."""
    total = float(kernel.sum())
    if not math.isfinite(total) or total <= 1e-8:
        raise BadInput("The kernel is empty or not made of finite numbers.", "Give a .npy array with a positive sum.")
    return kernel / total


def centre_of_mass(kernel: Tensor) -> Tensor:
    """(row, column) in pixels of a kernel (K, K) with sum 1; the middle is ((K - 1) / 2, (K - 1) / 2)."""
    index = torch.arange(kernel.shape[-1], device=kernel.device, dtype=kernel.dtype)
    return torch.stack([(kernel.sum(1) * index).sum(), (kernel.sum(0) * index).sum()])


def off_centre(kernel: Tensor) -> Tensor:
    """COM(k) of Algorithm 1, line 22: squared distance in pixels of the centre of mass from the middle of the grid."""
    return (centre_of_mass(kernel) - (kernel.shape[-1] - 1) / 2).square().sum()


def centre(kernel: Tensor) -> Tensor:
    """Shifts by whole pixels so that the centre of mass is within half a pixel of the middle; what leaves is lost."""
    shift = ((kernel.shape[-1] - 1) / 2 - centre_of_mass(kernel / kernel.sum())).round().int().tolist()
    size, moved = kernel.shape[-1], torch.zeros_like(kernel)
    to = [slice(max(0, s), size + min(0, s)) for s in shift]
    source = [slice(max(0, -s), size + min(0, -s)) for s in shift]
    moved[to[0], to[1]] = kernel[source[0], source[1]]
    return moved / moved.sum()


def matching_size(size: int, scale: int, other: int) -> int:
    """The kernel size at scale `other` that covers what `size` covers at `scale`."""
    wanted = round(size * other / scale)
    return min(max(wanted + (wanted - other) % 2, other), largest_kernel_size(other))


def resample_kernel(kernel: Tensor, scale: int, size: int, target: int) -> Tensor:
    """The same blur on the finer grid of another scale: (K, K) at `scale` -> (size, size) at `target` >= scale, sum 1.

    Tap i of K stands (i - (K - 1) / 2) / scale LR pixels from the middle; values between are bilinear.
    """
    offset = (torch.arange(size, device=kernel.device, dtype=kernel.dtype) - (size - 1) / 2) / target
    axis = offset * scale * 2 / kernel.shape[-1]  # grid_sample's coordinates: +-1 are the outer edges of the taps
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)[None]
    return normalise(F.grid_sample(kernel[None, None], grid, align_corners=False, padding_mode="border")[0, 0])


def cosine_similarity(kernel: Tensor, truth: Tensor) -> float:
    """Kernel score: cosine of the angle between two kernels of one size, no shift allowed; 1 is perfect."""
    return float(F.cosine_similarity(kernel.double().flatten(), truth.double().flatten(), dim=0))


def bicubic(lr: Tensor, height: int, width: int) -> Tensor:
    """Ordinary bicubic enlargement, clamped to [-1, 1]: the baseline, and the initial guess of line 5.

    a = -0.5 and half-pixel aligned, as in Pillow and MATLAB; torch has that only under antialias=True.
    """
    return F.interpolate(lr, (height, width), mode="bicubic", antialias=True).clamp(-1, 1)


def initial_guess(lr: Tensor, degradation: Degradation) -> Tensor:
    """LR enlarged bicubically to the degradation's HR size; on the canvas its margin repeats the edge."""
    margin = degradation.margin if degradation.padding == "canvas" else 0
    guess = bicubic(lr, lr.shape[-2] * degradation.scale, lr.shape[-1] * degradation.scale)
    return F.pad(guess, (margin,) * 4, mode="replicate")


def inner(image: Tensor, margin: int) -> Tensor:
    """The image (..., H, W) without its outermost `margin` pixels."""
    return image[..., margin : image.shape[-2] - margin, margin : image.shape[-1] - margin]


def gaussian_kernel(size: int, sigma: float) -> Tensor:
    """An isotropic Gaussian (size, size) of standard deviation `sigma` pixels, sum 1."""
    offset = torch.arange(size) - (size - 1) / 2
    profile = torch.exp(-0.5 * (offset / sigma) ** 2)
    return normalise(profile[:, None] * profile[None])
