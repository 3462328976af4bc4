"""The command `kf` in a process of its own, a photo for it, and settings with the least work."""

import os
import subprocess
import sys

import numpy as np
from PIL import Image

# The least work that still goes through every phase, whatever the presets say.
PATCHES = ["patches.prior=none", "patches.channels=8", "patches.steps=2", "recovery.unet_channels=8"]
WALK = [
    "doubt=False",
    "recovery.first_iterations=2",
    "recovery.iterations=1",
    "recovery.timesteps=100,1",
    "finish.steps=2",
]
QUICK = PATCHES + WALK
ENDLESS = [*PATCHES, "estimator=algorithm1", "recovery.first_iterations=1000000"]


def command(*arguments, settings=()):
    chosen = [part for setting in settings for part in ("--set", setting)]
    return [sys.executable, "-m", "kf_core", *(str(argument) for argument in arguments), *chosen]


# One thread each: on a busy machine two that wait for each other are many times slower with so little to do.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def kf(*arguments, settings=(), **environment):
    line = command(*arguments, settings=settings)
    return subprocess.run(line, capture_output=True, text=True, env=ENVIRONMENT | environment, timeout=60)


def make_photo(path, width=40, height=34, mode="RGB", **options):
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([128 + 90 * np.sin(x / 3), 128 + 90 * np.cos(y / 4), 128 + 90 * np.sin((x + y) / 5)], axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(path, **options)
    return path
