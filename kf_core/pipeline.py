"""super_resolve: checks the picture, runs phase 1, phase 2 and the finish, and assembles the result."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import kf_core
from kf_core import device as devices
from kf_core.adapt import phase_one
from kf_core.degradation import (
    Degradation,
    check_kernel_size,
    default_kernel_size,
    matching_size,
    normalise,
    resample_kernel,
)
from kf_core.errors import BadInput, Diverged, OutOfMemory
from kf_core.finish import finish
from kf_core.networks.patch_diffusion import PatchDiffusion
from kf_core.progress import Monitor, Progress
from kf_core.recover import recover
from kf_core.refine import refine_kernel
from kf_core.schedule import NoiseSchedule
from kf_core.settings import SMALLEST, Settings

SCALES = (2, 3, 4)


@dataclass(frozen=True)
class SuperResolution:
    """What the engine returns.

    Attributes:
        image: (H s, W s) or (H s, W s, 3), of the dtype given; None where only the kernel was asked for.
        kernel: (K, K) float32 with sum 1, in the orientation of a cross-correlation.
        report: JSON-able: versions, settings, seed, device, sizes, seconds and iterations per phase, consistency
            error, kernel.
    """

    image: np.ndarray | None
    kernel: np.ndarray
    report: dict[str, Any]


def super_resolve(
    image: np.ndarray,
    settings: Settings | None = None,
    *,
    kernel: np.ndarray | None = None,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SuperResolution:
    """Recovers the large image and the kernel that shrank it from one photo.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, at least 32 x 32, gamma-encoded: uint8, or float in [0, 1].
        settings: `Settings.preset("fast")` if None.
        kernel: (K, K), the degradation where it is known; then only the image is recovered.
        progress: called after every iteration, from this thread.
        should_stop: asked after every iteration; True ends the run with Cancelled.

    Raises:
        BadInput, OutOfMemory, Diverged, Cancelled: all of them KernelFusionError.
    """
    return _run(image, settings or Settings.preset("fast"), kernel, Monitor(progress, should_stop), want_image=True)


def recover_kernel(
    image: np.ndarray,
    settings: Settings | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SuperResolution:
    """As super_resolve, but stops when the kernel is known; the image of the result is None."""
    return _run(image, settings or Settings.preset("fast"), None, Monitor(progress, should_stop), want_image=False)


def _run(
    image: np.ndarray, settings: Settings, known: np.ndarray | None, monitor: Monitor, want_image: bool
) -> SuperResolution:
    settings = settings.checked()
    if settings.scale not in SCALES:
        raise BadInput(f"A scale of {settings.scale} is not supported.", "Use 2, 3 or 4.")
    size = settings.kernel_size if known is None else known_kernel_size(known)
    size = default_kernel_size(settings.scale) if size is None else size
    settings = replace(settings, kernel_size=check_kernel_size(size, settings.scale))
    device = devices.choose_device(settings.device)
    lr = to_tensor(image).to(device)
    kernel = None if known is None else normalise(torch.from_numpy(np.asarray(known).astype(np.float32)).to(device))
    check_memory(settings, lr, device)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            return _phases(image, lr, settings, kernel, monitor, want_image)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise OutOfMemory(
            "The computer ran out of memory.", "Use a smaller part of the photo, or --preset fast."
        ) from error


def _phases(
    image: np.ndarray, lr: Tensor, settings: Settings, known: Tensor | None, monitor: Monitor, want_image: bool
) -> SuperResolution:
    device, scale = lr.device, settings.scale
    generator = torch.Generator().manual_seed(settings.seed)
    schedule = NoiseSchedule(settings.diffusion.schedule, settings.diffusion.steps, device)
    prior, about_prior = phase_one(lr, schedule, settings.patches, generator, monitor)

    kernel, result = known, None
    if kernel is None:
        kernel, result = phase_two(lr, prior, schedule, settings, generator, monitor)
    elif settings.finish.method == "none" and want_image:  # Algorithm 1 with the kernel given
        degradation = Degradation(settings.kernel_size, scale, settings.recovery.padding)
        result = recover(lr, degradation, prior, schedule, settings.recovery, generator, monitor, kernel).image
    if want_image and (result is None or settings.finish.method == "plug_and_play"):
        polish = replace(settings.finish, precision=devices.resolve_precision(settings.finish.precision, device))
        result = finish(lr, kernel, scale, prior, schedule, polish, generator, monitor, certain=known is not None)

    if not bool(torch.isfinite(kernel).all()) or (result is not None and not bool(torch.isfinite(result).all())):
        raise Diverged("The computation ran away and has no result.", "Try another seed, or another preset.")
    report = make_report(lr, result if want_image else None, kernel, settings, monitor, about_prior, known is not None)
    pixels = to_array(result, image) if want_image else None
    return SuperResolution(pixels, kernel.cpu().numpy().astype(np.float32), report)


def phase_two(
    lr: Tensor,
    prior: PatchDiffusion,
    schedule: NoiseSchedule,
    settings: Settings,
    generator: torch.Generator,
    monitor: Monitor,
) -> tuple[Tensor, Tensor | None]:
    """The kernel (K, K) at full scale; the image (1, 3, H, W) if Algorithm 1 walked the whole photo at that scale."""
    scale, size, recovery = settings.scale, settings.kernel_size, settings.recovery
    walked = settings.search_scale
    top, left, height, width = informative_crop(lr, settings.kernel_crop)
    crop = lr[:, :, top : top + height, left : left + width]
    degradation = Degradation(matching_size(size, scale, walked), walked, recovery.padding)
    found = recover(crop, degradation, prior, schedule, recovery, generator, monitor)
    whole = walked == scale and crop.shape == lr.shape
    kernel = found.kernel if walked == scale else resample_kernel(found.kernel, walked, size, scale)
    if not settings.refine.rounds:
        return kernel, found.image if whole else None
    polish = replace(settings.refine, precision=devices.resolve_precision(settings.refine.precision, lr.device))
    return refine_kernel(crop, kernel, scale, prior, schedule, polish, generator, monitor), None


def informative_crop(lr: Tensor, side: int) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the crop, at most `side` wide and high, with most structure in both directions.

    Structure is the smaller eigenvalue of the gradients' structure tensor over the crop (Harris, Shi-Tomasi): flat
    areas and straight parallel edges say little about a kernel. side 0: the whole picture.
    """
    height, width = lr.shape[-2:]
    if not side or (height <= side and width <= side):
        return 0, 0, height, width
    rows, columns = min(side, height), min(side, width)
    grey = lr.mean(1, keepdim=True)
    dy, dx = grey[..., 1:, :-1] - grey[..., :-1, :-1], grey[..., :-1, 1:] - grey[..., :-1, :-1]
    tensor = torch.cat([dy * dy, dx * dx, dy * dx], dim=1)
    yy, xx, xy = F.avg_pool2d(tensor, (rows - 1, columns - 1), stride=1)[0]
    smaller = (yy + xx) / 2 - (((yy - xx) / 2).square() + xy.square()).sqrt()
    top, left = divmod(int(smaller.argmax()), smaller.shape[1])
    return top, left, rows, columns


