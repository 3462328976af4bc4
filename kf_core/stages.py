"""The stages of a run. The list that pipeline.py makes of them is what runs, its progress and its memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kf_core.cost import Cost, crop_pixels
from kf_core.denoisers.adapt import Prior, learn_photo
from kf_core.denoisers.base import Denoiser
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.errors import Diverged
from kf_core.kernels.base import Candidate, Estimate, KernelEstimator
from kf_core.kernels.refine import refine_kernel
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.noise_field import NoiseField
from kf_core.physics.varying import VaryingBlur
from kf_core.restore.plug_and_play import kernel_area, prior_weight_for, restore
from kf_core.run import Run
from kf_core.same_size import convolved, window
from kf_core.settings import FinishSettings, Settings
from kf_core.state import State
from kf_core.tiled import OVERLAP, RESTORE_BYTES, fits_at_once, in_tiles, tile_side
from kf_core.trust.choose import choose_kernel
from kf_core.trust.confidence import doubt, is_doubted, mix_with_bicubic, residual, share_in
from kf_core.trust.drawing import choose_for_drawing
from kf_core.trust.fitted import FITTED
from kf_core.trust.looks import looks_drawn
from kf_core.trust.noise import noise_level
from kf_core.trust.sharpness import SHARES, sharpness
from kf_core.version import __version__

DATA_WORK = 0.08  # millions of multiply-adds per LR pixel, of a data step
VARYING_WORK, VARYING_BYTES = 8, 100  # with a map of kernels: times as many; bytes more per HR pixel than without
DENOISER_WORK = 0.41  # millions of multiply-adds per pixel, where nothing is known: of PD with 64 channels
WEIGHING_WORK = 20.0  # the same per LR pixel of the crop


class LearnPatches:
    """Phase 1: PD learns the patches of the photo; the denoiser's network is exchanged for the one that has."""

    name, label = "learn_patches", "learning patches"

    def __init__(self, denoiser: DiffusionDenoiser, about: Mapping[str, Any], settings: Settings):
        self.denoiser, self.about, self.patches = denoiser, about, settings.patches

    def cost(self, height: int, width: int) -> Cost:
        pixels = self.patches.steps * self.patches.batch * self.patches.crop**2
        return Cost(3 * work_per_pixel(self.denoiser) * pixels)

    def __call__(self, state: State, run: Run) -> State:
        prior = Prior(self.denoiser.network, dict(self.about))
        learned = learn_photo(state.photo.pixels, prior, self.denoiser.schedule, self.patches, run)
        self.denoiser.network = learned.network
        return replace(state, about={**state.about, "patch_prior": learned.about})


class UndoSharpening:
    """A camera's sharpening is undone in the photo, by the share that the settings name or by what it shows.

    Args:
        estimator: reads a kernel from one look; None: the settings name a share.
    """

    name, label = "undo_sharpening", "looking for sharpening"

    def __init__(self, estimator: KernelEstimator | None, settings: Settings):
        self.estimator, self.settings = estimator, settings

    def cost(self, height: int, width: int) -> Cost:
        if self.estimator is None:
            return Cost()
        return Cost(len(SHARES) * WEIGHING_WORK / 10 * crop_pixels(height, width, FITTED.noise_crop))

    def __call__(self, state: State, run: Run) -> State:
        share = self.settings.sharpening
        if share is None:
            assert self.estimator is not None
            share = sharpness(state.photo, self.estimator, self.settings.scale, run)
        return replace(state, photo=state.photo.unsharpened(share))


class EstimateKernel:
    """Any KernelEstimator, on the photo's most telling part."""

    name, label = "recover_kernel", "recovering the kernel"

    def __init__(self, estimator: KernelEstimator):
        self.estimator = estimator

    def cost(self, height: int, width: int) -> Cost:
        return self.estimator.cost(height, width)

    def __call__(self, state: State, run: Run) -> State:
        run.monitor.region = state.photo.in_the_array(state.photo.crop)
        estimate = finite(self.estimator(state.photo, run))
        estimate = replace(estimate, sharpening=state.photo.sharpening)
        return replace(state, estimate=estimate, image=estimate.image)


