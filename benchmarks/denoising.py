"""Fig. 21 of the paper for a checkpoint: a photograph noised at five timesteps, and what PD makes of it in one pass.

`python -m benchmarks.denoising -o docs/images/denoising.jpg`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.kf144 import PHOTOS
from kf_core.checkpoints.load import load_prior
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.files.figure import contact_sheet
from kf_core.files.picture import Picture, read_picture, write_picture
from kf_core.pixels import to_array, to_tensor
from kf_core.training.error_table import grey_levels

TIMESTEPS = (10, 100, 200, 400, 800)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prior", default="bundled")
    parser.add_argument("--photo", type=int, default=10, help="0..11: which photograph of KF144")
    parser.add_argument("--crop", type=int, nargs=3, default=(150, 330, 192), metavar=("TOP", "LEFT", "SIDE"))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images/denoising.jpg"))
    chosen = parser.parse_args()
    network, _ = load_prior(chosen.prior, torch.device("cpu"))
    schedule, generator = NoiseSchedule(), torch.Generator().manual_seed(0)
    top, left, side = chosen.crop
    photo = np.ascontiguousarray(read_picture(PHOTOS[chosen.photo]).pixels[top : top + side, left : left + side])
    clean = to_tensor(photo)
    noised, restored = [], []
    for step in TIMESTEPS:
        t = torch.tensor([step])
        noisy = schedule.add_noise(clean, torch.randn(clean.shape, generator=generator), t)
        estimate = schedule.clean_from_velocity(noisy, network(noisy, t), t).clamp(-1, 1)
        noised.append(to_array(noisy, photo))
        restored.append(to_array(estimate, photo))
        print(f"t = {step}: RMS error {float(grey_levels((estimate - clean).square().mean())):.1f} grey levels")
    heads = [f"t = {step}" for step in TIMESTEPS]
    write_picture(chosen.output, Picture(contact_sheet([noised, restored], heads, ["noised", "PD"], height=side)))


if __name__ == "__main__":
    main()
