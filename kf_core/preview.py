"""What a run would make of one spot of a photo, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from kf_core import device as devices
from kf_core.checkpoints.load import load_prior
from kf_core.checks import smaller
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.errors import BadInput, OutOfMemory, TooLarge, is_out_of_memory
from kf_core.estimate import prior_network, speed, stages_of
from kf_core.kernels.base import Estimate
from kf_core.kernels.given import given_kernel
from kf_core.photo import Photo
from kf_core.physics.grid import Box
from kf_core.physics.kernel import check_kernel_size, default_kernel_size
from kf_core.pipeline import make_stages
from kf_core.pixels import as_pixels, bicubic_enlargement
from kf_core.progress import Monitor, Progress
from kf_core.report import make_report
from kf_core.run import Run
from kf_core.same_size import as_seen
from kf_core.settings import SMALLEST, Settings, VaryingSettings
from kf_core.stages import RestoreImage, TrustImage
from kf_core.state import State
from kf_core.trust.confidence import is_doubted
from kf_core.trust.noise import noise_level

SECONDS = 10.0  # a search for the kernel that takes longer is left out
CROP = 64  # LR pixels per side of the part that kernels are compared on
CONTEXT = 6  # LR pixels around the spot that are restored with it: the width of the usual kernel
LEAST_STEPS = 8  # of the restoration, however slow the computer; more where they take seconds only
QUICK_ROUNDS = 4  # of refining a kernel
LABELS = {"weigh_kernel": "looking for a simple kernel", "finish": "sharpening the spot"}


@dataclass(frozen=True)
class Preview:
    """One spot of the result.

    Attributes:
        image: (h s, w s) or (h s, w s, 3), the spot as a run would make it, of the dtype given.
        plain: the same spot, enlarged bicubically.
        kernel: (K, K) float32 with sum 1.
        approximate: whether the kernel was found in a quicker way than the settings ask for.
        report: as that of a run, on the spot and its surroundings.
        found: what to hand to the next preview of the same photo with the same settings.
    """

    image: np.ndarray
    plain: np.ndarray
    kernel: np.ndarray
    approximate: bool
    report: dict[str, Any]
    found: tuple[Estimate, bool]


def preview(
    image: np.ndarray,
    spot: Box,
    settings: Settings | None = None,
    *,
    kernel: np.ndarray | None = None,
    found: tuple[Estimate, bool] | None = None,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Preview:
    """The result on one spot, without making the rest of it.

    A given kernel is used as it is. Without one, the kernel is sought as in the run where that takes at most ten
    seconds. Otherwise the learned kernel of a part of the photo stands in for it, and the run itself may do better. The
    restoration has fewer steps on a slow computer.

    Args:
        image: the photo, or a part of it around the spot, as super_resolve takes it.
        spot: (top, left, height, width) in pixels of the photo.
        kernel: as super_resolve takes it.
        found: `Preview.found` of another spot of this photo, so that its kernel is not sought again.
        progress, should_stop: as super_resolve takes them.

    Raises what super_resolve raises, and BadInput for a spot that is not in the photo.

    >>> photo = np.random.default_rng(0).integers(0, 256, (48, 40), dtype=np.uint8)
    >>> settings = Settings.preset("fast", scale=2, device="cpu").with_overrides(["finish.steps=1"])
    >>> preview(photo, (8, 8, 16, 12), settings, kernel=np.full((8, 8), 1 / 64)).image.shape
    (32, 24)
    """
    settings = (settings or Settings.preset("fast")).checked()
    pixels, device = as_pixels(image), devices.choose_device(settings.device)
    whole = Photo.from_array(pixels, device, settings.stretch)
    wider = surroundings(spot, *whole.outer_size)
    around = surroundings(without_its_frame(spot, whole), *whole.size)
    known = None if kernel is None else given_kernel(kernel, settings.scale).to(device)
    size = settings.kernel_size or default_kernel_size(settings.scale) if known is None else len(known)
    settings = replace(
        settings,
        kernel_size=check_kernel_size(size, settings.scale),
        finish=replace(settings.finish, steps=affordable_steps(around, settings, device)),
    )
    monitor = Monitor(progress, should_stop, limits=whole.limits)
    run = Run(device, torch.Generator().manual_seed(settings.seed), monitor)
    try:
        with torch.random.fork_rng():
            part = whole.cropped(CROP).part
            if known is not None:
                found = Estimate(known, "given"), False
                part = replace(part, noise=noise_level(part, known, settings.scale, monitor))
            elif found is None:
                found = find_kernel(whole, settings, run)
            monitor.labels, monitor.plan = LABELS, {}
            whole = whole.unsharpened(found[0].sharpening)
            noise = part.noise if found[0].evidence is None else found[0].evidence.noise
            if found[0].mean:
                whole = as_seen(whole, found[0], monitor)
                noise = whole.noise
            part = replace(whole, crop=around, noise=noise).part
            state = restored(part, found[0], settings, run)
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise OutOfMemory("The computer ran out of memory.", smaller(settings)) from error
        raise
    assert state.image is not None
    made = part.to_array(state.image)
    enlarged = inside(plain(pixels, wider, settings.scale), spot, wider, settings.scale)
    return Preview(
        laid_over(enlarged, made, spot, whole.in_the_array(around), settings.scale),
        enlarged,
        state.kernel.cpu().numpy().astype(np.float32),
        found[1],
        make_report(state, settings, run, want_image=True),
        found,
    )


def surroundings(spot: Box, height: int, width: int) -> Box:
    """The spot with what is restored together with it, as far as the photo reaches. Raises BadInput."""
    found = []
    for start, length, limit in ((spot[0], spot[2], height), (spot[1], spot[3], width)):
        if length < 1 or start < 0 or start + length > limit:
            raise BadInput("The spot to preview is not in the photo.", "Choose one inside it.")
        more = max(CONTEXT, -(-(SMALLEST - length) // 2))
        first = max(0, min(start - more, limit - length - 2 * more))
        found.append((first, min(limit, first + length + 2 * more) - first))
    (top, rows), (left, columns) = found
    return top, left, rows, columns


def without_its_frame(spot: Box, photo: Photo) -> Box:
    """What of the spot is not in the photo's frame, in the photo's own pixels; or else the pixels nearest to it."""
    found = []
    sides = zip(spot[:2], spot[2:], (photo.frame[0], photo.frame[2]), photo.size, strict=True)
    for start, length, before, limit in sides:
        first = min(max(start - before, 0), limit - 1)
        last = min(max(start + length - before, first + 1), limit)
        found.append((first, last - first))
    (top, rows), (left, columns) = found
    return top, left, rows, columns


def find_kernel(whole: Photo, settings: Settings, run: Run) -> tuple[Estimate, bool]:
    """The kernel, and whether it was found in a quicker way than the settings ask for. Raises Cancelled."""
    settings = replace(settings, varying=VaryingSettings())  # a spot has one kernel
    approximate = seconds_to_find(whole, settings, run) > SECONDS
    if approximate:
        settings = quicker(settings)
    photo = whole.cropped(settings.kernel_crop)
    stages, about = make_stages(photo, settings, None, None, None, None, run, want_image=False)
    state = State(photo, about=about)
    for stage in stages:
        state = stage(state, run)
    assert state.estimate is not None
    return state.estimate, approximate


def quicker(settings: Settings) -> Settings:
    """The learned kernel, refined in a few passes over a small part of the photo. Nothing is fetched."""
    usual = Settings.preset("fast").patches.prior
    prior = usual if settings.patches.prior in ("none", "auto") else settings.patches.prior
    return replace(
        settings,
        estimator="learned",
        kernel_crop=CROP,
        patches=replace(Settings.preset("fast").patches, prior=prior),
        refine=replace(Settings.preset("fast").refine, rounds=QUICK_ROUNDS),
    )


def seconds_to_find(photo: Photo, settings: Settings, run: Run) -> float:
    """How long the stages before the image take on this computer, roughly."""
    height, width = photo.size
    try:
        stages = stages_of(width, height, settings, kernel_known=False)
    except TooLarge:
        return float("inf")
    work = [stage.cost(height, width).work for stage in stages if not isinstance(stage, RestoreImage | TrustImage)]
    return sum(work) / speed(run.device)


def affordable_steps(box: Box, settings: Settings, device: torch.device) -> int:
    """As many steps of the restoration as the settings ask for, or fewer where those take longer than half SECONDS."""
    work = box[2] * box[3] * settings.scale**2 * prior_network(settings).work
    return min(settings.finish.steps, max(LEAST_STEPS, int(SECONDS / 2 * speed(device) / work)))


def restored(photo: Photo, estimate: Estimate, settings: Settings, run: Run) -> State:
    """The image of the photo with that kernel, mixed with the plain enlargement where it is doubted."""
    source = settings.patches.prior
    prior = load_prior("bundled" if source in ("none", "auto") else source, run.device, run.monitor)
    schedule = NoiseSchedule(settings.diffusion.schedule, settings.diffusion.steps, run.device)
    state = State(photo, estimate, about={"patch_prior": prior.about})
    state = RestoreImage(DiffusionDenoiser(prior.network, schedule), schedule, settings)(state, run)
    return TrustImage()(state, run) if is_doubted(estimate, settings.doubt) else state


def plain(pixels: np.ndarray, box: Box, scale: int) -> np.ndarray:
    """That box of the picture, enlarged bicubically, of the dtype given."""
    top, left, height, width = box
    return bicubic_enlargement(pixels[top : top + height, left : left + width], height * scale, width * scale)


def inside(larger: np.ndarray, spot: Box, box: Box, scale: int) -> np.ndarray:
    """The spot, cut out of the enlarged box around it."""
    top, left = (spot[0] - box[0]) * scale, (spot[1] - box[1]) * scale
    return larger[top : top + spot[2] * scale, left : left + spot[3] * scale]


def laid_over(below: np.ndarray, larger: np.ndarray, spot: Box, box: Box, scale: int) -> np.ndarray:
    """The enlarged spot with the enlarged box in place of what both show."""
    top, left = max(spot[0], box[0]), max(spot[1], box[1])
    bottom, right = min(spot[0] + spot[2], box[0] + box[2]), min(spot[1] + spot[3], box[1] + box[3])
    result = below.copy()
    if bottom > top and right > left:
        both = top, left, bottom - top, right - left
        inside(result, both, spot, scale)[:] = inside(larger, both, box, scale)
    return result
