"""The arguments of the procedure, checked."""

from choices import NAMES
from common import BadCall
from gi.repository import Gimp
from limits import (
    DEVICES,
    KERNELS,
    MOST_REGIONS,
    PRESETS,
    RESULTS,
    SCALES,
    USES,
    kernel_fits,
    largest_kernel,
    usual_kernel,
)


class Options:
    """The arguments, checked here: GIMP would silently replace a value it knows to be out of range."""

    def __init__(self, config, image):
        for name in NAMES:
            setattr(self, name.replace("-", "_"), config.get_property(name))
        self.overrides = (self.advanced or "").split()
        if self.scale not in SCALES:
            raise BadCall(f"A scale of {self.scale} is not possible. Use 1, 2, 3 or 4.")
        for name, allowed in (
            ("preset", PRESETS),
            ("use", USES),
            ("result", RESULTS),
            ("device", DEVICES),
            ("kernel", KERNELS),
        ):
            if getattr(self, name) not in allowed:
                raise BadCall(f"'{getattr(self, name)}' is not a value for '{name}'. Use {', '.join(allowed)}.")
        size, scale = self.kernel_size, self.scale
        if size and not kernel_fits(size, scale):
            parity = "odd" if scale % 2 else "even"
            raise BadCall(
                f"A kernel of {size} taps does not fit a scale of {scale}. Use an {parity} number from {scale} to "
                f"{largest_kernel(scale)}, or 0 for automatic ({usual_kernel(scale)})."
            )
        if self.seed < 0:
            raise BadCall(f"A seed of {self.seed} is not possible. Use 0 or a positive number.")
        if not 0 <= self.strength <= 100:
            raise BadCall(f"A strength of {self.strength} % is not possible. Use a number from 0 to 100.")
        if self.seconds < 0:
            raise BadCall(
                f"A run cannot take {self.seconds} seconds. Use a positive number, or 0: as long as it needs."
            )
        if self.varying:
            for wrong, what in (
                (self.kernel_known, "with a known kernel"),
                (self.scale == 1, "at the same size"),
                (self.preset == "paper", "with the preset 'paper'"),
            ):
                if wrong:
                    raise BadCall(
                        f"Blur that varies over the photo cannot be looked for {what}. Leave one of them out."
                    )
            self.overrides.insert(0, f"varying.regions={MOST_REGIONS}")
        if self.use == "auto":
            self.use = "layer" if Gimp.Selection.is_empty(image) else "selection"

    @property
    def kernel_known(self):
        return self.kernel != "photo"

    def settings(self):
        return {
            "preset": self.preset,
            "scale": self.scale,
            "kernel_size": None if self.kernel_known else self.kernel_size or None,
            "seed": self.seed,
            "device": self.device,
            "overrides": self.overrides,
        }
