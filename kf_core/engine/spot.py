"""The task "preview": one spot of the result, and beside it the plain enlargement."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kf_core.engine.pixels import Layer, reduce, restore
from kf_core.preview import Preview, preview
from kf_core.settings import Settings


class Spots:
    """Makes previews, and remembers the kernel of the last photo: other spots of it take half the time."""

    def __init__(self) -> None:
        self._known: tuple[str, Any] = ("", None)

    def make(
        self, layer: Layer, spot: Mapping[str, int], settings: Settings, kernel: np.ndarray | None, **told: Any
    ) -> Preview:
        """`spot` is in the words of the protocol. Raises what `preview` raises."""
        box = spot["y"], spot["x"], spot["height"], spot["width"]
        key = hashlib.sha256(layer.colour.tobytes() + repr((layer.colour.shape, settings)).encode()).hexdigest()
        found = self._known[1] if kernel is None and self._known[0] == key else None
        made = preview(layer.colour, box, settings, kernel=kernel, found=found, **told)
        if kernel is None:
            self._known = key, made.found
        return made


def pictures(
    made: Preview, layer: Layer, spot: Mapping[str, int], scale: int, strength: float | None, smaller: bool
) -> dict[str, np.ndarray]:
    """{"image", "plain"}: (h, w, C) in the values and channels of the layer, `smaller` at its own size."""
    rows, columns = slice(spot["y"], spot["y"] + spot["height"]), slice(spot["x"], spot["x"] + spot["width"])
    alpha = None if layer.alpha is None else layer.alpha[rows, columns]
    part = replace(layer, colour=layer.colour[rows, columns], alpha=alpha)
    image = made.image if strength is None else made.plain + strength * (made.image - made.plain)
    found = {name: restore(each, part, scale) for name, each in (("image", image), ("plain", made.plain))}
    return {name: reduce(each, scale) for name, each in found.items()} if smaller else found
