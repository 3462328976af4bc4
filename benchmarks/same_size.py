"""Sharper at the same size: gain over the blurred photo itself. `python -m benchmarks.same_size`

The photographs of KF12 at their own size, each with its kernel of KF12 at its own size, with noise too, and two with
Gaussians down to none, where there is nothing to gain. (The thresholds were set on two other photographs.)
"""

from __future__ import annotations

import argparse
import json
import platform
import time

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.kf12 import RESULTS
from benchmarks.kf144 import KERNELS, PHOTOS
from kf_core import Settings, super_resolve
from kf_core.files.figure import contact_sheet
from kf_core.files.kernels import read_kernel
from kf_core.files.picture import Picture, read_picture, write_picture
from kf_core.physics.kernel import centre, cosine_similarity
from kf_core.scores import psnr

SIDE, SIZE = 256, 25
SIGMAS = (0.0, 0.6, 1.0, 1.6, 2.5)
NOISE = 3.0  # grey levels


def odd(taps: np.ndarray) -> torch.Tensor:
    """An even kernel (24, 24) on the grid of (25, 25): moved by half a pixel, which blurs it a little."""
    kernel = torch.from_numpy(taps.astype(np.float32))
    return centre(F.avg_pool2d(F.pad(kernel[None, None], (1,) * 4), 2, 1)[0, 0])[0]


def gaussian(sigma: float) -> torch.Tensor:
    axis = torch.arange(SIZE) - SIZE // 2
    row = torch.exp(-0.5 * (axis / max(sigma, 1e-3)) ** 2)
    return torch.outer(row, row) / row.sum() ** 2


def blurred(hr: np.ndarray, kernel: torch.Tensor, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle of a photograph as it was and blurred, SIDE pixels a side, 8 bits."""
    reach = len(kernel) // 2
    top, left = ((side - SIDE) // 2 for side in hr.shape[:2])
    wide = hr[top - reach : top + SIDE + reach, left - reach : left + SIDE + reach].astype(np.float32)
    made = F.conv2d(torch.from_numpy(wide).permute(2, 0, 1)[:, None], kernel[None, None])[:, 0].permute(1, 2, 0).numpy()
    made = made + np.random.default_rng(seed).normal(size=made.shape) * noise
    return hr[top : top + SIDE, left : left + SIDE], made.round().clip(0, 255).astype(np.uint8)


def cases() -> list[tuple[str, int, torch.Tensor, float]]:
    kernels = [odd(read_kernel(path)) for path in KERNELS]
    every = [(f"{PHOTOS[n].stem} x {KERNELS[n].stem}", n, kernels[n], 0.0) for n in range(12)]
    every += [(f"{PHOTOS[n].stem} x {KERNELS[n].stem}, noise", n, kernels[n], NOISE) for n in (0, 4, 8)]
    every += [(f"{PHOTOS[n].stem} x Gaussian {s}", n, gaussian(s), 0.0) for n in (1, 7) for s in SIGMAS]
    return every


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, nargs="*", help="these cases")
    chosen = parser.parse_args()
    rows, sheet, names = [], [], []
    every = cases()
    for index in chosen.only if chosen.only is not None else range(len(every)):
        name, photo, kernel, noise = every[index]
        truth, lr = blurred(read_picture(PHOTOS[photo]).pixels, kernel, noise, index)
        before, began = psnr(lr, truth), time.monotonic()
        found = super_resolve(lr, Settings.preset("fast", scale=1))
        seconds = time.monotonic() - began
        given = super_resolve(lr, Settings.preset("fast", scale=1), kernel=kernel)
        row = {
            "case": name,
            "blurred": before,
            "blind": psnr(found.image, truth) - before if (found.image != lr).any() else 0.0,
            "given": psnr(given.image, truth) - before if before < 99 else float("nan"),
            "cosine": cosine_similarity(torch.from_numpy(found.kernel), kernel),
            "confidence": found.report["confidence"],
            "share": found.report["share"],
            "seconds": seconds,
        }
        rows.append(row)
        sheet.append([lr, found.image, given.image, truth, kernel.numpy(), found.kernel])
        names.append(name)
        print(f"{name}: {row['blind']:+.2f} dB", flush=True)
    about = {"machine": f"{platform.machine()}, CPU", "date": time.strftime("%Y-%m-%d")}
    print(
        "\n| case | PSNR, blurred | gain, blind | gain, kernel given | kernel cosine | confidence | share | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        figures = f"{row['blurred']:.2f} | {row['blind']:+.2f} | {row['given']:+.2f} | {row['cosine']:.3f}"
        print(f"| {row['case']} | {figures} | {row['confidence']:.2f} | {row['share']:.2f} | {row['seconds']:.0f} |")
    if chosen.only is None:
        (RESULTS / "same_size.json").write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
        heads = ["blurred", "blind", "kernel given", "truth", "true kernel", "kernel"]
        write_picture(RESULTS / "same_size.jpg", Picture(contact_sheet(sheet, heads, names, height=160)))


if __name__ == "__main__":
    main()