class RefineKernel:
    """Expectation maximisation on the kernel; the estimator's image goes with the old one."""

    name, label = "refine_kernel", "refining the kernel"

    def __init__(self, denoiser: Denoiser, schedule: NoiseSchedule, settings: Settings):
        self.denoiser, self.schedule, self.settings = denoiser, schedule, settings

    def cost(self, height: int, width: int) -> Cost:
        settings, refine = self.settings, self.settings.refine
        crop = crop_pixels(height, width, settings.kernel_crop)
        hr = crop * settings.scale**2
        windows = 3 * crop * (settings.kernel_size or 0) ** 2 * 4  # the matrix of the kernel fit, float32
        work = refine.rounds * refine.steps * pass_work(self.denoiser, hr, refine.tile)
        return Cost(work, 2 * windows + RESTORE_BYTES * hr)

    def __call__(self, state: State, run: Run) -> State:
        run.monitor.region = state.photo.in_the_array(state.photo.crop)
        kernel = self.refined(state.photo.part, state.kernel, run)
        assert state.estimate is not None
        others = state.estimate.candidates
        if not self.settings.refine.keep:  # else the kernel before is a part of the new one
            others = (Candidate(state.kernel), *others)
        estimate = replace(state.estimate, kernel=kernel, image=None, candidates=others)
        return replace(state, estimate=finite(estimate), image=None)

    def refined(self, photo: Photo, kernel: Tensor, run: Run) -> Tensor:
        """The kernel (K, K), refined on the whole of a photo."""
        settings = self.settings
        return refine_kernel(photo, kernel, settings.scale, self.denoiser, self.schedule, settings.refine, run)


class WeighKernel:
    """The recovered kernel or a simple one, as the photo's spectrum or its even colours decide; and its noise.

    An estimate with evidence has been weighed before, by more than this photo.
    """

    name, label = "weigh_kernel", "weighing the kernel"

    def __init__(self, settings: Settings):
        self.settings = settings

    def cost(self, height: int, width: int) -> Cost:
        return Cost(WEIGHING_WORK * crop_pixels(height, width, self.settings.kernel_crop))

    def __call__(self, state: State, run: Run) -> State:
        run.monitor.region = state.photo.in_the_array(state.photo.crop)
        assert state.estimate is not None
        part, scale = state.photo.part, self.settings.scale
        estimate = state.estimate
        if estimate.evidence is None:
            choose = choose_for_drawing if looks_drawn(part) else choose_kernel
            estimate = choose(part, estimate, scale, run.monitor)
        assert estimate.evidence is not None
        photo = replace(state.photo, noise=estimate.evidence.noise)
        return replace(state, photo=photo, estimate=finite(estimate), image=None)


