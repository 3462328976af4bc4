"""Makes the pictures of the gallery and of the page on the method: `python docs/site/gallery.py [NAME ...]`

Small photos are made here from sharp ones with a known kernel, or are bundled as they are. All are run with the preset
`fast` on one thread, about a quarter of a minute each. `docs/images/gallery/gallery.json` says how each came out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import kf_core  # noqa: E402 - after the path
from benchmarks.drawings import MARGIN, SCENES  # noqa: E402
from kf_core.examples import example  # noqa: E402
from kf_core.files.atomic import write_atomically  # noqa: E402
from kf_core.files.figure import contact_sheet  # noqa: E402
from kf_core.kernels.simple import simple_kernels  # noqa: E402
from kf_core.physics.blur import UniformBlur  # noqa: E402
from kf_core.physics.kernel import cosine_similarity, gaussian_kernel  # noqa: E402
from kf_core.pixels import bicubic_enlargement  # noqa: E402
from kf_core.scores import psnr  # noqa: E402

SCALE, SIZE = 4, 24
FOLDER = ROOT / "docs" / "images" / "gallery"
FIGURES = FOLDER / "gallery.json"
SETTINGS = kf_core.Settings.preset("fast", scale=SCALE, device="cpu")


def sharp_photo(number: str) -> np.ndarray:
    return np.asarray(Image.open(ROOT / "web_demo" / "sharp" / f"kodim{number}.png").convert("RGB"))


def page_of_text() -> np.ndarray:
    return (SCENES["black on white"]() * 255).round().astype(np.uint8)


def shake() -> np.ndarray:
    """A real camera's movement, measured by Levin et al. in 2009."""
    return np.load(ROOT / "web_demo" / "kernels" / "08_levin5.npy")


def defocus() -> np.ndarray:
    return next(each.kernel for each in simple_kernels(SIZE, SCALE) if each.name == "a defocus 8 pixels across").numpy()


