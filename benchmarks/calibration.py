"""Does a high confidence mean a gain? `python -m benchmarks.calibration`

Draws confidence against gain, one point a case, from what benchmarks/kernels.py kept, to
benchmarks/results/calibration.png, and prints the means of the cases by confidence.
"""

from __future__ import annotations

import json

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.kf12 import RESULTS
from kf_core.files.picture import Picture, write_picture

SIDE, EDGE, LOW, HIGH = 480, 48, -2.0, 4.0  # of the plot in pixels; dB
COLOURS = {"kf12": (150, 150, 150), "fresh": (200, 40, 40), "kept-out": (40, 90, 200)}
BOUNDS = (0.0, 0.25, 0.5, 0.7, 1.0)


def place(confidence: float, gain: float) -> tuple[float, float]:
    up = (min(HIGH, max(LOW, gain)) - LOW) / (HIGH - LOW)
    return EDGE + confidence * SIDE, EDGE + (1 - up) * SIDE


def main() -> None:
    image = Image.new("RGB", (SIDE + 2 * EDGE, SIDE + 2 * EDGE), "white")
    draw = ImageDraw.Draw(image)
    for gain in range(int(LOW), int(HIGH) + 1):
        draw.line([place(0, gain), place(1, gain)], fill=(0, 0, 0) if gain == 0 else (225, 225, 225))
        draw.text((8, place(0, gain)[1] - 6), f"{gain:+d} dB", fill="black")
    for tenth in range(0, 11, 2):
        draw.text((place(tenth / 10, LOW)[0] - 8, place(0, LOW)[1] + 6), f"{tenth / 10:.1f}", fill="black")
    draw.text((EDGE + SIDE / 2 - 90, SIDE + EDGE + 26), "confidence; gain over bicubic", fill="black")
    every = []
    for number, (name, colour) in enumerate(COLOURS.items()):
        path = RESULTS / f"kernels_{name}_fast.json"
        rows = json.loads(path.read_text())["rows"] if path.exists() else []
        if rows:
            draw.text((EDGE + 8, EDGE + 4 + 14 * number), f"{name}: {len(rows)} cases", fill=colour)
        for row in rows:
            x, y = place(row["confidence"], row["gain"])
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=colour)
        every += rows
    write_picture(RESULTS / "calibration.png", Picture(np.array(image)))
    print("| confidence | cases | mean gain | worst gain |\n|---|---|---|---|")
    for low, high in zip(BOUNDS, BOUNDS[1:], strict=False):
        gains = [row["gain"] for row in every if low <= row["confidence"] < high]
        if gains:
            print(f"| {low} to {high} | {len(gains)} | {np.mean(gains):+.2f} | {min(gains):+.2f} |")


if __name__ == "__main__":
    main()
