"""What is enlarged, and all that the result needs to know of it: read before the run, which may outlast the image."""

from common import BadCall, must
from gi.repository import Gegl, Gimp
from limits import LARGEST, SMALLEST
from masks import mask_of, selection_of, unlock

CONTEXT = 32  # pixels around a selection that the engine may look at, at least ...
PART = 192  # ... and as many as the kernel is best sought on: so many pixels per side in all
BAND_BYTES = 32 << 20  # pixels pass between GIMP and the file in bands of about this size


class Source:
    """What is enlarged: a rectangle of a drawable.

    `layer` is None for the visible image. `area` is what the result is made for and `seen` what the engine gets, both
    as (x, y, width, height) in the drawable. `offset` is where the drawable is in the image.
    """

    def __init__(self, image, layer, options):
        self.image, self.layer, self._scratch, self.mask = image, layer, [], None
        try:
            self._choose(image, options)
            self.about = Facts(image, self.layer)
            self.layer_size = (self.drawable.get_width(), self.drawable.get_height())
            self.selection = selection_of(image)
            if options.result != "same-size":
                self.mask = mask_of(image, self.layer, options.use, self.box)
        except BaseException:
            self.close()
            raise

    def _choose(self, image, options):
        if self.layer is None:
            self.drawable = must(Gimp.Layer.new_from_visible(image, image, "Visible"), "render the visible image")
            self._scratch.append(self.drawable)
        else:
            self.drawable = self.layer
            # At the same size the effects stay on the layer, and work on the sharper pixels beneath them.
            if self.layer.get_filters() and options.result != "same-size":
                scratch, self.drawable = with_effects_merged(image, self.layer)
                self._scratch.append(scratch)
        self.offset = (0, 0) if self.layer is None else tuple(self.drawable.get_offsets())[1:]
        whole = (0, 0, self.drawable.get_width(), self.drawable.get_height())
        self.area = self.seen = whole
        selected = not Gimp.Selection.is_empty(image)
        if options.use == "selection" and not selected:
            raise BadCall("Nothing is selected. Select a part of the layer, or use the whole layer.")
        if options.use == "selection" or (selected and options.result == "same-size" and self.layer is not None):
            inside, *area = self.layer.mask_intersect()
            if not inside:
                raise BadCall("The selection lies outside the layer. Move it, or select nothing to use all of it.")
            if self.drawable is not self.layer:  # effects may have made it larger
                old, new = tuple(self.layer.get_offsets())[1:], self.offset
                area[0], area[1] = area[0] + old[0] - new[0], area[1] + old[1] - new[1]
            self.area = tuple(area)
            self.seen = grown(self.area, CONTEXT, PART, whole)
        _, _, width, height = self.seen
        if min(width, height) < SMALLEST:
            raise BadCall(
                f"{width} × {height} pixels are too few: KernelFusion learns from the photo itself and needs at least "
                f"{SMALLEST} × {SMALLEST}."
            )
        if max(width, height) * options.scale > LARGEST:
            raise BadCall(f"{width} × {height} pixels are too many: GIMP cannot hold the result.")
        self.alpha = self.drawable.has_alpha()
        self.grey = self.drawable.is_gray()
        # Always sRGB's curve, whatever the precision: what photos are seen in is what the engine has learned.
        self.format = ("Y'" if self.grey else "R'G'B'") + ("A" if self.alpha else "") + " float"
        self.channels = (1 if self.grey else 3) + self.alpha

    @property
    def box(self):
        """`area` in the coordinates of the image."""
        return (self.offset[0] + self.area[0], self.offset[1] + self.area[1], *self.area[2:])

    def see(self, part, around):
        """Has only that part of `area` written, with what is around it: `around` pixels a side in all."""
        self.seen = grown(part, 0, around, (0, 0, self.drawable.get_width(), self.drawable.get_height()))

    def close(self):
        for each in self._scratch:
            if each.is_valid():
                each.delete()
        if self.mask is not None:
            self.mask.close()

    def write(self, path):
        x, y, width, height = self.seen
        buffer = self.drawable.get_buffer()
        with open(path, "wb") as file:
            for top, rows in bands(height, width * self.channels * 4):
                rectangle = Gegl.Rectangle.new(x, y + top, width, rows)
                file.write(buffer.get(rectangle, 1.0, self.format, Gegl.AbyssPolicy.CLAMP))


class Facts:
    """What a new image and a new layer take over from the old ones."""

    def __init__(self, image, layer):
        self.size = image.get_width(), image.get_height()
        self.indexed = image.get_base_type() == Gimp.ImageBaseType.INDEXED
        self.base = Gimp.ImageBaseType.RGB if self.indexed else image.get_base_type()
        self.precision, self.profile = image.get_precision(), image.get_color_profile()
        _, *self.resolution = image.get_resolution()
        self.unit, self.metadata = image.get_unit(), image.get_metadata()
        # GIMP keeps the two that are left out apart.
        self.parasites = parasites(image, ("icc-profile", "gimp-metadata"))
        self.file = image.get_file() or image.get_imported_file() or image.get_exported_file()
        self.layer_name, self.layer_parasites, self.look = "Visible", [], {}
        if layer is not None:
            self.layer_name = layer.get_name()
            self.layer_parasites = parasites(layer, ("gimp-text-layer",))
            self.look = {name: getattr(layer, f"get_{name}")() for name in LOOK}
        self.mask_used = layer is None or layer.get_mask() is None or layer.get_apply_mask()


