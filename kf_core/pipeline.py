"""super_resolve: checks the photo, makes the list of stages, runs it, and assembles the result."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kf_core import device as devices
from kf_core.checkpoints.load import load_kernel_network, load_prior
from kf_core.checks import check_memory, check_noise, check_schedule, smaller
from kf_core.denoisers.adapt import Prior, fresh_prior
from kf_core.denoisers.base import Denoiser
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.errors import BadKernel, BadSetting, OutOfMemory, is_out_of_memory
from kf_core.kernel_grid import KernelGrid
from kf_core.kernels.algorithm1 import Algorithm1
from kf_core.kernels.base import KernelEstimator
from kf_core.kernels.given import GivenKernel, given_kernel
from kf_core.kernels.learned import LearnedKernel
from kf_core.photo import Photo
from kf_core.physics.kernel import check_kernel_size, default_kernel_size
from kf_core.pixels import as_pixels
from kf_core.progress import Monitor, Progress
from kf_core.regions import MapKernels
from kf_core.report import make_report
from kf_core.result import SuperResolution
from kf_core.run import Run
from kf_core.same_size import FindSameSizeKernel, check_same_size
from kf_core.settings import Settings
from kf_core.stages import (
    EstimateKernel,
    LearnPatches,
    RefineKernel,
    RestoreImage,
    TrustImage,
    UndoSharpening,
    WeighKernel,
)
from kf_core.state import Stage, State

FETCHING = 0.02  # share of a run's progress that fetching a prior takes


def super_resolve(
    image: np.ndarray,
    settings: Settings | None = None,
    *,
    kernel: np.ndarray | None = None,
    prior: Prior | None = None,
    estimator: KernelEstimator | None = None,
    denoiser: Denoiser | None = None,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    unfinished: Path | None = None,
) -> SuperResolution:
    """Recovers the large image and the kernel that shrank it from one photo.

    The same photo, settings and seed give the same result on the same computer. The preset "paper" is the method of
    arXiv 2503.21907: PD learns the photo's patches (phase 1), and Algorithm 1 finds image and kernel (phase 2).

    Args:
        image: (H, W) grey or (H, W, 3) RGB, at least 32 x 32, gamma-encoded as in a file: uint8, uint16, or float, of
            which 0 is usually black and 1 white; values beyond are kept. A Pillow image in mode L or RGB will do.
        settings: `Settings.preset("fast")` if None.
        kernel: (K, K), the blur where it is known; then only the image is recovered. K is even where the scale is, else
            odd, and counts pixels of the large image. In the orientation of a cross-correlation; scaled to sum 1.
        prior: what load_prior returned, so that a server loads it once; None: settings.patches.prior is loaded.
        estimator: what finds the kernel, in place of the one that the settings name.
        denoiser: what takes noise off images in refinement and restoration, in place of the prior.
        progress: called after every iteration, from this thread.
        should_stop: asked after every iteration and every tile; True ends the run with Cancelled.
        unfinished: a folder for the result of a photo that is made in tiles (see settings.memory), which then is a file
            mapped into memory. The same call goes on with what an earlier one left there. Delete it when the result is
            written: kf_core.unfinished.forget.

    Raises:
        BadInput: the photo, the kernel, a setting, the prior or the folder cannot be used; its subclass says which.
        OutOfMemory: memory ran out during the work. What cannot fit is refused before it, as TooLarge, a BadInput.
        Diverged: the computation left the finite numbers.
        Cancelled: should_stop asked for it.
        Unavailable: the prior has to be fetched from the Hub and cannot be, now.

    >>> import kf_core, numpy as np
    >>> photo = np.zeros((32, 32), np.uint8)
    >>> kernel = np.full((8, 8), 1 / 64)
    >>> settings = kf_core.Settings.preset("fast", scale=2).with_overrides(["finish.steps=1"])
    >>> kf_core.super_resolve(photo, settings, kernel=kernel).image.shape
    (64, 64)
    """
    monitor = Monitor(progress, should_stop)
    settings = settings or Settings.preset("fast")
    return _run(image, settings, kernel, prior, estimator, denoiser, monitor, True, unfinished)


def recover_kernel(
    image: np.ndarray,
    settings: Settings | None = None,
    *,
    prior: Prior | None = None,
    estimator: KernelEstimator | None = None,
    denoiser: Denoiser | None = None,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SuperResolution:
    """As super_resolve, but stops when the kernel is known; the image of the result is None.

    Takes and raises what super_resolve does. In seconds with the preset "fast".

    >>> import kf_core, numpy as np
    >>> photo = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    >>> short = ["recovery.timesteps=100", "recovery.first_iterations=1", "refine.rounds=0", "doubt=False"]
    >>> settings = kf_core.Settings.preset("fast", scale=2).with_overrides(short)
    >>> kf_core.recover_kernel(photo, settings).kernel.shape
    (12, 12)
    """
    monitor = Monitor(progress, should_stop)
    return _run(image, settings or Settings.preset("fast"), None, prior, estimator, denoiser, monitor, False)


def _run(
    image: np.ndarray,
    settings: Settings,
    known: np.ndarray | None,
    prior: Prior | None,
    estimator: KernelEstimator | None,
    denoiser: Denoiser | None,
    monitor: Monitor,
    want_image: bool,
    unfinished: Path | None = None,
) -> SuperResolution:
    settings = settings.checked()
    if known is not None and estimator is not None:
        raise BadKernel("A kernel is given, and an estimator to find one.", "Give one of the two.")
    kernel = None if known is None else given_kernel(known, settings.scale)
    if kernel is not None and settings.kernel_size not in (None, len(kernel)):
        raise BadSetting(
            f"The kernel has {len(kernel)} taps per side, and the setting kernel_size asks for {settings.kernel_size}.",
            "Leave the setting out: a given kernel has its own size.",
        )
    if kernel is not None and settings.varying.regions > 1:
        raise BadSetting(
            "A kernel is given, and kernels that vary over the photo are asked for.",
            "Leave out the kernel, or the setting varying.regions.",
        )
    if settings.scale == 1:
        check_same_size(settings, kernel is None)
    size = settings.kernel_size if kernel is None else len(kernel)
    size = default_kernel_size(settings.scale) if size is None else size
    settings = replace(settings, kernel_size=check_kernel_size(size, settings.scale))
    device = devices.choose_device(settings.device)
    pixels = as_pixels(image)
    whole = Photo.from_array(pixels, device, settings.stretch)
    kernel = None if kernel is None else kernel.to(device)
    run = Run(device, torch.Generator().manual_seed(settings.seed), monitor)
    try:
        with torch.random.fork_rng():
            photo = whole.cropped(settings.kernel_crop)
            monitor.limits = photo.limits
            stages, about = make_stages(
                photo, settings, kernel, prior, estimator, denoiser, run, want_image, unfinished
            )
            state = State(photo, about=about)
            for stage in stages:
                state = stage(state, run)
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise OutOfMemory("The computer ran out of memory.", smaller(settings)) from error
        raise
    result = state.result
    if state.image is not None and want_image:
        result = photo.to_array(state.image)
    report = make_report(state, settings, run, want_image)
    return SuperResolution(result, state.kernel.cpu().numpy().astype(np.float32), report, KernelGrid.of(state))


def make_stages(
    photo: Photo,
    settings: Settings,
    kernel: Tensor | None,
    prior: Prior | None,
    estimator: KernelEstimator | None,
    denoiser: Denoiser | None,
    run: Run,
    want_image: bool,
    unfinished: Path | None = None,
) -> tuple[list[Stage], Mapping[str, Mapping[str, Any]]]:
    """The stages of a run, and what the report says of its networks. The one place that decides what runs.

    Tells the monitor their labels and shares of the progress. Raises TooLarge when they need more memory than is free,
    before any of them begins.
    """
    schedule = NoiseSchedule(settings.diffusion.schedule, settings.diffusion.steps, run.device)
    about: dict[str, Mapping[str, Any]] = {}
    learned = None
    same_size = settings.scale == 1 and kernel is None and estimator is None
    if kernel is None and estimator is None and settings.estimator != "algorithm1":
        kernel_network, about["kernel_network"] = load_kernel_network(settings.kernel_network, run.device)
        learned = LearnedKernel(kernel_network, settings)
        estimator = learned if settings.estimator == "learned" else None
    walks = (kernel is None and estimator is None) or (
        kernel is not None and settings.finish.method == "none" and want_image
    )
    needs_patches = walks or denoiser is None
    if needs_patches and prior is None and settings.patches.prior != "none":
        run.monitor.labels = {"fetch_prior": "fetching the prior"}
        run.monitor.plan = {"fetch_prior": FETCHING, "rest": 1 - FETCHING}
        prior = load_prior(settings.patches.prior, run.device, run.monitor)
    torch.manual_seed(settings.seed)  # only now: the same weights whether the prior was built just now or long ago
    stages: list[Stage] = undo_sharpening(settings, kernel, learned, run)
    about["patch_prior"] = {"prior": "none"}
    if needs_patches:
        check_schedule(prior, settings.diffusion)
        network, about_prior = on_device(prior, run.device) if prior else fresh_prior(settings.patches, run.device)
        about["patch_prior"] = about_prior
        patches = DiffusionDenoiser(network, schedule)
        if settings.patches.steps:
            stages.append(LearnPatches(patches, about_prior, settings))
        if walks:
            estimator = Algorithm1(patches, settings, kernel, learned)
        denoiser = denoiser or patches
    assert denoiser is not None
    if same_size:
        assert learned is not None
        stages.append(FindSameSizeKernel(learned.network, settings))
    else:
        if estimator is None:
            assert kernel is not None
            estimator = GivenKernel(kernel)
        stages.append(EstimateKernel(estimator))
    check_noise(denoiser, settings, walks)
    remade = settings.finish.method == "plug_and_play" or not walks
    if kernel is None and not same_size:
        if settings.refine.rounds:
            stages.append(RefineKernel(denoiser, schedule, settings))
        if settings.doubt:
            stages.append(WeighKernel(settings))
        if settings.varying.regions > 1:
            stages.append(map_kernels(stages, learned, settings, run))
        same_grid = photo.crop == photo.whole and settings.search_scale == settings.scale
        remade |= bool(settings.refine.rounds) or settings.doubt or not same_grid
    if want_image and remade:
        stages.append(RestoreImage(denoiser, schedule, settings, unfinished))
        if same_size or (kernel is None and settings.doubt):
            stages.append(TrustImage())

    costs = [stage.cost(*photo.size) for stage in stages]
    check_memory(costs, photo, settings, run.device)
    work = {stage.name: cost.work for stage, cost in zip(stages, costs, strict=True)}
    if "fetch_prior" in run.monitor.seconds:
        work = {"fetch_prior": FETCHING * sum(work.values()), **work}
    run.monitor.labels, run.monitor.plan = {stage.name: stage.label for stage in stages}, work
    return stages, about


def undo_sharpening(settings: Settings, kernel: Tensor | None, learned: LearnedKernel | None, run: Run) -> list[Stage]:
    """The first stage, or none. A given kernel with negative taps already says what sharpened the photo."""
    if settings.sharpening == 0 or (kernel is not None and bool((kernel < 0).any())):
        return []
    if settings.sharpening is None and learned is None:
        learned = LearnedKernel(load_kernel_network(settings.kernel_network, run.device)[0], settings)
    return [UndoSharpening(None if settings.sharpening else learned, settings)]


def map_kernels(stages: list[Stage], learned: LearnedKernel | None, settings: Settings, run: Run) -> MapKernels:
    """The stage that compares the kernels of regions, after those stages."""
    if learned is None:
        with torch.random.fork_rng():  # the other networks begin as they would without
            learned = LearnedKernel(load_kernel_network(settings.kernel_network, run.device)[0], settings)
    refine = next((stage for stage in stages if isinstance(stage, RefineKernel)), None)
    return MapKernels(learned, refine, settings)


def on_device(prior: Prior, device: torch.device) -> Prior:
    """The prior on that device; the caller's own stays where it is."""
    if next(prior.network.parameters()).device == device:
        return prior
    return Prior(copy.deepcopy(prior.network).to(device), prior.about)