def painted() -> np.ndarray:
    """A hook, painted with a soft brush on a sheet of 24 x 24 taps."""
    sheet = Image.new("L", (SIZE * 8, SIZE * 8))
    stroke = [(SIZE * 4 + 44 * math.cos(t / 9), SIZE * 4 + 44 * math.sin(t / 9)) for t in range(4, 40)]
    ImageDraw.Draw(sheet).line([(stroke[0][0], stroke[0][1] - 60), *stroke], fill=255, width=14, joint="curve")
    soft = sheet.filter(ImageFilter.GaussianBlur(5)).resize((SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(soft, dtype=np.float64) / np.asarray(soft, dtype=np.float64).sum()


def shrunk(sharp: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The small photo of the sharp one, and the part of the sharp one that it shows."""
    image = torch.from_numpy(sharp.transpose(2, 0, 1).astype(np.float64))[None]
    small = UniformBlur(torch.from_numpy(kernel).double(), SCALE, "canvas").A(image)[0].numpy().transpose(1, 2, 0)
    return small.round().clip(0, 255).astype(np.uint8), sharp[MARGIN:-MARGIN, MARGIN:-MARGIN]


def plain(small: np.ndarray) -> np.ndarray:
    return bicubic_enlargement(small, *(side * SCALE for side in small.shape[:2]))


def gain(image: np.ndarray, truth: np.ndarray, small: np.ndarray) -> float:
    return psnr(image, truth) - psnr(plain(small), truth)


def likeness(found: np.ndarray, truth: np.ndarray) -> float:
    return cosine_similarity(torch.from_numpy(found).double(), torch.from_numpy(truth).double())


def stacked(*rows: tuple[Sequence[np.ndarray], Sequence[str]]) -> np.ndarray:
    """Rows of pictures, each with headings of its own, as one sheet."""
    sheets = [contact_sheet([cells], headings, [""], height=448) for cells, headings in rows]
    width = max(sheet.shape[1] for sheet in sheets)
    return np.concatenate([np.pad(each, ((0, 0), (0, width - each.shape[1]), (0, 0)), mode="edge") for each in sheets])


def known(sharp: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, dict]:
    """The sheet of a photo whose truth is known."""
    small, truth = shrunk(sharp, kernel)
    result = kf_core.super_resolve(small, SETTINGS)
    won, alike = gain(result.image, truth, small), likeness(result.kernel, kernel)
    sheet = stacked(
        ([small, plain(small), result.image], ["the small photo", "bicubic", f"KernelFusion: {won:+.1f} dB"]),
        ([kernel, result.kernel, truth], ["true kernel", f"kernel found: cosine {alike:.2f}", "the truth"]),
    )
    said = {"gain_db": round(won, 2), "kernel_cosine": round(alike, 3), "confidence": result.report["confidence"]}
    return sheet, said


def real(name: str) -> tuple[np.ndarray, dict]:
    """The sheet of a bundled photo, whose truth nobody knows."""
    small = kf_core.read_picture(example(name)).pixels
    result = kf_core.super_resolve(small, SETTINGS)
    sheet = stacked(
        ([small, plain(small)], ["the small photo", "bicubic"]),
        ([result.kernel, result.image], ["kernel found", "KernelFusion"]),
    )
    return sheet, {key: result.report[key] for key in ("confidence", "kernel_source", "kernel_name")}


def by_hand() -> tuple[np.ndarray, dict]:
    """The same photo without and with the kernel painted for it."""
    kernel = painted()
    small, truth = shrunk(sharp_photo("03"), kernel)
    blind, given = kf_core.super_resolve(small, SETTINGS), kf_core.super_resolve(small, SETTINGS, kernel=kernel)
    won = [gain(each.image, truth, small) for each in (blind, given)]
    sheet = stacked(
        (
            [small, blind.image, given.image],
            ["the small photo", f"found: {won[0]:+.1f} dB", f"painted: {won[1]:+.1f} dB"],
        ),
        ([truth, blind.kernel, kernel], ["the truth", "kernel found", "kernel painted"]),
    )
    return sheet, {"gain_db": [round(each, 2) for each in won]}


def right_and_wrong() -> tuple[np.ndarray, dict]:
    """One photo, enlarged with the kernel that shrank it and with others."""
    ring = np.load(ROOT / "web_demo" / "kernels" / "01_ring.npy")
    small, truth = shrunk(sharp_photo("03"), ring)
    kernels = [gaussian_kernel(SIZE, 1.2).numpy(), gaussian_kernel(SIZE, 3.5).numpy(), ring]
    sure = SETTINGS.with_overrides(["doubt=False"])
    images = [kf_core.super_resolve(small, sure, kernel=kernel).image for kernel in kernels]
    won = [gain(image, truth, small) for image in images]
    headings = [f"{name}: {each:+.1f} dB" for name, each in zip(("too narrow", "too wide", "true"), won, strict=True)]
    sheet = stacked((kernels, ["too narrow a kernel", "too wide a kernel", "the true kernel"]), (images, headings))
    return sheet, {"gain_db": [round(each, 2) for each in won]}


def shrinking() -> tuple[np.ndarray, dict]:
    """The same scene, shrunk by three kernels."""
    sharp, ring = sharp_photo("03"), np.load(ROOT / "web_demo" / "kernels" / "01_ring.npy")
    kernels = [gaussian_kernel(SIZE, 2.0).numpy(), shake(), ring]
    photos = [shrunk(sharp, kernel)[0] for kernel in kernels]
    return stacked((kernels, ["a Gaussian", "a camera shake", "a ring"]), (photos, ["its small photo"] * 3)), {}


MAKE: dict[str, Callable[[], tuple[np.ndarray, dict]]] = {
    "shake": lambda: known(sharp_photo("19"), shake()),
    "defocus": lambda: known(sharp_photo("01"), defocus()),
    "scan": lambda: real("lincoln_1863"),
    "text": lambda: known(page_of_text(), gaussian_kernel(SIZE, 3.0).numpy()),
    "painted": by_hand,
    "shrinking": shrinking,
    "right_and_wrong": right_and_wrong,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MAKE))
    names = parser.parse_args().names or list(MAKE)
    torch.set_num_threads(1)
    made = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    for name in names:
        sheet, said = MAKE[name]()
        picture = Image.fromarray(sheet)
        write_atomically(FOLDER / f"{name}.jpg", lambda file, it=picture: it.save(file, "JPEG", quality=90))
        made[name] = {"version": kf_core.__version__, "date": time.strftime("%Y-%m-%d"), **said}
        text = json.dumps(made, indent=1, sort_keys=True) + "\n"
        write_atomically(FIGURES, lambda file, it=text: file.write(it.encode()))
        print(name, said, flush=True)


if __name__ == "__main__":
    main()
