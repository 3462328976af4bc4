"""What a run will cost: its memory, checked before it begins, and the work of its phases, for the progress."""

from __future__ import annotations

from torch import Tensor

from kf_core import device as devices
from kf_core.errors import TooLarge
from kf_core.physics.crop import crop_pixels
from kf_core.settings import Settings

UNET_BYTES, PD_BYTES, FINISH_BYTES = 250, 45, 180  # per HR pixel; the first two also per channel
WEIGHING = 20.0  # millions of multiply-adds per LR pixel of the crop
SEARCH_BYTES = 160 << 20  # of Algorithm 1, however small the photo


def plan(settings: Settings, lr: Tensor, kernel_known: bool, want_image: bool) -> dict[str, float]:
    """Expected work of each phase, for the progress: millions of multiply-adds, roughly; the ratios are what counts."""
    pixels, scale, patches = lr.shape[-2] * lr.shape[-1], settings.scale, settings.patches
    crop = crop_pixels(lr, settings.kernel_crop) if not kernel_known else pixels
    channels = 64 if patches.prior != "none" else patches.channels
    pd = 1e-4 * channels**2  # PD forward, per pixel; with its gradient three times as much
    work = {}
    if patches.steps:
        work["learn_patches"] = 3 * pd * patches.steps * patches.batch * patches.crop**2
    if not kernel_known or (settings.finish.method == "none" and want_image):
        recovery, walked = settings.recovery, crop * (scale if kernel_known else settings.search_scale) ** 2
        count = recovery.first_iterations + recovery.iterations * (len(recovery.timesteps) - 1)
        denoising = (3 if recovery.prior_gradient else 1) * pd / recovery.prior_every
        work["recover_kernel"] = count * walked * (4e-3 * recovery.unet_channels**2 + denoising)
    if not kernel_known and settings.refine.rounds:
        work["refine_kernel"] = settings.refine.rounds * settings.refine.steps * crop * scale**2 * pd
    if not kernel_known and settings.doubt:
        work["weigh_kernel"] = WEIGHING * crop
    if want_image and (settings.finish.method == "plug_and_play" or settings.refine.rounds):
        work["finish"] = settings.finish.steps * pixels * scale**2 * pd
    return work


def memory_needed(settings: Settings, lr: Tensor, kernel_known: bool, want_image: bool) -> float:
    """Bytes beyond those of torch itself. `python -m benchmarks.memory` has what runs really take (docs/results.md)."""
    hr = lr.shape[-2] * lr.shape[-1] * settings.scale**2
    crop = crop_pixels(lr, settings.kernel_crop)
    recovery, phases = settings.recovery, [0.0]
    if want_image:
        phases.append(FINISH_BYTES * hr)
    if not kernel_known or settings.finish.method == "none":
        walked = hr if kernel_known else crop * settings.search_scale**2
        with_gradient = PD_BYTES * settings.patches.channels if recovery.prior_gradient else 0
        phases.append(SEARCH_BYTES + (UNET_BYTES * recovery.unet_channels + with_gradient) * walked)
    if not kernel_known and settings.refine.rounds:
        windows = 3 * crop * settings.kernel_size**2 * 4  # the matrix of the kernel fit, float32
        phases.append(2 * windows + FINISH_BYTES * crop * settings.scale**2)
    return max(phases)


def check_memory(settings: Settings, lr: Tensor, kernel_known: bool, want_image: bool) -> None:
    """Raises TooLarge when the run needs more memory than is free."""
    free = devices.memory_available(lr.device)
    needed = memory_needed(settings, lr, kernel_known, want_image)
    if free is not None and needed > free:
        raise TooLarge(
            f"A picture of {lr.shape[-1]} x {lr.shape[-2]} pixels needs about {needed / 2**30:.1f} GiB with the "
            f"'{settings.preset_name}' preset, and {free / 2**30:.1f} GiB are free.",
            "Use a smaller part of the photo, or the preset 'fast'.",
        )