LOOK = ("opacity", "mode", "blend_space", "composite_space", "composite_mode", "color_tag")


def parasites(owner, but):
    return [owner.get_parasite(name) for name in owner.get_parasite_list() if name not in but]


class Result:
    """The engine's pixels, of which the part that belongs to `area` is wanted."""

    def __init__(self, path, about, source, scale):
        self._path, self._width, self._channels, self.format = path, about["width"], about["channels"], source.format
        left, top = (source.area[axis] - source.seen[axis] for axis in (0, 1))
        self.left, self.top, self.width, self.height = (value * scale for value in (left, top, *source.area[2:]))

    def read_into(self, buffer, x, y):
        """Writes the pixels into a Gegl buffer, their upper left corner at (x, y)."""
        pixel = self._channels * 4
        with open(self._path, "rb") as file:
            for band, rows in bands(self.height, self._width * pixel):
                file.seek((self.top + band) * self._width * pixel)
                data = file.read(rows * self._width * pixel)
                if self.width != self._width:
                    starts = (pixel * (row * self._width + self.left) for row in range(rows))
                    data = b"".join(data[start : start + pixel * self.width] for start in starts)
                buffer.set(Gegl.Rectangle.new(x, y + band, self.width, rows), self.format, data)
        buffer.flush()


def bands(height, row_bytes):
    """(first row, number of rows) from top to bottom."""
    rows = max(1, BAND_BYTES // row_bytes)
    return [(top, min(rows, height - top)) for top in range(0, height, rows)]


def grown(area, margin, side, whole):
    """The rectangle with a margin around it, and at least so wide and high, as far as `whole` reaches."""
    found = []
    for axis in (0, 1):
        start, length, limit = area[axis], area[2 + axis], whole[2 + axis]
        more = max(margin, -(-(side - length) // 2))
        first, last = start - more, start + length + more
        first, last = first - max(0, last - limit), last - min(0, first)  # what is cut off here is added there
        found.append((max(0, first), min(limit, last)))
    (left, right), (top, bottom) = found
    return left, top, right - left, bottom - top


def chosen(image, drawables, options):
    """The layers to enlarge, from the bottom to the top; [None] for the visible image. Raises BadCall."""
    if options.use == "visible":
        return [None]
    if not drawables:
        raise BadCall("No layer is selected. Select one in the Layers dialog.")
    if not all(each.is_layer() for each in drawables):
        raise BadCall("A channel or a mask is selected. Select a layer in the Layers dialog.")
    wanted = {each.get_id() for each in drawables}
    found = [layer for layer in all_layers(image.get_layers()) if layer.get_id() in wanted]
    return found[::-1] if len(found) == len(wanted) else list(drawables)


def all_layers(layers):
    """From the top to the bottom, a group before what is in it."""
    for layer in layers:
        yield layer
        if layer.is_group_layer():
            yield from all_layers(layer.get_children())


def with_effects_merged(image, layer):
    """(a scratch copy of the image, the layer in it with its effects applied): the image itself stays as it is."""
    path, item = [], layer
    while item is not None:
        path.insert(0, image.get_item_position(item))
        item = item.get_parent()
    scratch = image.duplicate()
    try:
        found = scratch.get_layers()[path[0]]
        for position in path[1:]:
            found = found.get_children()[position]
        unlock(found)
        if found.is_group_layer():  # GIMP merges the effects of a group only together with the group
            if found.get_mask() is not None:
                must(found.remove_mask(Gimp.MaskApplyMode.DISCARD), "leave the mask of a group out")
            found.set_opacity(100.0)
            found.set_mode(Gimp.LayerMode.NORMAL)
            found = must(found.merge(), "merge a layer group")
        else:
            must(found.merge_filters(), "merge the effects of a layer")
    except BaseException:
        scratch.delete()
        raise
    return scratch, found


def areas(image, drawables, options):
    """[(layer, area, seen)] as a Source has them, nothing being computed; the layer is None for the visible image."""
    found = []
    for layer in chosen(image, drawables, options):
        if layer is None:
            whole = (0, 0, image.get_width(), image.get_height())
            found.append((layer, whole, whole))
            continue
        whole = (0, 0, layer.get_width(), layer.get_height())
        area = seen = whole
        selected = not Gimp.Selection.is_empty(image)
        if options.use == "selection" or (selected and options.result == "same-size"):
            inside, *area = layer.mask_intersect()
            if not selected or not inside:
                raise BadCall("Nothing of the layer is selected. Select a part of it, or use the whole layer.")
            area = tuple(area)
            seen = grown(area, CONTEXT, PART, whole)
        found.append((layer, area, seen))
    return found
