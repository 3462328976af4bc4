"""Every open choice of the method as a named setting: one tree of frozen dataclasses, and three presets.

Defaults are the paper's numbers where it prints one (appendix A.2-A.4) and otherwise the choice that measured best;
docs/design.md says which is which and where the measurement stands.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from kf_core.errors import BadInput

SMALLEST = 32  # pixels per side of a photo or crop: below, there are fewer patches than unknowns


@dataclass(frozen=True)
class DiffusionSettings:
    """The noise schedule both phases share."""

    schedule: str = "linear"  # "linear" or "cosine"; the paper prints neither
    steps: int = 1000  # T


@dataclass(frozen=True)
class PatchSettings:
    """Phase 1: the patch diffusion network and how it learns (A.2)."""

    prior: str = "none"  # "none": from scratch, as the paper; else anything checkpoints.load_prior understands
    channels: int = 128  # ignored with a prior: the checkpoint knows
    activation: str = "relu"
    residual: bool = True
    steps: int = 600_000  # Table 6 also reports 100_000
    batch: int = 1
    crop: int = 64
    learning_rate: float = 1e-4
    final_learning_rate: float = 0.0
    warmup: int = 0  # steps over which the rate rises from 0
    augment: bool = False  # flips, transposition, now and then grey or half size
    ema: float = 0.0  # decay of the weight average that is returned; 0 returns the last weights
    clip: float = 0.0  # gradient norm, 0: unlimited
    timestep_power: float = 1.0  # 1: all timesteps alike; larger: low noise more often
    layers: str = "all"  # which learn: "all", "last" (the last two blocks), "condition" (scale and shift from t)
    check_every: int = 25  # steps between two looks at what is not learned from
    patience: int = 0  # checks without progress before learning stops, holding part of the photo out; 0: never
    precision: str = "fp32"  # or "bf16": autocast of the forward pass


@dataclass(frozen=True)
class RecoverySettings:
    """Phase 2: Algorithm 1, the reverse diffusion that fits the U-Net and the kernel network."""

    scale: int | None = None  # the scale of the HR guess while the kernel is sought; None: the result's
    method: str = "kernelfusion"  # or "dip": a U-Net on noise and the kernel network, no diffusion (Table 4)
    timesteps: tuple[int, ...] = (400, 350, 300, 250, 200, 150, 100, 75, 50, 25, 10, 1)
    first_iterations: int = 100  # at the first timestep
    iterations: int = 20  # at every other
    learning_rate: float = 1e-4  # at the beginning of each timestep ...
    final_learning_rate: float = 1e-5  # ... annealed to this at its end
    kernel_learning_rate: float | None = None  # None: the same two for the kernel network
    kernel_final_learning_rate: float | None = None
    unet_channels: int = 32
    unet_depth: int = 5
    separate_unets: bool = False  # Table 5
    kernel_model: str = "inr"  # or direct_sigmoid, direct_relu, linear_cnn (Table 4)
    inr_layers: int = 5
    inr_width: int = 256
    inr_omega: float = 5.0
    inr_extent: float = 1.0  # the coordinate grid is [-extent, extent]
    com_weight: float = 0.01  # of the squared distance in pixels
    posterior_noise: str = "posterior"  # sigma_t of line 17: "posterior" (DDPM) or "zero"
    prior_gradient: bool = True  # the gradient passes through the frozen PD
    prior_every: int = 1  # PD is run every so many iterations; in between its last output stands
    padding: str = "reflect"
    border: int = 0  # LR pixels at each side that the loss leaves out
    precision: str = "fp32"


@dataclass(frozen=True)
class RefineSettings:
    """Expectation maximisation on the kernel after Algorithm 1. Not in the paper; see docs/design.md."""

    rounds: int = 0  # 0: the kernel of Algorithm 1 as it is
    steps: int = 6  # PD forward passes a round
    start: int = 200  # first and last timestep of a round
    end: int = 10
    trust: float = 0.2  # mu, as in FinishSettings
    ridge: float = 0.004  # variance of the image's own error, in [-1, 1] units
    smoothness: float = 0.02  # of the squared differences between neighbouring taps
    damping: float = 0.5  # share of the new kernel in the next
    tile: int = 256
    precision: str = "auto"


@dataclass(frozen=True)
class FinishSettings:
    """The image, once the kernel is known: PD as a plug-and-play denoiser. Not in the paper; see docs/design.md."""

    # "none": the image of Algorithm 1, as in the paper, if it walked the whole photo at full scale and the kernel was
    # not refined since; else, and with "plug_and_play", the image is made anew with the kernel
    method: str = "none"
    start: int = 100  # first timestep
    steps: int = 20  # PD forward passes
    trust_known: float = 0.001  # mu, the weight of the prior against the photo, with a known kernel ...
    trust_recovered: float = 0.03  # ... and with a recovered one, whose errors would ring
    fresh_noise: float = 1.0  # share of new noise (by variance) at each level
    tile: int = 256  # HR pixels per side that go through PD at a time
    precision: str = "auto"  # bf16 where the processor has it, else fp32


@dataclass(frozen=True)
class Settings:
    """Everything super_resolve can be told. Build one with `preset` and change it with dataclasses.replace.

    Args:
        scale: 2, 3 or 4.
        kernel_size: taps per side, of the parity of the scale; None: six LR pixels (24 at scale 4).
        seed: one generator, seeded with it, makes all randomness.
        device: "auto", "cpu", "cuda" or "mps".
        kernel_crop: side in LR pixels of the crop the kernel is recovered on; 0: the whole photo.
    """

    preset_name: str = "paper"
    scale: int = 4
    kernel_size: int | None = None
    seed: int = 0
    device: str = "auto"
    kernel_crop: int = 0
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)
    patches: PatchSettings = field(default_factory=PatchSettings)
    recovery: RecoverySettings = field(default_factory=RecoverySettings)
    refine: RefineSettings = field(default_factory=RefineSettings)
    finish: FinishSettings = field(default_factory=FinishSettings)

    @classmethod
    def preset(cls, name: str = "fast", **changes: Any) -> Settings:
        """The preset "fast", "balanced" or "paper", with top-level fields changed. ValueError: no such name."""
        if name not in PRESETS:
            raise ValueError(f"unknown preset {name!r}; there are {', '.join(PRESETS)}")
        return replace(PRESETS[name], **changes)

    def with_overrides(self, assignments: Iterable[str]) -> Settings:
        """Any setting by its dotted name: ["recovery.kernel_model=direct_relu", "recovery.iterations=5"].

        Raises BadInput for a name that does not exist or a value of another type.
        """
        changed = self
        for assignment in assignments:
            name, equals, text = assignment.partition("=")
            if not equals:
                raise BadInput(f"'{assignment}' is not of the form NAME=VALUE.", "For example recovery.iterations=5.")
            changed = _override(changed, name.strip().split("."), text.strip(), name)
        return changed

    def checked(self) -> Settings:
        """Itself. Raises BadInput for a value that no run can use, before any work is done."""
        for name, allowed in CHOICES.items():
            value = _look_up(self, name)
            if value not in allowed:
                raise BadInput(f"'{value}' is not a value for {name}.", f"There are: {', '.join(allowed)}.")
        for name, (low, high) in RANGES.items():
            value = _look_up(self, name)
            if isinstance(value, (bool, str)) or value is None or not low <= value <= high:
                raise BadInput(f"'{value}' is not a value for {name}.", f"Use a number from {low} to {high:g}.")
        walk, top = self.recovery.timesteps, self.diffusion.steps
        if not all(isinstance(t, int) for t in walk) or not walk or list(walk) != sorted(set(walk), reverse=True):
            raise BadInput(f"{walk} are not timesteps to walk down.", "Give falling whole numbers.")
        if walk[-1] < 1 or max(walk[0], self.refine.start, self.finish.start) > top:
            raise BadInput("There are timesteps outside the noise schedule.", f"Give whole numbers from 1 to {top}.")
        if 0 < self.kernel_crop < SMALLEST or (self.kernel_crop or SMALLEST) <= 2 * self.recovery.border:
            raise BadInput(f"A crop of {self.kernel_crop} pixels is too small.", f"Use 0 or at least {SMALLEST}.")
        if self.kernel_size is not None and not isinstance(self.kernel_size, int):
            raise BadInput(f"'{self.kernel_size}' is not a kernel size.", "Use a whole number.")
        return self

    @property
    def search_scale(self) -> int:
        """The scale of the HR guess while the kernel is sought: at most the result's."""
        return min(self.recovery.scale or self.scale, self.scale)

    def as_dict(self) -> dict[str, Any]:
        """Nested plain values, for the report."""
        return asdict(self)


