"""Phase 2: Algorithm 1 of the paper, from top to bottom. Line numbers are those of appendix A.1."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kf_core.cost import Cost, crop_pixels
from kf_core.denoisers.diffusion import DiffusionDenoiser, VelocityNetwork
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.device import channels_last
from kf_core.kernels.base import Candidate, Estimate, KernelEstimator
from kf_core.kernels.models import make_kernel_model
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.grid import initial_guess, inner
from kf_core.physics.kernel import check_kernel_size, matching_size, off_centre, rebin_kernel, resample_kernel
from kf_core.progress import preview
from kf_core.restore.unet import Refiner
from kf_core.run import Run
from kf_core.settings import RecoverySettings, Settings

UNET_BYTES, GRADIENT_BYTES = 250, 45  # per HR pixel and channel of the U-Net, of PD with its gradient
SEARCH_BYTES = 160 << 20  # however small the photo
UNET_WORK = 4e-3  # millions of multiply-adds per HR pixel and squared number of channels


class Algorithm1:
    """Algorithm 1 as a KernelEstimator; on a coarser grid than the result's where the settings ask for it.

    Args:
        denoiser: its network and schedule are PD's.
        settings: of the whole run; scale, kernel_size and recovery matter here.
        known_kernel: (K, K) where the degradation is known: then it makes the image only.
        start: finds the kernel that the kernel network begins with; None: with a random one, as the paper.
    """

    def __init__(
        self,
        denoiser: DiffusionDenoiser,
        settings: Settings,
        known_kernel: Tensor | None = None,
        start: KernelEstimator | None = None,
    ):
        self.denoiser, self.settings, self.known_kernel, self.start = denoiser, settings, known_kernel, start
        self.scale = settings.scale if known_kernel is not None else settings.search_scale

    def __call__(self, photo: Photo, run: Run) -> Estimate:
        settings, known, scale = self.settings, self.known_kernel, self.scale
        part = photo.pixels if known is not None else photo.part.pixels
        assert settings.kernel_size is not None, "the pipeline fills it in"
        size = matching_size(settings.kernel_size, settings.scale, scale)
        denoiser, start = self.denoiser, None
        others: tuple[Candidate, ...] = ()
        if self.start is not None:
            guess = self.start(photo, run).kernel
            start, others = rebin_kernel(guess, settings.scale, size, scale), (Candidate(guess),)
        found = recover(part, size, scale, denoiser.network, denoiser.schedule, settings.recovery, run, known, start)
        kernel = found.kernel
        if scale != settings.scale:
            kernel = resample_kernel(kernel, scale, settings.kernel_size, settings.scale)
        whole = scale == settings.scale and part.shape == photo.pixels.shape
        source = "recovered" if known is None else "given"
        return Estimate(kernel, source, found.image if whole else None, candidates=others)

    def cost(self, height: int, width: int) -> Cost:
        recovery = self.settings.recovery
        side = self.settings.kernel_crop if self.known_kernel is None else 0
        walked = crop_pixels(height, width, side) * self.scale**2
        network = self.denoiser.network
        count = recovery.first_iterations + recovery.iterations * (len(recovery.timesteps) - 1)
        denoising = (3 if recovery.prior_gradient else 1) * network.work / recovery.prior_every
        work = count * walked * (UNET_WORK * recovery.unet_channels**2 + denoising)
        with_gradient = GRADIENT_BYTES * network.config["channels"] if recovery.prior_gradient else 0
        return Cost(work, SEARCH_BYTES + (UNET_BYTES * recovery.unet_channels + with_gradient) * walked)


@dataclass
class Recovery:
    """What phase 2 leaves: the image (1, 3, H, W) in [-1, 1], the kernel (K, K), the last consistency error (MSE)."""

    image: Tensor
    kernel: Tensor
    consistency: float


def recover(
    lr: Tensor,
    kernel_size: int,
    scale: int,
    prior: VelocityNetwork,
    schedule: NoiseSchedule,
    settings: RecoverySettings,
    run: Run,
    known_kernel: Tensor | None = None,
    start: Tensor | None = None,
) -> Recovery:
    """Recovers HR image and kernel from one LR image (1, 3, h, w) in [-1, 1].

    Args:
        kernel_size: K.
        known_kernel: (K, K), used in place of the kernel network where the degradation is known.
        run: its generator makes all noise. The networks' initial weights come from torch's global one, which the
            pipeline seeds.
        start: (K, K), what the kernel network is fitted to before it begins; None: it begins at random.

    Raises:
        Cancelled, Diverged.
    """
    run = run.at(settings.precision)
    size = check_kernel_size(kernel_size, scale)
    shape = UniformBlur(torch.zeros(size, size), scale, settings.padding)  # for its sizes
    height, width = shape.hr_size(*lr.shape[-2:])
    before = channels_last(Refiner(settings.unet_channels, lr.shape[1], settings.unet_depth).to(run.device))
    after = copy.deepcopy(before) if settings.separate_unets else before
    kernel_model = make_kernel_model(
        settings.kernel_model,
        size,
        layers=settings.inr_layers,
        width=settings.inr_width,
        omega=settings.inr_omega,
        extent=settings.inr_extent,
    ).to(run.device)
    if start is not None:
        fit_to(kernel_model, start, run)
    image_weights = [*before.parameters(), *(after.parameters() if settings.separate_unets else ())]
    image_rates = (settings.learning_rate, settings.final_learning_rate)
    kernel_rates = (
        settings.kernel_learning_rate or settings.learning_rate,
        settings.kernel_final_learning_rate or settings.final_learning_rate,
    )
    weights: list[dict[str, Any]] = [{"params": image_weights}, {"params": kernel_model.parameters()}]
    optimizer = torch.optim.Adam(weights, lr=image_rates[0])

    def gaussian() -> Tensor:
        return run.noise((1, lr.shape[1], height, width))

    def consistency_error(image: Tensor, kernel: Tensor) -> Tensor:
        blur = UniformBlur(kernel, scale, settings.padding)
        return F.mse_loss(inner(blur.A(image), settings.border), inner(lr, settings.border))

    margin = shape.margin if settings.padding == "canvas" else 0
    clean = initial_guess(lr, scale, margin)  # line 5: of x_0
    noisy = None  # x_{t+1}, none before the first timestep
    total = settings.first_iterations + settings.iterations * (len(settings.timesteps) - 1)
    done, consistency, denoised, kernel = 0, math.nan, clean, known_kernel
    later = torch.tensor([0], device=run.device)
    without_prior = settings.method == "dip"  # Table 4's other setup: the U-Net on fixed noise, lines 16 and 22 only
    if without_prior:
        clean = gaussian()

    for number, timestep in enumerate(settings.timesteps):  # line 11
        t = torch.tensor([timestep], device=run.device)
        epsilon = gaussian()  # line 12: one for the whole timestep
        count = settings.first_iterations if number == 0 else settings.iterations
        for i in range(count):  # line 13
            for group, (first, last) in zip(optimizer.param_groups, (image_rates, kernel_rates), strict=True):
                group["lr"] = last + (first - last) * 0.5 * (1 + math.cos(math.pi * i / count))
            kernel = known_kernel if known_kernel is not None else kernel_model()  # line 14
            with run.autocast():
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
            run.monitor.finite(loss.detach().item())
            run.monitor.step("recover_kernel", done, total, partial(preview, final, kernel))
        if not without_prior:
            clean, noisy, later = final.detach(), current.detach(), t  # lines 26 to 28 are the next timestep's line 17
    assert kernel is not None, "there is at least one timestep"
    return Recovery(inner(final.detach(), margin), kernel.detach(), consistency)


def fit_to(kernel_model: nn.Module, kernel: Tensor, run: Run, steps: int = 300) -> None:
    """Brings a kernel network near a kernel (K, K). Raises Cancelled."""
    optimizer = torch.optim.Adam(kernel_model.parameters(), lr=1e-4)
    for _ in range(steps):
        run.monitor.check()
        loss = F.mse_loss(kernel_model() / kernel.max(), kernel / kernel.max())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