class RestoreImage:
    """The image from photo and kernel, with the denoiser plugged in; in tiles where memory asks for it.

    Args:
        unfinished: a folder in which the tiles of a large photo are kept until all are there.
    """

    name, label = "finish", "sharpening the picture"

    def __init__(self, denoiser: Denoiser, schedule: NoiseSchedule, settings: Settings, unfinished: Path | None = None):
        self.denoiser, self.schedule, self.settings, self.unfinished = denoiser, schedule, settings, unfinished

    def cost(self, height: int, width: int) -> Cost:
        scale, hr = self.settings.scale, height * width * self.settings.scale**2
        finish, varies = self.settings.finish, self.settings.varying.regions > 1
        data_work = DATA_WORK * (VARYING_WORK if varies else 1)
        work = finish.steps * (pass_work(self.denoiser, hr, finish.tile) + data_work * height * width)
        if fits_at_once(height, width, scale, self.settings.memory):
            return Cost(work, (RESTORE_BYTES + VARYING_BYTES * varies) * hr)
        side = tile_side(scale, self.settings.memory)
        outer = side + 2 * OVERLAP
        result = 0 if self.unfinished else 3 * hr  # bytes, of a photo of 8 bits
        return Cost(work * (outer / side) ** 2, RESTORE_BYTES * (outer * scale) ** 2 + result)

    def __call__(self, state: State, run: Run) -> State:
        photo, scale, memory = state.photo, self.settings.scale, self.settings.memory
        if state.kernels is not None:
            memory *= RESTORE_BYTES / (RESTORE_BYTES + VARYING_BYTES)
        if photo.noise is None:
            photo = replace(photo, noise=noise_level(photo, state.kernel, scale, run.monitor))
        finish = self.settings.finish
        if looks_drawn(photo.part):
            finish = replace(finish, noise=1.0)
        make = partial(self.at_once, field=NoiseField.drawn(run.generator), finish=finish)
        state = replace(state, photo=photo)
        if fits_at_once(*photo.size, scale, memory):
            run.monitor.region = photo.in_the_array()
            return make(state, run)
        with_doubt = state.estimate is not None and is_doubted(state.estimate, self.settings.doubt)
        side, job = tile_side(scale, memory), fingerprint(state, self.settings) if self.unfinished else ""
        return in_tiles(make, state, run, scale, side, with_doubt, self.unfinished, job)

    def at_once(self, state: State, run: Run, field: NoiseField, finish: FinishSettings) -> State:
        """The image of a photo, or of a tile of one, with its noise from `field`."""
        lr, scale, kernel, photo = state.photo.pixels, self.settings.scale, state.kernel, state.photo
        assert state.estimate is not None and photo.noise is not None
        mean = state.estimate.mean
        source = "same size" if mean else state.estimate.source
        area = kernel_area(kernel, scale)
        weight = prior_weight_for(source, photo.noise, finish, doubt(state.estimate), area)
        if mean:
            kernel = convolved(kernel, window(mean))
        varying = None
        if state.kernels is not None:
            varying = VaryingBlur(state.kernels, scale, kernel, (*photo.place, *photo.size))
        blur = varying or UniformBlur(kernel, scale, "canvas")
        image = restore(photo, blur, self.denoiser, self.schedule, finish, run, weight, field)
        if not bool(torch.isfinite(image).all()):
            raise Diverged()
        return replace(state, image=image, residual=residual(lr, image, kernel, scale, varying))


class TrustImage:
    """The image drawn back towards the bicubic enlargement, at scale 1 the photo, as far as the kernel is doubted."""

    name, label = "trust_image", "weighing the picture"

    def cost(self, height: int, width: int) -> Cost:
        return Cost()

    def __call__(self, state: State, run: Run) -> State:
        if state.result is not None:  # tiles are weighed one by one
            return state
        assert state.estimate is not None and state.image is not None and state.residual is not None
        share = share_in(state.estimate, state.residual)
        return replace(state, image=mix_with_bicubic(state.photo, state.image, share), share=share)


def fingerprint(state: State, settings: Settings) -> str:
    """Of all that the image depends on: photo, kernel, settings, networks and version."""
    told = json.dumps([settings.as_dict(), {name: dict(about) for name, about in state.about.items()}, __version__])
    digest = hashlib.sha256(told.encode())
    kernels = () if state.kernels is None else (state.kernels.kernels.cpu().numpy(),)
    for values in (state.kernel.cpu().numpy(), state.photo.source, *kernels):
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def pass_work(denoiser: Denoiser, pixels: int, tile: int) -> float:
    """Millions of multiply-adds of one pass over so many pixels, in tiles that overlap by the denoiser's reach."""
    reach = denoiser.reach if pixels > tile**2 else 0
    return work_per_pixel(denoiser) * pixels * (1 + 2 * (reach or 0) / tile) ** 2


def work_per_pixel(denoiser: Denoiser) -> float:
    """Millions of multiply-adds of one pass, per pixel."""
    return denoiser.network.work if isinstance(denoiser, DiffusionDenoiser) else DENOISER_WORK


def finite(estimate: Estimate) -> Estimate:
    """Itself. Raises Diverged for a kernel or an image that is not made of finite numbers."""
    for tensor in (estimate.kernel, estimate.image):
        if tensor is not None and not bool(torch.isfinite(tensor).all()):
            raise Diverged()
    return estimate
