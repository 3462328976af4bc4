"""Blur that varies over the frame: one kernel, a map of kernels, the true map. `python -m benchmarks.varying`

Photographs of benchmarks/split.py, 224 x 224 LR pixels, scale 2, blurred by the fields of benchmarks/fields.py. Gain
over bicubic in dB of the luma: with the one kernel that is found; with the map (`varying.regions=4`); with the true
kernels at the middles of the regions, believed as far as the found ones. `--controls` reads the regions of photographs
with one kernel, clean, with noise and as JPEG: how unlike are they, and how often would they have got a map? One
thread.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from benchmarks import fields
from benchmarks.kf12 import RESULTS
from kf_core import Settings, SuperResolution, super_resolve
from kf_core.checkpoints.load import load_kernel_network, load_prior
from kf_core.denoisers.diffusion import DiffusionDenoiser
from kf_core.denoisers.schedule import NoiseSchedule
from kf_core.files.atomic import write_atomically
from kf_core.files.figure import contact_sheet, kernels_picture
from kf_core.files.picture import Picture, write_picture
from kf_core.kernels.base import Estimate
from kf_core.kernels.learned import LearnedKernel
from kf_core.photo import Photo
from kf_core.physics.kernel import cosine_similarity, default_kernel_size
from kf_core.physics.varying import KernelMap
from kf_core.pixels import bicubic_enlargement
from kf_core.progress import Monitor
from kf_core.regions import MapKernels
from kf_core.run import Run
from kf_core.scores import psnr
from kf_core.settings import MOST_REGIONS
from kf_core.stages import RestoreImage, mix_with_bicubic
from kf_core.state import State

CASES = (0, 4, 8, 1, 5, 11)  # three rotations, three lenses
COLUMNS = {
    "one": "+.2f",
    "map": "+.2f",
    "true map": "+.2f",
    "unlike": ".3f",
    "cosine, one": ".3f",
    "cosine, map": ".3f",
}


def as_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def with_noise(pixels: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, sigma, pixels.shape)
    return (pixels + noise).round().clip(0, 255).astype(np.uint8)


CONDITIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "clean": lambda pixels: pixels,
    "noise of 3": lambda pixels: with_noise(pixels, 3),
    "noise of 8": lambda pixels: with_noise(pixels, 8),
    "JPEG 85": lambda pixels: as_jpeg(pixels, 85),
    "JPEG 60": lambda pixels: as_jpeg(pixels, 60),
}


def true_kernels(case: fields.Varied, rows: np.ndarray, columns: np.ndarray) -> torch.Tensor:
    """(R, C, K, K) at those places."""
    down, across = (torch.from_numpy(each.astype(np.float32)) + 0.5 for each in (rows, columns))
    places = torch.stack(torch.meshgrid(down, across, indexing="ij"), 2) / fields.SIDE * 2 - 1
    return case.field(places.reshape(-1, 2)).unflatten(0, (len(rows), len(columns)))


def with_true_map(case: fields.Varied, settings: Settings, told: dict, rows: np.ndarray, columns: np.ndarray):
    """The image by the true kernels, mixed by the confidence of the run `told` of."""
    device = torch.device("cpu")
    schedule = NoiseSchedule(settings.diffusion.schedule, settings.diffusion.steps, device)
    denoiser = DiffusionDenoiser(load_prior(settings.patches.prior, device, Monitor()).network, schedule)
    kernels = true_kernels(case, rows, columns)
    photo = Photo.from_array(case.lr, device, settings.stretch)
    state = State(
        photo,
        Estimate(kernels.mean((0, 1)), "given"),
        kernels=KernelMap(torch.from_numpy(rows), torch.from_numpy(columns), kernels),
    )
    state = RestoreImage(denoiser, schedule, settings)(state, Run(device, torch.Generator().manual_seed(0), Monitor()))
    return photo.to_array(mix_with_bicubic(photo, state.image, told["share"]))


def cosines(case: fields.Varied, found: SuperResolution, rows: np.ndarray, columns: np.ndarray) -> tuple[float, float]:
    """Mean cosine of the one kernel, and of the map's, with the true ones."""
    truth = true_kernels(case, rows, columns).flatten(0, 1)
    one = torch.from_numpy(found.kernel)
    of_map = [one] * len(truth) if found.kernels is None else torch.from_numpy(found.kernels.kernels).flatten(0, 1)
    return tuple(
        float(np.mean([cosine_similarity(kernel, true) for kernel, true in zip(each, truth, strict=True)]))
        for each in ([one] * len(truth), of_map)
    )


