"""Phase 2: Algorithm 1 of the paper, from top to bottom. Line numbers are those of appendix A.1."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from kf_core.denoisers.patch import PatchDiffusion
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.device import resolve_precision
from kf_core.kernels.models import make_kernel_model
from kf_core.physics.blur import Degradation, initial_guess, inner
from kf_core.physics.kernel import off_centre
from kf_core.progress import Monitor, preview
from kf_core.restore.unet import Refiner
from kf_core.settings import RecoverySettings


@dataclass
class Recovery:
    """What phase 2 leaves: the image (1, 3, H, W) in [-1, 1], the kernel (K, K), the last consistency error (MSE)."""

    image: Tensor
    kernel: Tensor
    consistency: float


def recover(
    lr: Tensor,
    degradation: Degradation,
    prior: PatchDiffusion,
    schedule: NoiseSchedule,
    settings: RecoverySettings,
    generator: Generator,
    monitor: Monitor,
    known_kernel: Tensor | None = None,
) -> Recovery:
    """Recovers HR image and kernel from one LR image (1, 3, h, w) in [-1, 1].

    Args:
        known_kernel: (K, K), used in place of the kernel network where the degradation is known.
        generator: CPU generator of all noise. The networks' initial weights come from torch's global one, which the
            pipeline seeds.

    Raises:
        Cancelled, Diverged.
    """
    device = lr.device
    height, width = degradation.hr_size(*lr.shape[-2:])
    before = Refiner(settings.unet_channels, lr.shape[1], settings.unet_depth).to(device)
    before = before.to(memory_format=torch.channels_last)
    after = copy.deepcopy(before) if settings.separate_unets else before
    kernel_model = make_kernel_model(
        settings.kernel_model,
        degradation.size,
        layers=settings.inr_layers,
        width=settings.inr_width,
        omega=settings.inr_omega,
        extent=settings.inr_extent,
    ).to(device)
    image_weights = [*before.parameters(), *(after.parameters() if settings.separate_unets else ())]
    image_rates = (settings.learning_rate, settings.final_learning_rate)
    kernel_rates = (
        settings.kernel_learning_rate or settings.learning_rate,
        settings.kernel_final_learning_rate or settings.final_learning_rate,
    )
    optimizer = torch.optim.Adam([{"params": image_weights}, {"params": kernel_model.parameters()}], lr=image_rates[0])

    def gaussian() -> Tensor:
        return torch.randn(1, lr.shape[1], height, width, generator=generator).to(lr)

    def consistency_error(image: Tensor, kernel: Tensor) -> Tensor:
        return F.mse_loss(inner(degradation(image, kernel), settings.border), inner(lr, settings.border))

    bf16 = resolve_precision(settings.precision, device) == "bf16"
    margin = degradation.margin if degradation.padding == "canvas" else 0
    clean = initial_guess(lr, degradation)  # line 5: of x_0
    noisy = None  # x_{t+1}, none before the first timestep
    total = settings.first_iterations + settings.iterations * (len(settings.timesteps) - 1)
    done, consistency, denoised, kernel = 0, math.nan, clean, known_kernel
    later = torch.tensor([0], device=device)
    without_prior = settings.method == "dip"  # Table 4's other setup: the U-Net on fixed noise, lines 16 and 22 only
    if without_prior:
        clean = gaussian()

    for number, timestep in enumerate(settings.timesteps):  # line 11
        t = torch.tensor([timestep], device=device)
        epsilon = gaussian()  # line 12: one for the whole timestep
        count = settings.first_iterations if number == 0 else settings.iterations
        for i in range(count):  # line 13
            for group, (first, last) in zip(optimizer.param_groups, (image_rates, kernel_rates), strict=True):
                group["lr"] = last + (first - last) * 0.5 * (1 + math.cos(math.pi * i / count))
            kernel = known_kernel if known_kernel is not None else kernel_model()  # line 14
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                refined = before(clean).to(lr.dtype)  # line 15
                if not without_prior and i % settings.prior_every == 0:
                    with torch.set_grad_enabled(settings.prior_gradient):
                        if noisy is None:
                            current = schedule.add_noise(refined, epsilon, t)
                        else:  # line 17
                            mean, sigma = schedule.posterior(noisy, refined, later, t)
                            current = mean + (sigma * epsilon if settings.posterior_noise == "posterior" else 0)
                        velocity = prior(current, t).to(lr.dtype)  # line 18
                        denoised = schedule.clean_from_velocity(current, velocity, t)  # line 19
                final = refined if without_prior else after(denoised).to(lr.dtype)  # line 20
            error_before = consistency_error(refined, kernel)  # line 16
            error_after = error_before if without_prior else consistency_error(final, kernel)  # line 21
            loss = error_before + error_after + settings.com_weight * off_centre(kernel)  # line 22
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()  # lines 23 and 24
            denoised, done = denoised.detach(), done + 1
            consistency = error_after.detach().item()
            monitor.finite(loss.detach().item())
            monitor.step("recover_kernel", done, total, partial(preview, final, kernel))
        if not without_prior:
            clean, noisy, later = final.detach(), current.detach(), t  # lines 26 to 28 are the next timestep's line 17
    return Recovery(inner(final.detach(), margin), kernel.detach(), consistency)
