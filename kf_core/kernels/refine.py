"""The kernel, polished by expectation maximisation at full resolution once Algorithm 1 has found its shape.

Not in the paper; see docs/design.md. Each round
    E: walks the reverse diffusion with the kernel fixed, from where the last round's image was (as in
       restore/plug_and_play.py, with all of the noise), to an HR image that is likely under the prior and nearly
       explains the photo;
    M: solves for the kernel that best turns this image into the photo: non-negative least squares, where `ridge` stands
       for the variance of the image's own error, without which the kernel would shrink towards a point.

It improves a kernel that is roughly right. From a wrong one it would not find the right one: plain alternation
collapses. Where the kernel was nearly right before, the ridge blurs it; the errors before and after are in part
independent, so that a mean of both (`keep`) is better than either.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from kf_core.denoisers.base import Denoiser, denoise_tiled
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import initial_guess, inner, shifted
from kf_core.physics.kernel import centre
from kf_core.physics.solve import fista
from kf_core.progress import preview
from kf_core.restore.plug_and_play import data_step, data_weight
from kf_core.run import Run
from kf_core.settings import RefineSettings


@torch.no_grad()
def refine_kernel(
    photo: Photo,
    kernel: Tensor,
    scale: int,
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    settings: RefineSettings,
    run: Run,
) -> Tensor:
    """A better kernel (K, K) from a roughly right one and the whole of a photo."""
    run = run.at(settings.precision)
    kernel, _ = centre(kernel.clamp_min(0))
    start = kernel
    margin = UniformBlur(kernel, scale, "canvas").margin
    x = initial_guess(photo.pixels, scale, margin)
    timesteps = rounds_of_timesteps(settings)
    total, done = settings.rounds * settings.steps, 0
    for falling in timesteps:
        blur = UniformBlur(kernel, scale, "canvas")
        for timestep in falling:
            variance = schedule.variance(timestep)
            sigma = math.sqrt(variance)
            noisy = x + sigma * run.noise(x.shape)
            with run.autocast():
                clean = denoise_tiled(denoiser, noisy, sigma, settings.tile, run.monitor)
            x = data_step(clean, photo, blur, data_weight(settings.prior_weight, variance))
            done += 1
            run.monitor.step("refine_kernel", done, total, partial(preview, inner(x, margin), kernel))
        fitted = fit_kernel(x, photo, kernel, scale, settings.ridge, settings.smoothness)
        kernel, shift = centre((1 - settings.damping) * kernel + settings.damping * fitted)
        x = shifted(x, *shift)  # or the next round would start with an image that is not where the kernel says
    return centre((1 - settings.keep) * kernel + settings.keep * start)[0]


def rounds_of_timesteps(settings: RefineSettings) -> list[list[int]]:
    """The timesteps of every round."""
    passes = settings.steps * (settings.rounds if settings.once else 1)
    falling = torch.linspace(settings.start, settings.end, passes).round().long().clamp_min(1).tolist()
    if not settings.once:
        return [falling] * settings.rounds
    return [falling[i : i + settings.steps] for i in range(0, passes, settings.steps)]


def fit_kernel(
    canvas: Tensor, photo: Photo, start: Tensor, scale: int, ridge: float, smoothness: float, iterations: int = 300
) -> Tensor:
    """argmin_{k >= 0} mean |A_k canvas - LR|^2 + ridge |k|^2 + smoothness |grad k|^2, then sum 1, by FISTA.

    The image enters only through the Gram matrix of its K x K windows, so an iteration costs K^4 and no convolution.
    """
    size = start.shape[-1]
    planes = [plane.unfold(0, size, scale).unfold(1, size, scale).reshape(-1, size**2) for plane in canvas[0]]
    windows, seen = torch.cat(planes), torch.cat([plane.reshape(-1) for plane in photo.pixels[0]])
    if photo.clipped is not None:  # a clipped value is not the sum of its window
        sound = photo.clipped[0].reshape(-1) == 0
        windows, seen = windows[sound], seen[sound]
    one = torch.eye(size, device=canvas.device)
    steps = one[1:] - one[:-1]
    rough = torch.kron(steps.T @ steps, one) + torch.kron(one, steps.T @ steps)
    gram = windows.T @ windows / len(seen) + ridge * torch.eye(size**2, device=canvas.device) + smoothness * rough
    right = windows.T @ seen / len(seen)
    steepest = gram.abs().sum(1).max()  # no eigenvalue is larger
    kernel = fista(lambda k: (k - (gram @ k - right) / steepest).clamp_min(0), start.reshape(-1), iterations)
    return (kernel / kernel.sum().clamp_min(1e-8)).reshape(size, size)
