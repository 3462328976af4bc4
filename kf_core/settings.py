"""Everything a user may want to turn, as named settings: one tree of frozen dataclasses, and three presets.

Each setting states its type, its range and its meaning in one place, its field. Defaults are the paper's numbers where
it prints one (appendix A.2-A.4) and otherwise the choice that measured best; docs/design.md says which is which and
where the measurement is. Numbers that were fitted to data are in trust/fitted.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from kf_core.errors import BadSetting
from kf_core.setting_values import check_value, leaves, overridden, setting

SMALLEST = 32  # pixels per side of a photo or crop: below, there are fewer patches than unknowns
SCALES = (1, 2, 3, 4)
PRECISIONS = ("auto", "fp32", "bf16")
MOST_REGIONS = 4  # per side


@dataclass(frozen=True)
class DiffusionSettings:
    """The noise schedule both phases share."""

    schedule: str = setting("linear", "the paper prints neither", choices=("linear", "cosine"))
    steps: int = setting(1000, "T", 1)


@dataclass(frozen=True)
class PatchSettings:
    """Phase 1: the patch diffusion network and how it learns (A.2)."""

    prior: str = setting("none", '"none": from scratch, as the paper; else anything load_prior understands')
    channels: int = setting(128, "filters; ignored with a prior: the checkpoint knows", 1)
    activation: str = setting("relu", "between convolutions", choices=("relu", "silu", "gelu"))
    residual: bool = setting(True, "blocks 2 to 5 add to their input")
    steps: int = setting(600_000, "of training; Table 6 also reports 100_000", 0)
    batch: int = setting(1, "crops a step", 1)
    crop: int = setting(64, "pixels per side", 1)
    learning_rate: float = setting(1e-4, "at the beginning ...", 0)
    final_learning_rate: float = setting(0.0, "... annealed to this", 0)
    warmup: int = setting(0, "steps over which the rate rises from 0", 0)
    augment: bool = setting(False, "flips, transposition, now and then grey or half size")
    ema: float = setting(0.0, "decay of the weight average that is returned; 0 returns the last weights", 0, 1)
    clip: float = setting(0.0, "gradient norm, 0: unlimited", 0)
    timestep_power: float = setting(1.0, "1: all timesteps alike; larger: low noise more often", 0.1, 10)
    layers: str = setting(
        "all",
        "which learn: the last two blocks, or scale and shift from t, or all",
        choices=("all", "last", "condition"),
    )
    check_every: int = setting(25, "steps between two looks at what is not learned from", 1)
    patience: int = setting(0, "checks without progress before learning stops, with a part held out; 0: never", 0)
    precision: str = setting("fp32", "of the forward pass, by autocast", choices=PRECISIONS)


@dataclass(frozen=True)
class RecoverySettings:
    """Phase 2: Algorithm 1, the reverse diffusion that fits the U-Net and the kernel network."""

    scale: int | None = setting(None, "of the HR guess while the kernel is sought; None: the result's", 1, 4)
    method: str = setting(
        "kernelfusion",
        '"dip": a U-Net on noise and the kernel network, no diffusion (Table 4)',
        choices=("kernelfusion", "dip"),
    )
    timesteps: tuple[int, ...] = setting((400, 350, 300, 250, 200, 150, 100, 75, 50, 25, 10, 1), "falling")
    first_iterations: int = setting(100, "at the first timestep", 1)
    iterations: int = setting(20, "at every other", 1)
    learning_rate: float = setting(1e-4, "at the beginning of each timestep ...", 0)
    final_learning_rate: float = setting(1e-5, "... annealed to this at its end", 0)
    kernel_learning_rate: float | None = setting(None, "None: the same two for the kernel network", 0)
    kernel_final_learning_rate: float | None = setting(None, "likewise", 0)
    unet_channels: int = setting(32, "filters of the first level", 1)
    unet_depth: int = setting(5, "levels", 1, 5)
    separate_unets: bool = setting(False, "Table 5")
    kernel_model: str = setting("inr", "Table 4", choices=("inr", "direct_sigmoid", "direct_relu", "linear_cnn"))
    inr_layers: int = setting(5, "sine layers", 1, 100)
    inr_width: int = setting(256, "nodes a layer", 1)
    inr_omega: float = setting(5.0, "frequency factor of every layer", 0)
    inr_extent: float = setting(1.0, "the coordinate grid is [-extent, extent]", 0)
    com_weight: float = setting(0.01, "of the squared distance in pixels", 0)
    posterior_noise: str = setting("posterior", "sigma_t of line 17", choices=("posterior", "zero"))
    prior_gradient: bool = setting(True, "the gradient passes through the frozen PD")
    prior_every: int = setting(1, "PD is run every so many iterations; between those its last output is reused", 1)
    padding: str = setting(
        "reflect", "what lies beyond the picture", choices=("reflect", "replicate", "zeros", "canvas")
    )
    border: int = setting(0, "LR pixels at each side that the loss leaves out", 0, 15)
    precision: str = setting("fp32", "of the networks, by autocast", choices=PRECISIONS)


@dataclass(frozen=True)
class RefineSettings:
    """Expectation maximisation on the kernel that was estimated. Not in the paper; see docs/design.md."""

    rounds: int = setting(0, "0: the estimated kernel as it is", 0)
    steps: int = setting(6, "PD forward passes a round", 1)
    start: int = setting(200, "first timestep of a round", 1)
    end: int = setting(10, "last timestep of a round", 1)
    once: bool = setting(False, "the timesteps fall from start to end once over all rounds, not in each")
    prior_weight: float = setting(0.2, "mu, as in FinishSettings", 0)
    ridge: float = setting(0.004, "variance of the image's own error, in [-1, 1] units", 0)
    smoothness: float = setting(0.02, "of the squared differences between neighbouring taps", 0)
    damping: float = setting(0.5, "share of the new kernel in the next", 0, 1)
    keep: float = setting(0.0, "share, in the result, of the kernel that it began with", 0, 1)
    tile: int = setting(256, "HR pixels per side that go through PD at a time", 1)
    precision: str = setting("auto", "of PD; bf16 where the processor has it, else fp32", choices=PRECISIONS)


@dataclass(frozen=True)
class FinishSettings:
    """The image, once the kernel is known: a plug-and-play denoiser. Not in the paper; see docs/design.md."""

    # "none": the image of Algorithm 1, as in the paper, if it walked the whole photo at full scale and the kernel was
    # not refined since; else, and with "plug_and_play", the image is made anew with the kernel
    method: str = setting("none", "how the image is made", choices=("none", "plug_and_play"))
    start: int = setting(100, "first timestep", 1)
    steps: int = setting(20, "forward passes of the denoiser", 1)
    prior_weight_known: float = setting(0.001, "mu, the weight of the prior against the photo, with a known kernel", 0)
    # Errors of the kernel would ring. The weight goes from the first to the second as the kernel's likeness falls; of a
    # kernel whose likeness nobody knows it is halfway. Both are for a kernel of five LR pixels' area; a wider one's is
    # less, as the root of its area.
    prior_weight_recovered: float = setting(0.009, "mu with a recovered kernel that is very likely right", 0)
    prior_weight_unsure: float = setting(0.07, "mu with a recovered kernel that may well be wrong", 0)
    # A simple kernel stands in where a search failed; one preferred to a learned kernel has that one's weight. It tends
    # to be too wide, which puts a comb-like pattern with the period of an LR pixel into the picture.
    prior_weight_simple: float = setting(0.05, "mu with a simple kernel in place of a searched one", 0)
    prior_weight_same_size: float = setting(0.4, "mu with a recovered kernel at scale 1, of 16 times as many pixels", 0)
    noise_weight: float = setting(0.0015, "added to mu for each squared grey level of noise", 0)
    # Text and drawings get all of it, whatever is said here: with less their image stays near its blurred start.
    noise: float = setting(0.5, "added before each pass, in parts of the noise that the pass is told of", 0, 1)
    turns: bool = setting(True, "each pass sees the image turned and mirrored in another way")
    tile: int = setting(256, "HR pixels per side that go through PD at a time", 1)
    precision: str = setting("auto", "of PD; bf16 where the processor has it, else fp32", choices=PRECISIONS)


@dataclass(frozen=True)
class VaryingSettings:
    """Kernels that vary over the photo, found in overlapping regions of it. Not in the paper; see docs/design.md."""

    regions: int = setting(1, "per side, at most; 1: one kernel for the whole photo", 1, MOST_REGIONS)
    least_side: int = setting(112, "LR pixels of a region: a smaller photo has fewer of them", 96)
    # No photograph with one kernel has more, with noise or JPEG neither: benchmarks/varying.py, see docs/results.md.
    threshold: float = setting(
        0.021, "median of 1 less the cosine between a region's kernel and the median of all: below, there is one", 0, 2
    )
    refine: bool = setting(False, "refine every region's kernel, as `refine` says for the one: slow, and gains little")


@dataclass(frozen=True)
class Settings:
    """Everything super_resolve can be told. Build one with `preset` and change it with dataclasses.replace."""

    preset_name: str = setting("paper", "where these settings began")
    scale: int = setting(4, "how many times larger; 1: as large, only sharper", SCALES[0], SCALES[-1])
    kernel_size: int | None = setting(None, "taps per side, of the parity of the scale; None: six LR pixels", 1)
    seed: int = setting(0, "one generator, seeded with it, makes all randomness", 0, 2**63 - 1)
    device: str = setting("auto", "where to compute", choices=("auto", "cpu", "cuda", "mps"))
    estimator: str = setting(
        "algorithm1",
        'what finds the kernel: "learned", a network trained on many kernels, or the paper\'s Algorithm 1; "both": '
        "Algorithm 1 begins with the learned one's, and the better supported of the two is kept",
        choices=("algorithm1", "learned", "both"),
    )
    kernel_network: str = setting("bundled", 'of the estimator "learned"; or a file that `kf train-kernel` wrote')
    kernel_crop: int = setting(0, "LR pixels per side of the crop the kernel is sought on; 0: the whole photo", 0)
    memory: float = setting(2.0, "GiB for making the image; where it takes more, it is made in tiles", 0.005)
    stretch: bool = setting(
        False,
        "the range of values that the photo fills counts as full, not that of its file; a frame around the photo and "
        "clipped values do not count",
    )
    sharpening: float | None = setting(
        0.0,
        "share of the unsharp mask that sharpened the photo in the camera, undone first; None: as the photo shows",
        0,
        2,
    )
    doubt: bool = setting(
        False,
        "weigh the recovered kernel against simple ones, and mix its image with the bicubic enlargement by confidence",
    )
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)
    patches: PatchSettings = field(default_factory=PatchSettings)
    recovery: RecoverySettings = field(default_factory=RecoverySettings)
    refine: RefineSettings = field(default_factory=RefineSettings)
    varying: VaryingSettings = field(default_factory=VaryingSettings)
    finish: FinishSettings = field(default_factory=FinishSettings)

    @classmethod
    def preset(cls, name: str = "fast", **changes: Any) -> Settings:
        """The preset "fast", "balanced" or "paper", with top-level fields changed. Raises BadSetting: no such name.

        >>> Settings.preset("balanced", scale=2).scale
        2
        """
        if name not in PRESETS:
            raise BadSetting(f"There is no preset '{name}'.", f"Choose one of {', '.join(PRESETS)}.")
        return replace(PRESETS[name], **changes)

    def with_overrides(self, assignments: Iterable[str]) -> Settings:
        """Any setting by its dotted name.

        >>> changed = Settings.preset("fast").with_overrides(["recovery.iterations=5", "patches.prior=auto"])
        >>> changed.recovery.iterations, changed.patches.prior
        (5, 'auto')

        Raises BadSetting for a name that does not exist or a value it cannot have.
        """
        changed = self
        for assignment in assignments:
            name, equals, text = assignment.partition("=")
            if not equals:
                raise BadSetting(f"'{assignment}' is not of the form NAME=VALUE.", "For example recovery.iterations=5.")
            changed = overridden(changed, name.strip().split("."), text.strip(), name.strip())
        return changed

    def checked(self) -> Settings:
        """Itself. Raises BadSetting for a value that no run can use, before any work is done."""
        for name, value, entry, kind in leaves(self):
            check_value(name, value, entry, kind)
        timesteps, top = self.recovery.timesteps, self.diffusion.steps
        if not timesteps or list(timesteps) != sorted(set(timesteps), reverse=True):
            raise BadSetting(f"{timesteps} are not timesteps to walk down.", "Give falling whole numbers.")
        if timesteps[-1] < 1 or max(timesteps[0], self.refine.start, self.finish.start) > top:
            raise BadSetting("There are timesteps outside the noise schedule.", f"Give whole numbers from 1 to {top}.")
        if 0 < self.kernel_crop < SMALLEST or (self.kernel_crop or SMALLEST) <= 2 * self.recovery.border:
            raise BadSetting(f"A crop of {self.kernel_crop} pixels is too small.", f"Use 0 or at least {SMALLEST}.")
        for name, without_effect, hint in self._without_effect():
            if without_effect:
                raise BadSetting(f"The setting {name} would have no effect here.", hint)
        return self

    def _without_effect(self) -> Iterator[tuple[str, bool, str]]:
        """(setting, whether it was changed and would be ignored, what to do) of the combinations that do not fit."""
        patches, recovery, usual = self.patches, self.recovery, PatchSettings()
        if patches.prior != "none":
            for name in ("channels", "activation", "residual"):
                changed = getattr(patches, name) != getattr(usual, name)
                hint = "Leave it out: the prior has its own; or train from scratch, prior none."
                yield f"patches.{name}", changed, hint
        elif not patches.steps:
            yield "patches.prior=none", True, "Let it learn for some steps, or use the prior 'bundled'."
        larger = recovery.scale is not None and recovery.scale > self.scale
        yield "recovery.scale", larger, "Use at most the scale of the result."
        hint = "Set finish.method to plug_and_play: the image of Algorithm 1 has one kernel."
        yield "varying.regions", self.varying.regions > 1 and self.finish.method == "none", hint
        dip = recovery.method == "dip"
        yield "recovery.separate_unets", dip and recovery.separate_unets, "The method 'dip' has one U-Net."

    @property
    def search_scale(self) -> int:
        """The scale of the HR guess while the kernel is sought: at most the result's."""
        return min(self.recovery.scale or self.scale, self.scale)

    def as_dict(self) -> dict[str, Any]:
        """Nested plain values, for the report."""
        return asdict(self)


