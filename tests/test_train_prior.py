"""A prior from a folder: what is held out is scored, whatever its size."""

import numpy as np
import torch
from PIL import Image

from kf_core.train_prior import train_prior

torch.set_num_threads(1)


def test_held_out_photographs_smaller_than_the_crop_are_scored_too(tmp_path):
    random = np.random.default_rng(0)
    for i in range(11):
        pixels = random.integers(0, 256, (40 + i, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i:02}.png")
    report = train_prior(tmp_path, tmp_path / "out.safetensors", steps=1, channels=8)
    assert report["held_out"] == ["00.png", "10.png"]
    assert 0 < report["loss_held_out"] < 10
