"""The image, once the kernel is known: a denoiser plugged into the reverse diffusion.

Not in the paper, whose image is the U-Net's. Here the noise levels sigma fall once more, with the kernel fixed:

    x_0 <- denoiser(x + noise sigma n, sigma)             what photographs look like
    x   <- argmin_x |A x - LR|^2 + mu |x - x_0|^2         what the photo says

With all of the noise (noise = 1) this is DiffPIR (Zhu et al. 2023), whose image is one of those that the photo allows;
without any it is DPIR (Zhang et al. 2021), whose image is nearer to their mean. As there, each pass sees the image
turned in another way, so that what the denoiser makes of one direction is not made eight times.

Only forward passes, no training. The canvas is (K - s) pixels larger than the result, so nothing is assumed about what
lies beyond the photo's edge: the denoiser fills it in.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from kf_core.denoisers.base import Denoiser, denoise_tiled
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.photo import FARTHEST, Photo
from kf_core.physics.blur import Blur
from kf_core.physics.grid import initial_guess, inner
from kf_core.physics.noise_field import NoiseField
from kf_core.progress import preview
from kf_core.restore.overshoot import without_overshoot
from kf_core.run import Run
from kf_core.settings import FinishSettings

USUAL_AREA = 5.0  # LR pixels: the area of kernels that the weights of the settings are for


@torch.no_grad()
def restore(
    photo: Photo,
    blur: Blur,
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    settings: FinishSettings,
    run: Run,
    prior_weight: float,
    field: NoiseField | None = None,
) -> Tensor:
    """HR image (1, 3, h s, w s) for the whole photo of h x w pixels and its blur, which is on the canvas.

    Args:
        schedule: turns the settings' timesteps into sigmas.
        prior_weight: mu at sigma 0, the weight of the denoiser against the photo; `prior_weight_for` has a choice.
        field: all noise, by step and by place in the picture that the photo may be a tile of; None: drawn by the run.
    """
    field = field or NoiseField.drawn(run.generator)
    run, margin = run.at(settings.precision), blur.margin
    x = initial_guess(photo.pixels, blur.scale, margin)
    timesteps = [max(1, round(settings.start * (1 - i / settings.steps))) for i in range(settings.steps)]
    top, left = (start * blur.scale - margin for start in photo.place)

    for number, timestep in enumerate(timesteps):
        variance = schedule.variance(timestep)
        sigma = math.sqrt(variance)
        noisy = x + settings.noise * sigma * field(number, top, left, *x.shape[-2:]).to(run.device)
        turn = number if settings.turns else 0
        with run.autocast():
            clean = denoise_tiled(denoiser, noisy, sigma, settings.tile, run.monitor, turn)
        x = data_step(clean, photo, blur, data_weight(prior_weight, variance))
        run.monitor.step("finish", number + 1, settings.steps, partial(preview, inner(x, margin), blur.kernel))
    return without_overshoot(inner(x, margin), photo.pixels).clamp(*photo.limits)


def prior_weight_for(
    source: str, noise: float, settings: FinishSettings, doubt: float | None = None, area: float = USUAL_AREA
) -> float:
    """mu for a kernel and a photo.

    Args:
        source: of the kernel: "given", "recovered", "simple" or "same size".
        noise: of the photo, in grey levels.
        doubt: 0..1, how far a recovered kernel is doubted; None: nobody knows. A simple kernel that was preferred to a
            likely one is like it, and as likely.
        area: of the kernel, as `kernel_area` has it. The wider a kernel, the less light goes through each tap, and the
            less a wrong tap costs.
    """
    weights = {"given": settings.prior_weight_known, "same size": settings.prior_weight_same_size}
    if doubt is None:
        weights["simple"], doubt = settings.prior_weight_simple, 0.5
    recovered = settings.prior_weight_recovered ** (1 - doubt) * settings.prior_weight_unsure**doubt
    return weights.get(source, recovered * math.sqrt(USUAL_AREA / area)) + settings.noise_weight * noise**2


def kernel_area(kernel: Tensor, scale: int) -> float:
    """How many LR pixels a kernel (K, K) of sum 1 covers: that of a box is the box's own area.

    >>> import torch
    >>> round(kernel_area(torch.full((8, 8), 1 / 64), scale=4), 2)
    4.0
    """
    return 1 / (scale**2 * float(kernel.square().sum()))


def data_weight(prior_weight: float, variance: float) -> float:
    """mu of the data step at a noise of this variance.

    It falls as the noise, and with it the denoiser's error, rises.
    """
    return prior_weight * 0.01 / (variance + 0.01)


def data_step(clean: Tensor, photo: Photo, blur: Blur, mu: float) -> Tensor:
    """What the denoiser made of the noised image, moved to where it explains the photo.

    Clipped values say nothing: they would ask for a lamp as wide as its blur.
    """
    known = None if photo.clipped is None else 1 - photo.clipped.abs()
    return blur.prox_l2(clean, photo.pixels, mu, known).clamp(-FARTHEST, FARTHEST)