CHOICES = {
    "diffusion.schedule": ("linear", "cosine"),
    "patches.activation": ("relu", "silu", "gelu"),
    "patches.precision": ("fp32", "bf16"),
    "patches.layers": ("all", "last", "condition"),
    "recovery.method": ("kernelfusion", "dip"),
    "recovery.kernel_model": ("inr", "direct_sigmoid", "direct_relu", "linear_cnn"),
    "recovery.posterior_noise": ("posterior", "zero"),
    "recovery.padding": ("reflect", "replicate", "zeros", "canvas"),
    "recovery.precision": ("fp32", "bf16"),
    "refine.precision": ("auto", "fp32", "bf16"),
    "finish.method": ("none", "plug_and_play"),
    "finish.precision": ("auto", "fp32", "bf16"),
}
_MANY = 10**9
RANGES = {
    "seed": (0, 2**63 - 1),
    "kernel_crop": (0, _MANY),
    "diffusion.steps": (1, _MANY),
    "patches.steps": (0, _MANY),
    "patches.timestep_power": (0.1, 10),
    "patches.check_every": (1, _MANY),
    "patches.patience": (0, _MANY),
    "recovery.unet_depth": (1, 5),
    "recovery.inr_layers": (1, 100),
    "recovery.border": (0, 15),
    "refine.rounds": (0, _MANY),
    "finish.fresh_noise": (0, 1),
    **dict.fromkeys(("patches.batch", "patches.crop", "patches.channels"), (1, _MANY)),
    **dict.fromkeys(("recovery.first_iterations", "recovery.iterations", "recovery.prior_every"), (1, _MANY)),
    **dict.fromkeys(("recovery.unet_channels", "recovery.inr_width"), (1, _MANY)),
    **dict.fromkeys(("refine.steps", "refine.start", "refine.end", "refine.tile"), (1, _MANY)),
    **dict.fromkeys(("finish.steps", "finish.start", "finish.tile"), (1, _MANY)),
}


