"""Whether the photo speaks for a kernel that was given: its power spectrum, under this kernel and under simple ones."""

from __future__ import annotations

import numpy as np
import torch

from kf_core.kernels.simple import simple_kernels
from kf_core.photo import Photo
from kf_core.progress import Monitor
from kf_core.settings import Settings
from kf_core.trust.choose import best_simple
from kf_core.trust.spectrum import Spectrum

SIDE = 64  # pixels of the part of the photo that is looked at
CLEARLY = 0.05  # nats per pixel


def judge(pixels: np.ndarray, kernel: np.ndarray, settings: Settings) -> dict[str, float | str]:
    """Returns:
    "advantage": over the best simple kernel, in nats per pixel; "words" and "sentence": what to tell people.
    """
    photo = Photo.from_array(pixels, torch.device("cpu"), True).cropped(SIDE).part
    spectrum, monitor = Spectrum(photo.unclipped, settings.scale), Monitor()
    simple = best_simple(spectrum, simple_kernels(len(kernel), settings.scale), monitor)
    least = min(misfit for misfit, _ in simple.values())
    advantage = least - spectrum.fit_anisotropy(torch.from_numpy(np.asarray(kernel, np.float32)), monitor)
    if advantage > CLEARLY:
        words, sentence = "The photo speaks for your kernel.", "It explains the photo better than any simple blur."
    elif advantage > -CLEARLY:
        words, sentence = "The photo allows your kernel.", "A simple blur would explain it about as well."
    else:
        words = "The photo speaks against your kernel."
        sentence = "A simple blur explains it better: look twice before you believe the details."
    return {"advantage": round(float(advantage), 4), "words": words, "sentence": sentence}
