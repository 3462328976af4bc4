"""How long a run may take, as a number that people understand: seconds. Fewer passes of the denoiser take less."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kf_core.errors import BadSetting
from kf_core.estimate import estimate
from kf_core.settings import Settings

# Passes, and what the image loses in the mean against those of `fast`, dB: benchmarks/pace.py, see docs/results.md.
LOSSES = {14: 0.0, 10: -0.06, 6: -0.19, 4: -0.3, 3: -0.35, 2: -0.44}


@dataclass(frozen=True)
class Pace:
    """Attributes:
    settings: with as many passes as there is time for.
    seconds: that the run will take, roughly; more than asked for where even the fewest passes take longer.
    loss: dB that the image loses in the mean against the usual number of passes; 0: nothing was changed.
    """

    settings: Settings
    seconds: float
    loss: float


def within(seconds: float, width: int, height: int, settings: Settings, kernel_known: bool = False) -> Pace:
    """The settings with the most passes that let a photo of that size be done in so many seconds on this computer.

    Only the image is made quicker, not the search for the kernel. Raises BadSetting where the settings make the image
    in another way, and whatever `estimate` raises.

    >>> within(3600, 64, 64, Settings.preset("fast", device="cpu")).loss
    0.0
    """
    usual = settings.finish.steps
    if settings.finish.method != "plug_and_play":
        raise BadSetting("The time cannot be chosen where the image is Algorithm 1's.", "Use the preset 'fast'.")
    choices = [usual, *(passes for passes in sorted(LOSSES, reverse=True) if passes < usual)]
    for passes in choices:
        quicker = replace(settings, finish=replace(settings.finish, steps=passes))
        needed = estimate(width, height, quicker, kernel_known)["seconds"] or 0.0
        if needed <= seconds:
            break
    return Pace(quicker, needed, LOSSES[passes] if passes < usual else 0.0)
