"""Eight small photographs, 128 x 128, free to use: something to try the tool on. CREDITS.md says who made them."""

from __future__ import annotations

from pathlib import Path

from kf_core.errors import BadInput

EXAMPLES: tuple[str, ...] = (
    "chambord",
    "charminar",
    "dam",
    "handwriting_photo",
    "lincoln_1863",
    "pan",
    "shop_sign",
    "windmill",
)


def example(name: str) -> Path:
    """The PNG file of the example called `name`, one of EXAMPLES. Raises BadInput: no such example."""
    if name not in EXAMPLES:
        raise BadInput(f"There is no example called '{name}'.", f"The examples are {', '.join(EXAMPLES)}.")
    return Path(__file__).with_name(f"{name}.png")
