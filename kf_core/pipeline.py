"""super_resolve: checks the picture, runs phase 1, phase 2 and the finish, and assembles the result."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kf_core import device as devices
from kf_core.checkpoints.load import load_prior
from kf_core.denoisers.adapt import Prior, phase_one
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.errors import BadKernel, BadPrior, Diverged, OutOfMemory
from kf_core.estimates import check_memory, plan
from kf_core.kernels.algorithm1 import recover
from kf_core.kernels.refine import refine_kernel
from kf_core.physics.blur import Degradation
from kf_core.physics.crop import informative_crop
from kf_core.physics.kernel import check_kernel_size, default_kernel_size, matching_size, normalise, resample_kernel
from kf_core.pixels import as_pixels, to_array, to_tensor
from kf_core.progress import Monitor, Progress
from kf_core.restore.diffpir import finish
from kf_core.settings import DiffusionSettings, Settings
from kf_core.trust.choose import believed, choose_kernel, residual, sentence
from kf_core.trust.noise import noise_level
from kf_core.version import __version__


@dataclass(frozen=True)
class SuperResolution:
    """What the engine returns.

    Attributes:
        image: (H s, W s) or (H s, W s, 3), of the dtype given; None where only the kernel was asked for.
        kernel: (K, K) float32 with sum 1, in the orientation of a cross-correlation.
        report: JSON-able: versions, settings, seed, device, sizes, seconds and iterations per phase, consistency
            error, kernel and its source ("given", "recovered", "simple"); with settings.doubt and an image also
            `confidence`, 0..1, the share of the image that is the kernel's (the rest is the bicubic enlargement), and
            `confidence_sentence`.
    """

    image: np.ndarray | None
    kernel: np.ndarray
    report: dict[str, Any]


def super_resolve(
    image: np.ndarray,
    settings: Settings | None = None,
    *,
    kernel: np.ndarray | None = None,
    prior: Prior | None = None,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SuperResolution:
    """Recovers the large image and the kernel that shrank it from one photo.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, at least 32 x 32, gamma-encoded: uint8, uint16, or float in [0, 1].
        settings: `Settings.preset("fast")` if None.
        kernel: (K, K), the degradation where it is known; then only the image is recovered.
        prior: what load_prior returned, so that a server keeps its network; None: settings.patches.prior is loaded.
        progress: called after every iteration, from this thread.
        should_stop: asked after every iteration and every tile; True ends the run with Cancelled.

    Raises:
        BadInput, OutOfMemory, Diverged, Cancelled, Unavailable: all of them KernelFusionError.
    """
    monitor = Monitor(progress, should_stop)
    return _run(image, settings or Settings.preset("fast"), kernel, prior, monitor, want_image=True)


def recover_kernel(
    image: np.ndarray,
    settings: Settings | None = None,
    *,
    prior: Prior | None = None,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SuperResolution:
    """As super_resolve, but stops when the kernel is known; the image of the result is None."""
    monitor = Monitor(progress, should_stop)
    return _run(image, settings or Settings.preset("fast"), None, prior, monitor, want_image=False)


def _run(
    image: np.ndarray,
    settings: Settings,
    known: np.ndarray | None,
    prior: Prior | None,
    monitor: Monitor,
    want_image: bool,
) -> SuperResolution:
    settings = settings.checked()
    size = settings.kernel_size if known is None else known_kernel_size(known)
    size = default_kernel_size(settings.scale) if size is None else size
    settings = replace(settings, kernel_size=check_kernel_size(size, settings.scale))
    device = devices.choose_device(settings.device)
    pixels = as_pixels(image)
    lr = to_tensor(pixels).to(device)
    kernel = None if known is None else normalise(torch.from_numpy(np.asarray(known).astype(np.float32)).to(device))
    check_memory(settings, lr, kernel is not None, want_image)
    try:
        with torch.random.fork_rng():
            return _phases(pixels, lr, settings, kernel, prior, monitor, want_image)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _out_of_memory() from error
    except RuntimeError as error:  # what torch raises on a CPU and on Apple's MPS has no class of its own
        if "allocate memory" in str(error) or "out of memory" in str(error):
            raise _out_of_memory() from error
        raise


def _out_of_memory() -> OutOfMemory:
    return OutOfMemory("The computer ran out of memory.", "Use a smaller part of the photo, or the preset 'fast'.")


def _phases(
    image: np.ndarray,
    lr: Tensor,
    settings: Settings,
    known: Tensor | None,
    prior: Prior | None,
    monitor: Monitor,
    want_image: bool,
) -> SuperResolution:
    device, scale = lr.device, settings.scale
    generator = torch.Generator().manual_seed(settings.seed)
    schedule = NoiseSchedule(settings.diffusion.schedule, settings.diffusion.steps, device)
    if prior is None and settings.patches.prior != "none":
        prior = load_prior(settings.patches.prior, device, monitor)
    check_schedule(prior, settings.diffusion)
    torch.manual_seed(settings.seed)  # only now: the same weights whether the prior was built just now or long ago
    monitor.plan = plan(settings, lr, known is not None, want_image)
    whole = monitor.region = (0, 0, lr.shape[2], lr.shape[3])
    network, about_prior = phase_one(lr, schedule, settings.patches, prior, generator, monitor)

    kernel, result, choice, confidence = known, None, None, None
    if kernel is None:
        top, left, height, width = monitor.region = informative_crop(lr, settings.kernel_crop)
        crop = lr[:, :, top : top + height, left : left + width]
        kernel, result = phase_two(crop, network, schedule, settings, generator, monitor)
        if settings.doubt:
            choice = choose_kernel(crop, kernel, scale, monitor)
            kernel = choice.kernel
        if settings.doubt or crop.shape != lr.shape:
            result = None
    elif settings.finish.method == "none" and want_image:  # Algorithm 1 with the kernel given
        degradation = Degradation(settings.kernel_size, scale, settings.recovery.padding)
        result = recover(lr, degradation, network, schedule, settings.recovery, generator, monitor, kernel).image
    source = "given" if known is not None else choice.source if choice is not None else "recovered"
    monitor.region = whole
    if want_image and (result is None or settings.finish.method == "plug_and_play"):
        noise = noise_level(lr, kernel, scale) if choice is None else choice.noise
        result = finish(lr, kernel, scale, network, schedule, settings.finish, generator, monitor, source, noise)
        if choice is not None and bool(torch.isfinite(result).all()):
            result, confidence = believed(lr, result, choice, scale)

    if not bool(torch.isfinite(kernel).all()) or (result is not None and not bool(torch.isfinite(result).all())):
        raise Diverged()
    report = make_report(lr, result if want_image else None, kernel, settings, monitor, about_prior, source)
    if confidence is not None:
        report |= {"confidence": round(confidence, 3), "confidence_sentence": sentence(confidence, choice.simple)}
    pixels = to_array(result, image) if want_image else None
    return SuperResolution(pixels, kernel.cpu().numpy().astype(np.float32), report)


def phase_two(
    crop: Tensor,
    prior: PatchDiffusion,
    schedule: NoiseSchedule,
    settings: Settings,
    generator: torch.Generator,
    monitor: Monitor,
) -> tuple[Tensor, Tensor | None]:
    """The kernel (K, K) at full scale; the crop's image (1, 3, H, W) if Algorithm 1 walked it at that scale."""
    scale, size, recovery = settings.scale, settings.kernel_size, settings.recovery
    walked = settings.search_scale
    degradation = Degradation(matching_size(size, scale, walked), walked, recovery.padding)
    found = recover(crop, degradation, prior, schedule, recovery, generator, monitor)
    kernel = found.kernel if walked == scale else resample_kernel(found.kernel, walked, size, scale)
    if not settings.refine.rounds:
        return kernel, found.image if walked == scale else None
    return refine_kernel(crop, kernel, scale, prior, schedule, settings.refine, generator, monitor), None


