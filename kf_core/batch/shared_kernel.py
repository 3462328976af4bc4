"""One kernel for many photos of one camera and lens, by the evidence of all of them together.

Some of the photos are asked for their kernels alone. The mean of these is nearer to the truth than they are, as what
misled each is its own. It is then weighed against simple kernels by the spectra of all these photos, and every photo is
enlarged with it; what the photo itself says against it still counts.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kf_core import device as devices
from kf_core.cost import Cost
from kf_core.errors import BadInput, BadSetting, Cancelled, KernelFusionError
from kf_core.kernels.base import Estimate, Evidence
from kf_core.kernels.simple import simple_kernels
from kf_core.photo import Photo
from kf_core.physics.grid import informative_crop
from kf_core.physics.kernel import centre, cosine_similarity, normalise
from kf_core.pixels import as_pixels
from kf_core.progress import Monitor, Progress
from kf_core.run import Run
from kf_core.settings import Settings
from kf_core.trust.choose import choose_by, telling_spectrum
from kf_core.trust.compression import Compression, find_compression
from kf_core.trust.looks import looks_drawn
from kf_core.trust.noise import noise_level
from kf_core.trust.spectrum import SharedSpectrum

ASKED = 16  # photos at most, spread over all
SIDE = 512  # LR pixels per side of the part of each that is looked at


@dataclass(frozen=True, eq=False)
class SharedKernel:
    """A kernel of many photos.

    Attributes:
        kernel: (K, K) float32, sum 1.
        photos: how many had a say.
        source: "recovered" or "simple".
        name: what it is, "" for a shape without a name.
        evidence: of all photos together; None where the settings leave doubt out.
    """

    kernel: np.ndarray
    photos: int = 0
    source: str = "recovered"
    name: str = ""
    evidence: Evidence | None = None

    def digest(self) -> bytes:
        """The same for the same kernel with the same evidence."""
        return hashlib.sha256(self.kernel.tobytes() + self._about().encode()).digest()

    def estimator(self, settings: Settings) -> tuple[SharedEstimator, Settings]:
        """What super_resolve takes to enlarge a photo with it: an estimator, and settings by which it stays."""
        return SharedEstimator(self, settings.scale), replace(settings, refine=replace(settings.refine, rounds=0))

    def _about(self) -> str:
        return json.dumps({"photos": self.photos, "source": self.source, "name": self.name}) + json.dumps(
            self.evidence and asdict(self.evidence)
        )


class SharedEstimator:
    """A KernelEstimator that knows the kernel, and asks the photo only whether it agrees."""

    def __init__(self, shared: SharedKernel, scale: int):
        self.shared, self.scale = shared, scale

    def __call__(self, photo: Photo, run: Run) -> Estimate:
        shared, part = self.shared, photo.part
        kernel = torch.from_numpy(shared.kernel).to(run.device)
        run.monitor.step("recover_kernel", 1, 1)
        if shared.evidence is None or looks_drawn(part):  # a drawing is judged in its own way
            return Estimate(kernel, shared.source, name=shared.name)
        compression = find_compression(part, run.monitor)
        own = margin(part, kernel.cpu(), self.scale, run.monitor, compression)
        evidence = replace(
            shared.evidence,
            margin=min(own, shared.evidence.margin) if own < 0 else shared.evidence.margin,
            noise=noise_level(part, kernel.cpu(), self.scale, run.monitor, compression),
            compressed=compression.kept is not None,
        )
        return Estimate(kernel, shared.source, evidence=evidence, name=shared.name)

    def cost(self, height: int, width: int) -> Cost:
        return Cost()


def find_shared_kernel(
    photos: Sequence[Path],
    settings: Settings,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SharedKernel:
    """The kernel of all photos, from at most ASKED of them. Those that cannot be used, and drawings, have no say.

    Raises BadInput where none can be used, BadSetting at scale 1, Cancelled.
    """
    from kf_core.enlarged import visible
    from kf_core.files.picture import read_picture

    if settings.scale == 1:
        raise BadSetting(
            "One kernel for all photos can only be found where they are enlarged.",
            "At scale 1, leave each photo its own: --kernel per-photo.",
        )
    asked = spread(photos, ASKED)
    kernels: list[Tensor] = []
    parts: list[Photo] = []
    for number, path in enumerate(asked):

        def told(fraction: float, number: int = number) -> None:
            if progress is not None:
                label = f"one kernel of all photos, {number + 1} of {len(asked)}"
                progress(Progress("shared_kernel", number, len(asked), label, (number + fraction) / len(asked)))

        told(0.0)
        try:
            pixels, _ = visible(read_picture(path, transparency=True))
            found = kernel_alone(telling_part(pixels), settings, told, should_stop)
        except Cancelled:
            raise
        except KernelFusionError:
            continue  # it is told with the photo's own result
        if found is not None:
            parts.append(found[0])
            kernels.append(found[1])
    if not kernels:
        raise BadInput(
            "None of the photos can be used to find one kernel for all.", "Let each photo have its own kernel."
        )
    return pooled(kernels, parts, settings, Monitor(None, should_stop))


def spread(photos: Sequence[Path], most: int) -> list[Path]:
    """At most so many of them, evenly from the first to the last."""
    if len(photos) <= most:
        return list(photos)
    return [photos[round(number * (len(photos) - 1) / (most - 1))] for number in range(most)]


def telling_part(pixels: np.ndarray) -> np.ndarray:
    """The part of a photo (H, W) or (H, W, 3), at most SIDE wide and high, that tells most of its blur."""
    if max(pixels.shape[:2]) <= SIDE:
        return pixels
    grey = torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1).mean(2, dtype=np.float32))
    top, left, height, width = informative_crop(grey[None, None], SIDE)
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def kernel_alone(
    pixels: np.ndarray,
    settings: Settings,
    told: Callable[[float], None],
    should_stop: Callable[[], bool] | None,
) -> tuple[Photo, Tensor] | None:
    """(the part that is weighed by, the kernel) of one photo; None of a drawing. Raises KernelFusionError."""
    from kf_core.pipeline import recover_kernel

    device = devices.choose_device(settings.device)
    photo = Photo.from_array(as_pixels(pixels), device, settings.stretch).cropped(settings.kernel_crop)
    if looks_drawn(photo.part):
        return None
    result = recover_kernel(
        pixels,
        replace(settings, doubt=False),
        progress=lambda event: told(event.fraction),
        should_stop=should_stop,
    )
    return photo.part, torch.from_numpy(result.kernel)


def pooled(kernels: Sequence[Tensor], parts: Sequence[Photo], settings: Settings, monitor: Monitor) -> SharedKernel:
    """The kernel of photos whose kernels (K, K) alone are known, weighed by the spectra of all."""
    mean, _ = centre(normalise(torch.stack(list(kernels)).mean(0)))
    if not settings.doubt:
        return SharedKernel(mean.numpy(), len(kernels))
    alike = sum(cosine_similarity(each, mean) for each in kernels) / len(kernels)
    agreement = None if settings.estimator == "algorithm1" else alike
    compressions = [find_compression(part, monitor) for part in parts]
    spectra = [
        telling_spectrum(part, mean, settings.scale, monitor, compression)
        for part, compression in zip(parts, compressions, strict=True)
    ]
    spectrum = SharedSpectrum(spectra, [part.size[0] * part.size[1] for part in parts])
    estimate = Estimate(mean.to(parts[0].pixels), "recovered", agreement=agreement)
    chosen = choose_by(spectrum, parts[0], estimate, settings.scale, monitor, compressions[0])
    kernel = chosen.kernel.cpu().numpy().astype(np.float32)
    return SharedKernel(kernel, len(kernels), chosen.source, chosen.name, chosen.evidence)


def margin(photo: Photo, kernel: Tensor, scale: int, monitor: Monitor, compression: Compression | None = None) -> float:
    """Nats per LR pixel by which a kernel (K, K) explains a photo's spectrum better than hardly any blur does."""
    spectrum = telling_spectrum(photo, kernel, scale, monitor, compression)
    sharp = simple_kernels(kernel.shape[-1], scale)[0].kernel
    return spectrum.fit_anisotropy(sharp, monitor) - spectrum.fit_anisotropy(kernel, monitor)


def save_shared_kernel(path: Path, shared: SharedKernel, key: str) -> None:
    """With what it was made for as `key`. Raises CannotWrite."""
    from kf_core.files.atomic import write_atomically

    about = {name: value for name, value in asdict(shared).items() if name != "kernel"}
    file = io.BytesIO()
    np.savez(file, kernel=shared.kernel, about=np.array(json.dumps({**about, "key": key})))
    write_atomically(path, lambda to: to.write(file.getvalue()))


def load_shared_kernel(path: Path, key: str) -> SharedKernel | None:
    """What was saved for that key; None where there is none."""
    try:
        with np.load(path, allow_pickle=False) as held:
            about: dict[str, Any] = json.loads(str(held["about"]))
            kernel = held["kernel"]
        if about.pop("key") != key:
            return None
        evidence = about.pop("evidence")
        return SharedKernel(kernel, evidence=evidence and Evidence(**evidence), **about)
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
