"""What was chosen in the dialog, kept although the run failed: GIMP by itself keeps it only after a success."""

from common import as_parasite, read_parasite
from gi.repository import Gimp

KEPT = "kernelfusion-choices"
NAMES = ("scale", "preset", "kernel", "kernel-file", "kernel-size", "strength", "use", "result", "add-kernel")
NAMES += ("varying", "seconds", "seed", "device", "engine", "advanced")


def keep_choices(config):
    Gimp.attach_parasite(as_parasite(KEPT, {name: config.get_property(name) for name in NAMES}))


def restore_choices(config):
    """Sets those of a run that failed, if it was the last."""
    kept = read_parasite(Gimp.get_parasite(KEPT))
    for name, value in (kept or {}).items():
        if name in NAMES:
            config.set_property(name, value)


def forget_choices():
    if Gimp.get_parasite(KEPT) is not None:
        Gimp.detach_parasite(KEPT)
