"""Numbers of the choice, the confidence and the noise that were fitted to data.

They stand in fitted.json, with the date, the split of the data and the commit of the fit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fitted:
    """Attributes:
    date, commit, split: when, at which state of the code and on what they were fitted.
    floor: of the largest tap, taken off every tap: what a search leaves in the corners pulls the centre of mass.
    limits: of a correction: log size, stretch along the axes, stretch along the diagonals, log of the taps' exponent.
    steps: of the search for a correction.
    penalty: nats per LR pixel for each squared unit of a correction.
    departure_cost: nats per LR pixel that a simple kernel loses, times 1 less its cosine with the recovered one.
    departure_cost_learned: the same beside the kernel of a network, which fails far more rarely than a search.
    least_margin: nats per LR pixel; where no kernel explains the spectrum so much better than hardly any blur, there
        is no sign of any, and a simple one is taken.
    least_margin_learned: nats per LR pixel; a network's kernel that explains the spectrum worse than hardly any blur
        does, and by more than that, is not believed at all.
    least_margin_compressed: the same where JPEG has erased most frequencies: the margin is less certain.
    certainty: nats per LR pixel that make one kernel e times as likely as another.
    largest_share: of the image, the rest is always the bicubic enlargement.
    likenesses, largest_shares: the same for a network's kernel: the first share up to the first likeness, the second
        from the second on; in between, it rises.
    doubted_likenesses: of a network's kernel, from the first on down the prior has its full weight, and from the second
        on up its least.
    undoubted_share: the share without any doubt, if it could be more than the largest.
    usual_clutter: a kernel's clutter that costs nothing.
    clutter_cost: what the share loses for each unit of clutter above that.
    excess_cost: what it loses for each nat per LR pixel that the photo's spectrum departs from every model, beyond ...
    excess_per_margin: ... so many times the margin: a photo that shows its blur clearly may have any spectrum.
    faint_margin: nats per LR pixel; below, there is hardly a sign of any blur.
    usual_residual: grey levels of RMS beside noise; an image that leaves more unexplained is worth less, and nothing
        at e times as much.
    likely_residuals: the same for a network's kernel, from a likely one to an unlikely one.
    texture: grey levels of white noise that the finest texture of clean photos, aliased, is taken for.
    colour_texture, flat_texture: the same of the flattest blocks, of differences between colours and of a grey photo.
    noise_crop: LR pixels per side of the part that a larger photo's noise is measured on.
    lattice: mean cosine of the DCT coefficients' phases within a quantisation step, from which on a photo was a JPEG:
        0 where there are no steps, 1 if nothing else ...
    lattice_lead: ... if it is larger by this than with blocks that begin anywhere else, as it is not in plain stripes.
    lattice_faint: the same where it is twice as large as with any others: of a JPEG that was changed or saved again.
    fewest_coefficients: that have to speak for that.
    """

    date: str
    commit: str
    split: str
    floor: float
    limits: tuple[tuple[float, float], ...]
    steps: tuple[float, ...]
    penalty: float
    departure_cost: float
    departure_cost_learned: float
    least_margin: float
    least_margin_learned: float
    least_margin_compressed: float
    certainty: float
    largest_share: float
    likenesses: tuple[float, float]
    largest_shares: tuple[float, float]
    doubted_likenesses: tuple[float, float]
    undoubted_share: float
    usual_clutter: float
    clutter_cost: float
    excess_cost: float
    excess_per_margin: float
    faint_margin: float
    usual_residual: float
    likely_residuals: tuple[float, float]
    texture: float
    colour_texture: float
    flat_texture: float
    noise_crop: int
    lattice: float
    lattice_lead: float
    lattice_faint: float
    fewest_coefficients: int


def rise(value: float, ends: tuple[float, float]) -> float:
    """0 up to the first of two ends, 1 from the second on, and a straight line between."""
    return min(1.0, max(0.0, (value - ends[0]) / (ends[1] - ends[0])))


FITTED = Fitted(**json.loads(Path(__file__).with_suffix(".json").read_text("utf-8")))