def check_schedule(prior: Prior | None, diffusion: DiffusionSettings) -> None:
    """Raises BadPrior when the prior learned another noise schedule than the one asked for."""
    learned = (prior.about if prior else {}).get("diffusion")
    asked = {"schedule": diffusion.schedule, "steps": diffusion.steps}
    if learned and {name: learned.get(name) for name in asked} != asked:
        raise BadPrior(
            f"The prior learned the {learned.get('schedule')} noise schedule with {learned.get('steps')} steps, "
            f"not the {diffusion.schedule} one with {diffusion.steps}.",
            "Use its own schedule, or no prior.",
        )


def known_kernel_size(kernel: np.ndarray) -> int:
    kernel = np.asarray(kernel)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.dtype.kind not in "fiu":
        raise BadKernel(
            "The kernel is not a square array of numbers.", "Give a K x K array, such as `kf kernel` writes."
        )
    return kernel.shape[0]


def make_report(
    lr: Tensor, result: Tensor | None, kernel: Tensor, settings: Settings, monitor: Monitor, prior: dict, source: str
) -> dict[str, Any]:
    consistency = None if result is None else residual(lr, result, kernel, settings.scale)
    return {
        "versions": {
            "kernelfusion": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "settings": settings.as_dict(),
        "seed": settings.seed,
        "device": {"type": lr.device.type, "name": devices.describe(lr.device)},
        "input_size": [lr.shape[-1], lr.shape[-2]],
        "output_size": [result.shape[-1], result.shape[-2]] if result is not None else None,
        "patch_prior": prior,
        "kernel_source": source,
        "seconds": {phase: round(value, 3) for phase, value in monitor.seconds.items()},
        "iterations": dict(monitor.iterations),
        "consistency_rms_grey_levels": consistency,
        "kernel": kernel.cpu().double().numpy().tolist(),
    }
