"""Kernels as layers, as files, and as what GIMP remembers of the last run."""

import ast
import struct
from array import array
from pathlib import Path

from common import BadCall, as_parasite, must, read_parasite
from gi.repository import Gegl, Gimp
from limits import largest_kernel
from source import all_layers

PARASITE = "kernelfusion-kernel"  # on a kernel's layer: its size and scale, and what it is
LAST = "kernelfusion-last-kernel"  # GIMP's own: the kernel of the last run
SIDE = 64 * 4  # of the layer that is taken for a kernel, at most so many pixels where it does not say its size
LINE = 0.375  # shade of the lines between the kernels of a map
WORDS = {"recovered": "recovered", "simple": "simple", "given": "given"}


class Kernel:
    """size x size taps, row by row, of a photo shrunk by `scale`."""

    def __init__(self, taps, size, scale, source="given"):
        self.taps, self.size, self.scale, self.source = array("f", taps), size, scale, source

    def about(self):
        return {"size": self.size, "scale": self.scale, "source": self.source}


def add_kernel_layer(image, kernel, corner, of):
    """The kernel as a layer, hidden: its largest tap white, each tap a square large enough to be seen.

    `of` is added to its name.
    """
    size, taps = kernel.size, kernel.taps
    top = max(taps) or 1.0
    shades = [[max(0.0, tap) / top for tap in taps[row * size : (row + 1) * size]] for row in range(size)]
    side = max(1, min(image.get_width(), image.get_height()) // (5 * size))
    name = f"Kernel {size} × {size} ({WORDS.get(kernel.source, 'recovered')}){of}"
    layer = add_shades(image, name, shades, side, corner)
    layer.attach_parasite(as_parasite(PARASITE, kernel.about()))


def add_map_layer(image, kernels, corner, of):
    """The kernels of regions, each in its place, as a hidden layer: the largest tap of all is white.

    `kernels` is rows of columns of kernels, each a list of rows.
    """
    size = len(kernels[0][0])
    gap = max(1, size // 12)
    top = max(tap for across in kernels for kernel in across for row in kernel for tap in row) or 1.0
    between = [[LINE] * (len(kernels[0]) * (size + gap) + gap)] * gap
    shades = list(between)
    for across in kernels:
        for y in range(size):
            line = [LINE] * gap
            for kernel in across:
                line += [max(0.0, tap) / top for tap in kernel[y]] + [LINE] * gap
            shades.append(line)
        shades += between
    side = max(1, min(image.get_width(), image.get_height()) // (2 * max(len(shades), len(shades[0]))))
    add_shades(image, f"Map of kernels, {len(kernels)} × {len(kernels[0])}{of}", shades, side, corner)


def add_shades(image, name, shades, side, corner):
    """Rows of shades of grey, 0 to 1, as a hidden layer on top, each a square of `side` pixels."""
    rows = []
    for line in shades:
        wide = array("f")
        for shade in line:
            wide.extend([shade] * side)
        rows.append(wide.tobytes() * side)
    grey = image.get_base_type() == Gimp.ImageBaseType.GRAY
    kind = Gimp.ImageType.GRAY_IMAGE if grey else Gimp.ImageType.RGB_IMAGE
    width, height = side * len(shades[0]), side * len(shades)
    layer = Gimp.Layer.new(image, name, width, height, kind, 100.0, Gimp.LayerMode.NORMAL)
    what = "a kernel's layer"
    must(image.insert_layer(layer, None, 0), f"add {what}")
    must(layer.set_offsets(*corner), f"move {what}")
    buffer = layer.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, width, height), "Y' float", b"".join(rows))
    buffer.flush()
    layer.update(0, 0, width, height)
    layer.set_visible(False)
    return layer


def given_kernel(options, image, drawables):
    """The Kernel that the options ask for, or None where it is to be recovered. Raises BadCall."""
    if options.kernel == "last":
        kernel = last_kernel()
    elif options.kernel == "layer":
        kernel = kernel_of_layer(kernel_layer(image, drawables), options.scale)
    elif options.kernel == "file":
        kernel = kernel_of_file(options.kernel_file, options.scale)
    else:
        return None
    if not all(tap == tap and abs(tap) < 1e30 for tap in kernel.taps) or sum(kernel.taps) <= 1e-8:
        raise BadCall("The kernel is black: it needs at least one bright tap. Paint it, or choose another.")
    return kernel


def kernel_layer(image, drawables):
    """The topmost layer that holds a kernel; else the topmost called "Kernel…" that is not what is enlarged."""
    layers = list(all_layers(image.get_layers()))
    chosen = {each.get_id() for each in drawables}
    for fits in (
        lambda layer: layer.get_parasite(PARASITE) is not None,
        lambda layer: layer.get_name().lower().startswith("kernel"),
    ):
        for layer in layers:
            if layer.get_id() not in chosen and not layer.is_group_layer() and fits(layer):
                return layer
    raise BadCall(
        "There is no kernel layer in this image. Run the filter with 'Add the kernel as a layer', or name a square "
        "layer 'Kernel'."
    )


def kernel_of_layer(layer, scale):
    """The shades of a layer as taps; where it does not say how many there are, every pixel is one."""
    width, height = layer.get_width(), layer.get_height()
    about = read_parasite(layer.get_parasite(PARASITE)) or {}
    size = about.get("size", width)
    if width != height or width > 4 * SIDE or not isinstance(size, int) or size < 1 or width % size:
        raise BadCall(f"The layer '{layer.get_name()}' is {width} × {height} pixels, which is no kernel: use a square.")
    if "size" not in about and size > largest_kernel(scale):
        raise BadCall(
            f"The kernel layer has {size} taps per side; at a scale of {scale} use at most {largest_kernel(scale)}."
        )
    side = width // size
    whole = Gegl.Rectangle.new(0, 0, width, height)
    shades = array("f", layer.get_buffer().get(whole, 1.0, "Y' float", Gegl.AbyssPolicy.NONE))
    taps = []
    for row in range(size):
        for column in range(size):
            block = (shades[(row * side + y) * width + column * side + x] for y in range(side) for x in range(side))
            taps.append(max(0.0, sum(block) / side**2))
    return Kernel(taps, size, about.get("scale", scale))


def kernel_of_file(name, scale):
    """A kernel in numpy's format, of numbers, as `kf kernel` writes it."""
    path = Path(name or "").expanduser()
    if not name or not path.is_file():
        raise BadCall(f"There is no kernel file at '{name}'. Choose a .npy file, as 'kf kernel' writes it.")
    try:
        data = path.read_bytes()[: 1 << 22]
        length, start = struct.unpack("<H", data[8:10])[0], 10
        if data[:6] != b"\x93NUMPY" or data[6] != 1:
            raise ValueError
        header = ast.literal_eval(data[start : start + length].decode("latin1"))
        kind = {"<f4": "f", "<f8": "d"}[header["descr"]]
        rows, columns = header["shape"]
        taps = array(kind, data[start + length :])
        if rows != columns or len(taps) != rows * columns:
            raise ValueError
    except (OSError, ValueError, KeyError, SyntaxError, struct.error, TypeError):
        raise BadCall(f"'{path.name}' is no kernel: use a square array of floats saved with numpy.save.") from None
    if header["fortran_order"]:
        taps = array(kind, (taps[column * rows + row] for row in range(rows) for column in range(rows)))
    return Kernel(taps, rows, scale)


def remember(kernel):
    """Keeps the kernel of this run for the next, also after GIMP has been closed."""
    Gimp.attach_parasite(as_parasite(LAST, {**kernel.about(), "taps": [round(tap, 8) for tap in kernel.taps]}))


def last_kernel():
    about = read_parasite(Gimp.get_parasite(LAST))
    try:
        return Kernel(about["taps"], about["size"], about["scale"])
    except (TypeError, KeyError):
        raise BadCall("There was no run whose kernel could be used. Let it be recovered from the photo once.") from None