_FROM_PRIOR = PatchSettings(prior="ffdnet", steps=0)
_WALK = RecoverySettings(
    scale=2, learning_rate=1e-3, final_learning_rate=1e-4, unet_channels=16, prior_gradient=False, prior_every=5
)

PRESETS: dict[str, Settings] = {
    # A learned kernel, refined on the photo's most telling part: no training at run time.
    "fast": Settings(
        preset_name="fast",
        estimator="learned",
        kernel_crop=96,
        stretch=True,
        doubt=True,
        patches=_FROM_PRIOR,
        refine=RefineSettings(rounds=8, steps=1, end=20, once=True, damping=0.8, keep=0.5, ridge=0.03, tile=512),
        finish=FinishSettings(method="plug_and_play", steps=14, tile=512),
    ),
    # Algorithm 1 from the learned kernel on, with PD in every second iteration and adapted to the photo.
    "balanced": Settings(
        preset_name="balanced",
        estimator="both",
        kernel_crop=192,
        stretch=True,
        doubt=True,
        patches=PatchSettings(prior="auto", steps=300, learning_rate=1e-4, patience=4),
        recovery=replace(_WALK, prior_every=2, iterations=40),
        refine=RefineSettings(rounds=10),
        finish=FinishSettings(method="plug_and_play", steps=40),
    ),
    # The numbers of the paper's appendix.
    "paper": Settings(preset_name="paper"),
}