def measure(index: int, settings: Settings) -> tuple[dict, list[np.ndarray]]:
    """The figures of a case, and the pictures of its row in the sheet."""
    case = fields.case(index)
    plain = bicubic_enlargement(case.lr, *case.hr.shape[:2])
    usual = psnr(plain, case.hr)
    found = super_resolve(case.lr, settings)
    middles = np.array([n * fields.SIDE / 4 - 0.5 for n in (1, 2, 3)], np.float32)
    if found.kernels is None:
        one = found
    else:
        middles = found.kernels.rows
        one = super_resolve(case.lr, settings.with_overrides(["varying.regions=1"]))
    true_map = with_true_map(case, settings, found.report, middles, middles)
    of_one, of_map = cosines(case, found, middles, middles)
    figures = {
        "case": case.name,
        "bicubic": usual,
        "one": psnr(one.image, case.hr) - usual,
        "map": psnr(found.image, case.hr) - usual,
        "true map": psnr(true_map, case.hr) - usual,
        "unlike": found.report["regions"]["unlike"],
        "cosine, one": of_one,
        "cosine, map": of_map,
        "seconds": found.report["seconds"],
    }
    shown = np.tile(found.kernel, (3, 3, 1, 1)) if found.kernels is None else found.kernels.kernels
    true = true_kernels(case, middles, middles).numpy()
    grids = [kernels_picture(each, case.hr.shape[0]) for each in (shown, true)]
    return figures, [plain, one.image, found.image, true_map, case.hr, *grids]


def controls(count: int, settings: Settings) -> list[dict]:
    """How unlike the regions of photographs are, with one kernel and with many."""
    device = torch.device("cpu")
    network, _ = load_kernel_network(settings.kernel_network, device)
    settings = settings.with_overrides([f"kernel_size={default_kernel_size(settings.scale)}"])
    stage, rows = MapKernels(LearnedKernel(network, settings), None, settings), []
    for condition, change in CONDITIONS.items():
        for index in range(count):
            for varies in (False, True):
                case = fields.case(index, varies)
                photo = Photo.from_array(change(case.lr), device, settings.stretch)
                state = State(photo, Estimate(case.field(torch.zeros(1, 2))[0], "recovered"))
                state = stage(state, Run(device, torch.Generator(), Monitor()))
                rows.append({"case": case.name, "condition": condition, "unlike": state.regions.unlike})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="*", default=CASES)
    parser.add_argument("--controls", type=int, default=0, metavar="COUNT", help="of so many photographs, nothing else")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    overrides = [f"varying.regions={MOST_REGIONS}", *chosen.set]
    settings = Settings.preset("fast", scale=fields.SCALE, device="cpu").with_overrides(overrides)
    print(f"{platform.machine()}, one thread, {time.strftime('%Y-%m-%d')}, {chosen.set}\n")
    if chosen.controls:
        rows = controls(chosen.controls, settings)
        print("| condition | field | photographs | unlike, lowest | median | highest | get a map |")
        print(f"|{'---|' * 7}")
        for condition in CONDITIONS:
            for kind in ("one kernel", *fields.FIELDS):
                ending = tuple(f"_one of {name}" for name in fields.FIELDS) if kind == "one kernel" else f"_{kind}"
                found = [r["unlike"] for r in rows if r["condition"] == condition and r["case"].endswith(ending)]
                mapped = sum(each > settings.varying.threshold for each in found)
                spread = " | ".join(f"{each:.4f}" for each in (min(found), float(np.median(found)), max(found)))
                print(f"| {condition} | {kind} | {len(found)} | {spread} | {mapped} |")
        write_atomically(
            RESULTS / "varying_controls.json", lambda file: file.write(json.dumps(rows, indent=1).encode())
        )
        return
    print(f"| case | {' | '.join(COLUMNS)} | seconds, regions | seconds, finish |\n|---|{'---|' * (len(COLUMNS) + 2)}")
    rows, sheet = [], []
    for index in chosen.cases:
        figures, pictures = measure(index, settings)
        rows.append(figures)
        sheet.append(pictures)
        cells = " | ".join(format(figures[key], style) for key, style in COLUMNS.items())
        seconds = " | ".join(f"{figures['seconds'][key]:.0f}" for key in ("map_kernels", "finish"))
        print(f"| {figures['case']} | {cells} | {seconds} |", flush=True)
    means = " | ".join(format(np.mean([row[key] for row in rows]), style) for key, style in COLUMNS.items())
    print(f"| **mean** | {means} | | |")
    write_atomically(RESULTS / "varying.json", lambda file: file.write(json.dumps(rows, indent=1).encode()))
    headings = ["bicubic", "one kernel", "map of kernels", "true map", "truth", "kernels found", "true kernels"]
    picture = contact_sheet(sheet, headings, [row["case"] for row in rows], height=288)
    write_picture(RESULTS / "varying.jpg", Picture(picture))


if __name__ == "__main__":
    main()
