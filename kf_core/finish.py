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
import torch.nn.functional as F
from torch import Generator, Tensor

from kf_core.degradation import Degradation, initial_guess, inner
from kf_core.networks.patch_diffusion import RECEPTIVE_FIELD, PatchDiffusion
from kf_core.progress import Monitor, preview
from kf_core.schedule import NoiseSchedule
from kf_core.settings import FinishSettings, RefineSettings


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
    certain: bool = False,
) -> Tensor:
    """HR image (1, 3, h s, w s) in [-1, 1] for the LR image (1, 3, h, w) and a kernel (K, K).

    Args:
        certain: the kernel is known, not recovered, so the photo is trusted more.
    """
    device, degradation = lr.device, Degradation(kernel.shape[-1], scale, "canvas")
    data_step = DataStep(lr, kernel, degradation)
    margin = degradation.margin
    x = initial_guess(lr, degradation)
    trust = settings.trust_known if certain else settings.trust_recovered
    walk = [max(1, round(settings.start * (1 - i / settings.steps))) for i in range(settings.steps)]
    noise = torch.randn(x.shape, generator=generator).to(device)
    for number, timestep in enumerate(walk):
        t = torch.tensor([timestep], device=device)
        noisy = schedule.add_noise(x, noise, t)
        x = explain(noisy, t, trust, data_step, prior, schedule, settings)
        kept = schedule.noise_from_clean(noisy, x, t)
        fresh = torch.randn(x.shape, generator=generator).to(device)
        noise = math.sqrt(1 - settings.fresh_noise) * kept + math.sqrt(settings.fresh_noise) * fresh
        monitor.step("sharpening the picture", number + 1, settings.steps, partial(preview, inner(x, margin), kernel))
    return inner(x, margin)


class DataStep:
    """x = argmin |A x - LR|^2 + mu |x - x_0|^2, exactly, on the canvas.

    By the push-through identity x = x_0 + A^T (A A^T + mu)^-1 (LR - A x_0), and on the canvas A A^T is a convolution of
    the LR grid with the kernel's own autocorrelation: conjugate gradients there cost 1/s^2 of the same on HR.
    """

    def __init__(self, lr: Tensor, kernel: Tensor, degradation: Degradation, iterations: int = 30):
        self.lr, self.kernel, self.degradation, self.iterations = lr, kernel, degradation, iterations
        self.normal = degradation.normal_kernel(kernel)[None, None]

    def __call__(self, clean: Tensor, mu: float) -> Tensor:
        residual = self.lr - self.degradation(clean, self.kernel)
        return clean + self.degradation.adjoint(self._solve(residual, mu), self.kernel)

    def _solve(self, right: Tensor, mu: float) -> Tensor:
        """(A A^T + mu)^-1 right by conjugate gradients."""

        def apply(y: Tensor) -> Tensor:
            flat = y.reshape(-1, 1, *y.shape[-2:])
            return F.conv2d(flat, self.normal, padding=self.normal.shape[-1] // 2).reshape(y.shape) + mu * y

        solution, rest = torch.zeros_like(right), right.clone()
        direction, energy = rest.clone(), rest.square().sum()
        start = float(energy)
        for _ in range(self.iterations):
            if float(energy) <= 1e-10 * start:
                break
            image = apply(direction)
            step = energy / (direction * image).sum()
            solution, rest = solution + step * direction, rest - step * image
            energy, before = rest.square().sum(), energy
            direction = rest + energy / before * direction
        return solution


def explain(
    noisy: Tensor,
    t: Tensor,
    trust: float,
    data_step: DataStep,
    prior: PatchDiffusion,
    schedule: NoiseSchedule,
    settings: FinishSettings | RefineSettings,
) -> Tensor:
    """From x_t to the image that PD makes of it, moved to where it explains the photo; mu falls as the noise rises."""
    clean = denoise(prior, schedule, noisy, t, settings)
    variance = float(1 / schedule.alpha_bar[int(t)] - 1)
    return data_step(clean, trust * 0.01 / (variance + 0.01)).clamp(-1, 1)


def denoise(
    prior: PatchDiffusion, schedule: NoiseSchedule, noisy: Tensor, t: Tensor, settings: FinishSettings | RefineSettings
) -> Tensor:
    """PD's estimate of the clean image, in tiles that overlap by its reach: the same numbers, bounded memory."""
    reach, tile = RECEPTIVE_FIELD // 2, settings.tile
    velocity = torch.empty_like(noisy)
    height, width = noisy.shape[-2:]
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            y0, x0 = max(0, top - reach), max(0, left - reach)
            part = noisy[:, :, y0 : top + tile + reach, x0 : left + tile + reach]
            with torch.autocast(noisy.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
                out = prior(part.contiguous(memory_format=torch.channels_last), t).float()
            rows, columns = min(tile, height - top), min(tile, width - left)
            velocity[:, :, top : top + rows, left : left + columns] = out[
                :, :, top - y0 : top - y0 + rows, left - x0 : left - x0 + columns
            ]
    return schedule.clean_from_velocity(noisy, velocity, t).clamp(-1, 1)
