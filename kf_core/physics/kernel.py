"""Kernels (K, K) as arrays of taps: their size, centre, resampling and score."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.errors import BadKernel


def default_kernel_size(scale: int) -> int:
    """Six LR pixels, the support of the paper's 24 at scale 4, with the parity of the scale; 25 at the same size."""
    if scale == 1:
        return 25
    size = 6 * scale
    return size if (size - scale) % 2 == 0 else size + 1


def largest_kernel_size(scale: int) -> int:
    """Sixteen LR pixels, with the parity of the scale; 63 at the same size, where a pixel is a small part of a blur."""
    if scale == 1:
        return 63
    return 16 * scale - scale % 2


def check_kernel_size(size: int, scale: int) -> int:
    """Returns `size`. Raises BadInput when it cannot be aligned with the scale."""
    largest = largest_kernel_size(scale)
    if size < scale or size > largest or (size - scale) % 2:
        parity = "an even" if scale % 2 == 0 else "an odd"
        raise BadKernel(
            f"A kernel of {size} pixels does not fit a scale of {scale}.",
            f"Use {parity} size from {scale} to {largest}; {default_kernel_size(scale)} is usual.",
        )
    return size


def normalise(kernel: Tensor) -> Tensor:
    """Sum 1. Raises BadInput for a kernel that has no finite, positive sum."""
    total = float(kernel.sum())
    if not math.isfinite(total) or total <= 1e-8:
        raise BadKernel("The kernel is empty or not made of finite numbers.", "Give a .npy array with a positive sum.")
    return kernel / total


def centre_of_mass(kernel: Tensor) -> Tensor:
    """(row, column) in pixels of a kernel (K, K) with sum 1; the middle is ((K - 1) / 2, (K - 1) / 2)."""
    index = torch.arange(kernel.shape[-1], device=kernel.device, dtype=kernel.dtype)
    return torch.stack([(kernel.sum(1) * index).sum(), (kernel.sum(0) * index).sum()])


def off_centre(kernel: Tensor) -> Tensor:
    """COM(k) of Algorithm 1, line 22: squared distance in pixels of the centre of mass from the middle of the grid."""
    return (centre_of_mass(kernel) - (kernel.shape[-1] - 1) / 2).square().sum()


def centre(kernel: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """The kernel with its centre of mass within half a pixel of the middle, and the shift (rows, columns) that took.

    By whole pixels; what leaves the grid is lost. The image that goes with the kernel has to make the same shift.
    """
    offset = (kernel.shape[-1] - 1) / 2 - centre_of_mass(kernel / kernel.sum())
    rows, columns = offset.round().int().tolist()
    size, moved = kernel.shape[-1], torch.zeros_like(kernel)
    to = [slice(max(0, s), size + min(0, s)) for s in (rows, columns)]
    source = [slice(max(0, -s), size + min(0, -s)) for s in (rows, columns)]
    moved[to[0], to[1]] = kernel[source[0], source[1]]
    return moved / moved.sum(), (rows, columns)


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
    # On the CPU, as Apple's MPS lacks this padding mode in some versions of torch; a kernel is small.
    taps = F.grid_sample(kernel[None, None].cpu(), grid.cpu(), align_corners=False, padding_mode="border")
    return normalise(taps[0, 0].to(kernel.device))


def rebin_kernel(kernel: Tensor, scale: int, size: int, target: int) -> Tensor:
    """The same blur on the grid of any other scale: (K, K) at `scale` -> (size, size) at `target`, sum 1.

    Each tap is taken for a square of even weight, 1 / scale LR pixels wide, and shared out among the squares of the
    other grid that it overlaps: nothing is lost but what leaves the grid. The centre of mass moves by less than 0.02 LR
    pixels.
    """

    def edges(count: int, per_lr_pixel: int) -> Tensor:
        return (torch.arange(count + 1, dtype=torch.float64) - count / 2) / per_lr_pixel

    old, new = edges(kernel.shape[-1], scale), edges(size, target)
    upper, lower = torch.minimum(old[None, 1:], new[1:, None]), torch.maximum(old[None, :-1], new[:-1, None])
    share = (upper - lower).clamp_min(0) * scale  # (size, K): of an old tap that a new one takes
    share = share.to(kernel)
    return normalise(share @ kernel @ share.T)


def cosine_similarity(kernel: Tensor, truth: Tensor) -> float:
    """Kernel score: cosine of the angle between two kernels of one size, no shift allowed; 1 is perfect."""
    return float(F.cosine_similarity(kernel.double().flatten(), truth.double().flatten(), dim=0))


def gaussian_kernel(size: int, sigma: float) -> Tensor:
    """An isotropic Gaussian (size, size) of standard deviation `sigma` pixels, sum 1."""
    offset = torch.arange(size) - (size - 1) / 2
    profile = torch.exp(-0.5 * (offset / sigma) ** 2)
    return normalise(profile[:, None] * profile[None])


def odd_part(kernel: Tensor) -> Tensor:
    """What of kernels (..., K, K) changes its sign under a turn by 180 degrees; the power spectrum does not see it."""
    return (kernel - kernel.flip(-2, -1)) / 2


def wiener_mismatch(kernel: Tensor, truth: Tensor, scale: int, noise: float = 0.01) -> float:
    """What a Wiener filter made for `kernel` would leave wrong of a photograph blurred by `truth`: 0 is perfect.

        sum_f S(f) |1 - conj(K(f)) T(f) / (|K(f)|^2 + noise)|^2 / sum_f S(f)

    over the frequencies f that the photo holds, up to half a cycle per LR pixel, with S the power spectrum |f|^-2 of
    photographs. 1 is what no filter at all would leave if nothing passed the blur.
    """
    size = 8 * kernel.shape[-1]
    k, t = (torch.fft.fft2(each.double().cpu(), s=(size, size)) for each in (kernel, truth))
    axis = torch.fft.fftfreq(size, dtype=torch.float64)
    radius = axis[:, None].square() + axis[None].square()
    held = (axis.abs()[:, None] <= 0.5 / scale) & (axis.abs()[None] <= 0.5 / scale) & (radius > 0)
    power = torch.where(held, 1 / radius.clamp_min(1e-12), 0.0)
    wrong = (1 - k.conj() * t / (k.abs().square() + noise)).abs().square()
    return float((power * wrong).sum() / power.sum())
