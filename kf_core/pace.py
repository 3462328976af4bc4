"""How long a run may take, as a number that people understand: seconds. Fewer passes of the denoiser take less."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kf_core.errors import BadSetting
from kf_core.estimate import estimate
from kf_core.settings import Settings

# Passes, and what the image loses in the mean against those of `fast`, dB: benchmarks/pace.py, see docs/results.md.
LOSSES = {14: 0.0, 10: -0.04, 6: -0.12, 4: -0.21, 3: -0.26, 2: -0.35}
LEAST = 1.0  # seconds that may be asked for


@dataclass(frozen=True)
class Pace:
    """Attributes:
    settings: with as many passes as there is time for.
    seconds: that the run will take, roughly; more than asked for where even the fewest passes take longer.
    loss: dB that the image loses in the mean against the usual number of passes; 0: nothing was changed.
    usual_passes, usual_seconds: without a limit to the time.
    asked: seconds that it may take.
    """

    settings: Settings
    seconds: float
    loss: float
    usual_passes: int
    usual_seconds: float
    asked: float

    @property
    def passes(self) -> int:
        return self.settings.finish.steps

    @property
    def sentences(self) -> tuple[str, ...]:
        """What people should know of it; empty where nothing was changed."""
        said = []
        if self.passes < self.usual_passes:
            loses = f": the picture loses about {-self.loss:.1f} dB" if self.loss else ""
            said.append(f"{self.passes} passes in place of {self.usual_passes}, for the time{loses}.")
        if self.seconds > self.asked:
            said.append(f"{'Even so it' if said else 'It'} takes about {self.seconds:.0f} seconds on this computer.")
        return tuple(said)


def within(seconds: float, width: int, height: int, settings: Settings, kernel_known: bool = False) -> Pace:
    """The settings with the most passes that let a photo of that size be done in so many seconds on this computer.

    Only the image is made quicker, not the search for the kernel. Raises BadSetting where the settings make the image
    in another way or nobody can wait so little, and whatever `estimate` raises.

    >>> within(3600, 64, 64, Settings.preset("fast", device="cpu")).loss
    0.0
    """
    check_pace(seconds, settings)
    usual, usual_seconds = settings.finish.steps, 0.0
    choices = [usual, *(passes for passes in sorted(LOSSES, reverse=True) if passes < usual)]
    for passes in choices:
        quicker = replace(settings, finish=replace(settings.finish, steps=passes))
        needed = estimate(width, height, quicker, kernel_known)["seconds"] or 0.0
        usual_seconds = usual_seconds or needed
        if needed <= seconds:
            break
    loss = LOSSES[passes] if passes < usual else 0.0
    return Pace(quicker, needed, loss, usual, usual_seconds, seconds)


def check_pace(seconds: float, settings: Settings) -> None:
    """Raises BadSetting where no run with these settings can be asked to take about so many seconds."""
    if not seconds >= LEAST:
        raise BadSetting(f"A run cannot be done in {seconds:g} seconds.", "Give at least 1 second.")
    if settings.finish.method != "plug_and_play":
        raise BadSetting("The time cannot be chosen where the image is Algorithm 1's.", "Use the preset 'fast'.")
