"""Try to fool it: a sharp photo is degraded with a kernel the visitor chose, and the engine is not told which."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kf_core import BadInput
from kf_core.files.deep import eight_bit
from kf_core.files.kernels import read_kernel
from kf_core.scores import psnr
from kf_core.settings import SMALLEST
from web_demo import decode, photos, plots, results
from web_demo.limits import Limits, checked_kernel
from web_demo.pad import taps_of
from web_demo.verdict import LOW

HERE = Path(__file__).parent
SCALE, SIZE = 4, 24
MARGIN = (SIZE - SCALE) // 2  # HR pixels that the kernel reaches beyond what the small photo shows
LARGEST = 112  # LR pixels per side: enough to learn from, and soon done

KERNELS = {
    "L": "00_L",
    "ring": "01_ring",
    "box": "02_box",
    "slanted blob": "03_gauss",
    "camera shake 1": "06_levin3",
    "camera shake 2": "08_levin5",
    "camera shake 3": "11_levin8",
}
PHOTOS = {"hats": "kodim03", "brick wall": "kodim01", "lighthouse": "kodim19"}
DRAWN, OWN = "my drawing", "my own photo"


@dataclass(frozen=True)
class Puzzle:
    """Attributes:
    truth: (H, W[, 3]) uint8, the sharp photo.
    kernel: (K, K) float32, sum 1, the hidden one.
    small: (H / s, W / s[, 3]) uint8: all that the engine gets to see.
    """

    truth: np.ndarray
    kernel: np.ndarray
    small: np.ndarray


@cache
def bundled_kernel(name: str) -> np.ndarray:
    if name not in KERNELS:
        raise BadInput(f"There is no kernel called '{name}'.", f"There are: {', '.join([*KERNELS, DRAWN])}.")
    return read_kernel(HERE / "kernels" / f"{KERNELS[name]}.npy")


def drawn_kernel(text: str) -> np.ndarray:
    """The kernel of a drawing: a JSON list of 24 rows of 24 numbers from 0 to 1, moved so that its middle is in the
    middle: a shift of the kernel is a shift of the photo, which nobody could tell. Raises BadInput."""
    kernel = taps_of(text, SIZE)
    import torch

    from kf_core.physics.kernel import centre

    moved, _ = centre(torch.from_numpy(checked_kernel(kernel, "The drawing").astype(np.float64)))
    return moved.numpy().astype(np.float32)


def sharp_photo(name: str, upload: str | None, limits: Limits) -> np.ndarray:
    """The whole sharp photo, (H, W[, 3]) uint8. Raises BadInput."""
    if name == OWN:
        if not upload:
            raise BadInput("There is no photo of yours yet.", "Drop a sharp one into the box, or pick one of ours.")
        room = replace(limits, pixels=_hr_side(limits) ** 2)
        return eight_bit(results.colours(photos.load(upload, "best", room)))
    if name not in PHOTOS:
        raise BadInput(f"There is no photo called '{name}'.", f"There are: {', '.join([*PHOTOS, OWN])}.")
    with Image.open(HERE / "sharp" / f"{PHOTOS[name]}.png") as image:
        return np.array(image.convert("RGB"))


def make_puzzle(sharp: np.ndarray, kernel: np.ndarray, limits: Limits) -> Puzzle:
    """Cuts a part out of the sharp photo, and blurs and shrinks it. Raises BadInput if it is too small for that."""
    rows, columns = decode.best_size(sharp.shape[1], sharp.shape[0], _hr_side(limits) ** 2)
    left, top, columns, rows = decode.best_box(sharp, rows, columns)
    hr = sharp[top : top + rows, left : left + columns]
    rows, columns = ((length - 2 * MARGIN) // SCALE for length in hr.shape[:2])
    if min(rows, columns) < SMALLEST:
        least = SMALLEST * SCALE + 2 * MARGIN
        raise BadInput("The sharp photo is too small to be shrunk.", f"Use one of at least {least} x {least} pixels.")
    hr = hr[: rows * SCALE + 2 * MARGIN, : columns * SCALE + 2 * MARGIN]
    small = degrade(hr, kernel)
    return Puzzle(hr[MARGIN : hr.shape[0] - MARGIN, MARGIN : hr.shape[1] - MARGIN], kernel, small)


def _hr_side(limits: Limits) -> int:
    """HR pixels per side of the part that is degraded."""
    return min(LARGEST, limits.side) * SCALE + 2 * MARGIN


def photo_thumbnails(side: int = 72) -> dict[str, np.ndarray]:
    found = {}
    for name, file in PHOTOS.items():
        with Image.open(HERE / "sharp" / f"{file}.png") as image:
            image.thumbnail((side, side))
            found[name] = np.array(image.convert("RGB"))
    return found


def kernel_thumbnails(side: int = 72) -> dict[str, np.ndarray]:
    return {name: plots.kernel_colours(bundled_kernel(name), side) for name in KERNELS}


def degrade(hr: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(h s + K - s, w s + K - s[, 3]) uint8 -> (h, w[, 3]) uint8, by the engine's own model of how photos shrink."""
    import torch

    from kf_core.physics.blur import UniformBlur

    channels = hr[..., None] if hr.ndim == 2 else hr
    image = torch.from_numpy(channels.astype(np.float32).transpose(2, 0, 1))[None]
    small = UniformBlur(torch.from_numpy(np.asarray(kernel, dtype=np.float32)), SCALE, "canvas").A(image)
    pixels = small[0].numpy().transpose(1, 2, 0).round().clip(0, 255).astype(np.uint8)
    return pixels[..., 0] if hr.ndim == 2 else pixels


def cosine(kernel: np.ndarray, truth: np.ndarray) -> float:
    """Of the angle between two kernels of one size, no shift allowed; 1 is perfect."""
    import torch

    from kf_core.physics.kernel import cosine_similarity

    return cosine_similarity(torch.from_numpy(kernel), torch.from_numpy(truth))


def score(puzzle: Puzzle, bicubic: np.ndarray, outcome: np.ndarray, kernel: np.ndarray, report: Any = None) -> str:
    """The comparison with the truth, in HTML: the gain and the confidence first."""
    before, after, likeness = psnr(bicubic, puzzle.truth), psnr(outcome, puzzle.truth), cosine(kernel, puzzle.kernel)
    if likeness > 0.85:
        words = "It was not fooled"
    elif likeness > 0.7:
        words = "It got most of the kernel"
    else:
        words = "You fooled it"
    gain = f"{after - before:+.2f} dB against ordinary enlargement"
    confidence = (report or {}).get("confidence")
    sure = f", and it was {confidence:.0%} sure" if isinstance(confidence, (int, float)) else ""
    knew = ""
    if sure and likeness <= 0.7:
        knew = " It doubted its result, and said so." if confidence < LOW else " It did not notice."
    lines = (
        f"<strong class='kf-headline'>{words}: {gain}{sure}.</strong>{knew}",
        f"The recovered kernel is like the true one to {likeness:.3f} (cosine; 1 is perfect, no shift allowed).",
        f"The image is {after:.2f} dB from the truth (PSNR; more is better), bicubic {before:.2f} dB.",
    )
    return f"<div class='kf-verdict kf-numbers' role='status'>{''.join(f'<p>{line}</p>' for line in lines)}</div>"
