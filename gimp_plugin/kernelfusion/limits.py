"""What the arguments may be, as the engine has it. Standard library only: the tests compare it with the engine."""

PROTOCOL = 1
SMALLEST = 32  # pixels per side the engine needs
LARGEST = 524288  # pixels per side GIMP can hold
MOST = 2**31 - 1

SCALES = (1, 2, 3, 4)
PRESETS = {"fast": "Fast", "balanced": "Balanced", "paper": "As in the paper (very slow)"}
USES = {
    "auto": "The selection, or else the layer",
    "layer": "The layer",
    "selection": "The selection",
    "visible": "The visible image",
}
RESULTS = {
    "new-image": "A new image",
    "new-layer": "A new, larger layer",
    "same-size": "The same size, sharper (deblur)",
}
DEVICES = {"auto": "Automatic", "cuda": "Graphics card (CUDA)", "mps": "Graphics card (Apple)", "cpu": "Processor"}
KERNELS = {
    "photo": "Recovered from the photo",
    "last": "The one of the last run",
    "layer": "That of a kernel layer",
    "file": "From a file (.npy)",
}

TIMES = {  # seconds that a run may take
    0: "As long as it needs",
    60: "About 1 minute",
    300: "About 5 minutes",
    900: "About 15 minutes",
    3600: "About an hour",
}
MOST_REGIONS = 4  # per side, of a photo whose blur varies


def largest_kernel(scale):
    """Taps per side: sixteen pixels of the photo, with the parity of the scale; more at the same size."""
    return 63 if scale == 1 else 16 * scale - scale % 2


def usual_kernel(scale):
    """Taps per side that the engine takes by itself."""
    return 25 if scale == 1 else 6 * scale + scale % 2


def kernel_fits(size, scale):
    return scale <= size <= largest_kernel(scale) and (size - scale) % 2 == 0


def nearest_kernel(size, scale, before=0):
    """A size that fits, or 0 for automatic, near `size`, in the direction in which it was changed from `before`."""
    if size <= 0 or (size < scale and size < before):
        return 0
    size = min(max(size, scale), largest_kernel(scale))
    return size if (size - scale) % 2 == 0 else size + 1