def to_tensor(image: np.ndarray) -> Tensor:
    """(1, 3, H, W) in [-1, 1]; grey is repeated. Raises BadInput."""
    image = np.asarray(image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise BadInput(f"An array of shape {image.shape} is not a picture.", "Give (H, W) grey or (H, W, 3) RGB.")
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise BadInput(f"Pixels of type {image.dtype} are not supported.", "Give uint8, or float in [0, 1].")
    if min(image.shape[:2]) < SMALLEST:
        raise BadInput(
            f"The picture is {image.shape[1]} x {image.shape[0]} pixels, which is too small.",
            f"Give at least {SMALLEST} x {SMALLEST}: the kernel is learned from the photo's own patches.",
        )
    if image.dtype.kind == "f" and not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
        raise BadInput("The picture has values outside 0 to 1.", "Scale float pictures to the range 0 to 1.")
    values = image.astype(np.float32) * (2 / 255 if image.dtype == np.uint8 else 2) - 1
    values = np.repeat(values[:, :, None], 3, axis=2) if image.ndim == 2 else values
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]


def to_array(result: Tensor, like: np.ndarray) -> np.ndarray:
    """The inverse of to_tensor, in the dtype and number of channels of `like`."""
    values = ((result[0].float().cpu() + 1) / 2).clamp(0, 1).numpy().transpose(1, 2, 0)
    values = values.mean(axis=2) if like.ndim == 2 else values
    return (values * 255).round().astype(np.uint8) if like.dtype == np.uint8 else values.astype(like.dtype)


def known_kernel_size(kernel: np.ndarray) -> int:
    kernel = np.asarray(kernel)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.dtype.kind not in "fiu":
        raise BadInput(
            "The kernel is not a square array of numbers.", "Give a K x K array, such as `kf kernel` writes."
        )
    return kernel.shape[0]


def check_memory(settings: Settings, lr: Tensor, device: torch.device) -> None:
    """Raises BadInput when the preset needs more memory than is free. The bytes per HR pixel are measured ones."""
    free = devices.memory_available(device)
    height, width = lr.shape[-2:]
    pixels = height * width * settings.scale**2
    walked = min(height, settings.kernel_crop or height) * min(width, settings.kernel_crop or width)
    walked *= settings.search_scale**2
    with_gradient = 45 * settings.patches.channels if settings.recovery.prior_gradient else 0
    needed = max(180 * pixels, (250 * settings.recovery.unet_channels + with_gradient) * walked)
    if free is not None and needed > free:
        raise BadInput(
            f"A picture of {width} x {height} pixels needs about {needed / 2**30:.1f} GiB with the "
            f"'{settings.preset_name}' preset, and {free / 2**30:.1f} GiB are free.",
            "Use a smaller part of the photo, or --preset fast.",
        )


def make_report(
    lr: Tensor, result: Tensor | None, kernel: Tensor, settings: Settings, monitor: Monitor, prior: dict, known: bool
) -> dict[str, Any]:
    consistency = None
    if result is not None:
        degradation = Degradation(kernel.shape[-1], settings.scale, "reflect")
        edge = -(-degradation.margin // settings.scale)  # LR pixels whose window leaves the picture
        difference = (degradation(result, kernel) - lr)[..., edge : -edge or None, edge : -edge or None]
        consistency = float(difference.square().mean().sqrt() * 127.5)
    return {
        "versions": {
            "kernelfusion": kf_core.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "settings": settings.as_dict(),
        "seed": settings.seed,
        "device": {"type": lr.device.type, "name": devices.describe(lr.device)},
        "input_size": [lr.shape[-1], lr.shape[-2]],
        "output_size": [result.shape[-1], result.shape[-2]] if result is not None else None,
        "patch_prior": prior,
        "kernel_source": "given" if known else "recovered",
        "seconds": {phase: round(value, 3) for phase, value in monitor.seconds.items()},
        "iterations": dict(monitor.iterations),
        "consistency_rms_grey_levels": consistency,
        "kernel": kernel.cpu().double().numpy().tolist(),
    }
