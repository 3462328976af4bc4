"""The image, once the kernel is known: PD as a plug-and-play denoiser (as DiffPIR, Zhu et al. 2023).

Not in the paper, whose image is the U-Net's. Here the reverse diffusion is walked once more with the kernel fixed:

    x_0 <- PD(x_t)                                        what patches look like
    x   <- argmin_x |A x - LR|^2 + mu |x - x_0|^2         what the photo says
    x_s <- x noised again, partly with the noise it had   the next, lower level

Only forward passes, no training. The canvas is (K - s) pixels larger than the result, so nothing is assumed about what
lies beyond the photo's edge: the prior fills it in.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Generator, Tensor

from kf_core.denoisers.patch import RECEPTIVE_FIELD, PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.device import resolve_precision
from kf_core.physics.blur import Degradation, initial_guess, inner
from kf_core.progress import Monitor, preview
from kf_core.settings import FinishSettings, RefineSettings

# mu with a kernel that is not known, whose errors would ring (docs/results.md). A simple one stands where the photo
# says little about its kernel, as real ones do: it is sooner too wide, and the picture then combed at the LR pixels.
PRIOR_WEIGHT = {"recovered": 0.03, "simple": 0.1}
NOISE_WEIGHT = 0.005  # mu for each squared grey level of noise


@torch.no_grad()
def finish(
    lr: Tensor,
    kernel: Tensor,
    scale: int,
    prior: PatchDiffusion,
    schedule: NoiseSchedule,
    settings: FinishSettings,
    generator: Generator,
    monitor: Monitor,
    source: str = "recovered",
    noise_level: float = 0.0,
) -> Tensor:
    """HR image (1, 3, h s, w s) in [-1, 1] for the LR image (1, 3, h, w) and a kernel (K, K).

    Args:
        source: of the kernel: "given", "recovered" or "simple"; a given one is trusted more.
        noise_level: standard deviation of the photo's noise in grey levels; the more, the less the photo is trusted.
    """
    device, degradation = lr.device, Degradation(kernel.shape[-1], scale, "canvas")
    margin = degradation.margin
    x = initial_guess(lr, degradation)
    prior_weight = settings.prior_weight_known if source == "given" else PRIOR_WEIGHT[source]
    prior_weight += NOISE_WEIGHT * noise_level**2
    timesteps = [max(1, round(settings.start * (1 - i / settings.steps))) for i in range(settings.steps)]
    noise = torch.randn(x.shape, generator=generator).to(device)
    for number, timestep in enumerate(timesteps):
        t = torch.tensor([timestep], device=device)
        noisy = schedule.add_noise(x, noise, t)
        clean = denoise(prior, schedule, noisy, t, settings, monitor)
        x = explain(clean, lr, kernel, degradation, data_weight(prior_weight, schedule, timestep))
        kept = schedule.noise_from_clean(noisy, x, t)
        fresh = torch.randn(x.shape, generator=generator).to(device)
        noise = math.sqrt(1 - settings.fresh_noise) * kept + math.sqrt(settings.fresh_noise) * fresh
        monitor.step("finish", number + 1, settings.steps, partial(preview, inner(x, margin), kernel))
    return inner(x, margin)


def data_weight(prior_weight: float, schedule: NoiseSchedule, timestep: int) -> float:
    """mu of the data step at a timestep: it falls as the noise, and with it PD's own error, rises."""
    variance = float(1 / schedule.alpha_bar[timestep] - 1)
    return prior_weight * 0.01 / (variance + 0.01)


def explain(clean: Tensor, lr: Tensor, kernel: Tensor, degradation: Degradation, mu: float) -> Tensor:
    """What PD made of the noised image, moved to where it explains the photo."""
    return degradation.prox(clean, lr, kernel, mu).clamp(-1, 1)


def denoise(
    prior: PatchDiffusion,
    schedule: NoiseSchedule,
    noisy: Tensor,
    t: Tensor,
    settings: FinishSettings | RefineSettings,
    monitor: Monitor,
) -> Tensor:
    """PD's estimate of the clean image, in tiles that overlap by its reach: the same numbers, bounded memory."""
    bf16 = resolve_precision(settings.precision, noisy.device) == "bf16"
    reach, tile = RECEPTIVE_FIELD // 2, settings.tile
    velocity = torch.empty_like(noisy)
    height, width = noisy.shape[-2:]
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            monitor.check()
            y0, x0 = max(0, top - reach), max(0, left - reach)
            part = noisy[:, :, y0 : top + tile + reach, x0 : left + tile + reach]
            with torch.autocast(noisy.device.type, torch.bfloat16, enabled=bf16):
                out = prior(part.contiguous(memory_format=torch.channels_last), t).float()
            rows, columns = min(tile, height - top), min(tile, width - left)
            velocity[:, :, top : top + rows, left : left + columns] = out[
                :, :, top - y0 : top - y0 + rows, left - x0 : left - x0 + columns
            ]
    return schedule.clean_from_velocity(noisy, velocity, t).clamp(-1, 1)