def _look_up(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


def _override(branch: Any, path: list[str], text: str, name: str) -> Any:
    if path[0] not in {entry.name for entry in fields(branch)}:
        known = ", ".join(entry.name for entry in fields(branch))
        raise BadInput(f"There is no setting called '{name}'.", f"At that place there are: {known}.")
    old = getattr(branch, path[0])
    if is_dataclass(old) != (len(path) > 1):
        raise BadInput(
            f"'{name}' does not name one setting.", "Give the full dotted name, as in recovery.iterations=5."
        )
    if is_dataclass(old):
        return replace(branch, **{path[0]: _override(old, path[1:], text, name)})
    try:
        new = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        new = text
    if isinstance(old, float) and isinstance(new, int) and not isinstance(new, bool):
        new = float(new)
    if isinstance(old, tuple) and isinstance(new, int):
        new = (new,)
    if old is not None and new is not None and type(new) is not type(old):
        raise BadInput(f"'{text}' is not a value for {name}.", f"It is now {old!r}.")
    return replace(branch, **{path[0]: new})


_FROM_PRIOR = PatchSettings(prior="bundled", steps=0)
_WALK = RecoverySettings(
    scale=2, learning_rate=1e-3, final_learning_rate=1e-4, unet_channels=16, prior_gradient=False, prior_every=5
)

PRESETS: dict[str, Settings] = {
    # Within 3 minutes on 2 CPU cores for a 128 x 128 photo: kernel sought on a coarser grid with the bundled prior.
    "fast": Settings(
        preset_name="fast",
        kernel_crop=112,
        patches=_FROM_PRIOR,
        recovery=_WALK,
        refine=RefineSettings(rounds=6),
        finish=FinishSettings(method="plug_and_play"),
    ),
    # More of the photo, more iterations, PD in every second one, and the prior adapted to the photo.
    "balanced": Settings(
        preset_name="balanced",
        kernel_crop=192,
        patches=PatchSettings(prior="auto", steps=300, learning_rate=1e-4, patience=4),
        recovery=replace(_WALK, prior_every=2, iterations=40),
        refine=RefineSettings(rounds=10),
        finish=FinishSettings(method="plug_and_play", steps=40),
    ),
    # The numbers of the paper's appendix.
    "paper": Settings(preset_name="paper"),
}
