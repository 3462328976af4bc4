"""Where the result goes: a new image, a new layer, or into the layer. A result that was computed is never lost."""

from pathlib import Path

from common import BadCall, Refused, as_parasite, must
from gi.repository import Gimp
from kernels import add_kernel_layer, add_map_layer
from masks import selection_of
from source import all_layers, bands

REPORT = "kernelfusion-report"  # on the layer of a result: what the engine says of it


def check_target(source, options):
    """Before the long run: raises BadCall if the result cannot go where it is wanted."""
    layer = source.layer
    if options.result != "same-size" or layer is None:
        return
    if layer.is_group_layer():
        raise BadCall("A layer group has no pixels of its own to sharpen. Choose a layer, or let a new layer be made.")
    if (holder := locked(layer, "content")) is not None:
        what = "The layer" if holder.get_id() == layer.get_id() else "The layer group"
        raise BadCall(
            f"{what} '{holder.get_name()}' is locked. Unlock its pixels in the Layers dialog, or let a new layer be "
            "made."
        )


def locked(item, kind):
    """The item, or the group around it, whose lock of that kind holds for it; None if there is none."""
    while item is not None:
        if getattr(item, f"get_lock_{kind}")():
            return item
        item = item.get_parent()
    return None


class Placing:
    """What is placed: the engine's pixels, the kernel, and what is said of them.

    `canvas` is (x, y, width, height) of what a new image shows, in the coordinates of the old one. `several`: it is one
    of several layers.
    """

    def __init__(self, source, options, result, kernel, report, canvas, several):
        self.source, self.options, self.result = source, options, result
        self.kernel, self.report, self.canvas, self.several = kernel, report, canvas, several

    def place(self, into):
        """(image, layer, "" or a sentence why the result is elsewhere than it was wanted).

        `into` is the new image that an earlier one has made, or None.
        """
        if self.options.result == "new-image":
            return (*(self._new_image() if into is None else self._add_to(into)), "")
        try:
            return (*self._into_image(), "")
        except Refused as refused:
            self.canvas = self.source.box
            return (*self._new_image(), f"{refused} The result is in a new image instead.")

    def _into_image(self):
        source, options, image = self.source, self.options, self.source.image
        self._check_still_there()
        image.undo_group_start()
        made = []
        try:
            if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
                must(image.convert_rgb(), "convert the image from indexed colours")
                Gimp.message(
                    "The image was converted from indexed colours to RGB: its palette lacks the result's colours."
                )
            corner = source.box[:2]
            if options.result == "same-size" and source.layer is not None:
                layer = source.layer
                self.result.read_into(layer.get_shadow_buffer(), *source.area[:2])
                must(layer.merge_shadow(True), "change the layer")
                layer.update(*source.area)
            else:
                layer = self._new_layer(image, *self._place_in_stack(image))
                made.append(layer)
                self._fill(layer, corner)
            self._finish(image, layer, corner)
        except BaseException:
            for each in made:
                image.remove_layer(each)
            raise
        finally:
            image.undo_group_end()
        return image, layer

    def _check_still_there(self):
        """Raises Refused if the user has taken away, locked or resized meanwhile what the result was for."""
        source, image, layer = self.source, self.source.image, self.source.layer
        if not image.is_valid():
            raise Refused("The image was closed during the run.")
        if layer is None:
            return
        if not layer.is_valid() or layer.get_id() not in {each.get_id() for each in all_layers(image.get_layers())}:
            raise Refused("The layer was removed during the run.")
        if self.options.result == "same-size":
            if locked(layer, "content") is not None:
                raise Refused("The layer was locked during the run.")
            if (layer.get_width(), layer.get_height()) != source.layer_size:
                raise Refused("The layer was resized during the run.")
            # GIMP writes inside the selection alone, which has to be the one that the pixels were made for.
            if selection_of(image) != source.selection:
                raise Refused("The selection was changed during the run.")
            if source.selection is not None and tuple(layer.get_offsets())[1:] != source.offset:
                raise Refused("The layer was moved during the run.")

    def _place_in_stack(self, image):
        """(parent, position): above the layer it was made from, or above the locked group around that one."""
        item = self.source.layer
        if item is None:
            return None, 0
        parent, above = item.get_parent(), item
        while parent is not None:
            if parent.get_lock_content() or parent.get_lock_position():
                above = parent
            parent = parent.get_parent()
        return above.get_parent(), image.get_item_position(above)

    def _new_image(self):
        """An image of the result's size with everything of the old one that is not a layer."""
        about, scale = self.source.about, self._scale
        width, height = (side * scale for side in self.canvas[2:])
        if about.indexed:
            Gimp.message("The new image has RGB colours: the palette of the indexed image lacks the result's colours.")
        new = Gimp.Image.new_with_precision(width, height, about.base, about.precision)
        try:
            new.undo_disable()
            if about.profile is not None:
                new.set_color_profile(about.profile)
            across, down = (value * scale for value in about.resolution)
            new.set_resolution(across, down)
            new.set_unit(about.unit)
            if about.metadata is not None:
                about.metadata.set_pixel_size(width, height)
                about.metadata.set_resolution(across, down, about.unit)
                new.set_metadata(about.metadata)
            for parasite in about.parasites:
                new.attach_parasite(parasite)
            layer = self._on_top(new)
            if (file := free_name(about.file, scale)) is not None:
                new.set_file(file)
            new.undo_enable()  # the image stays "not saved": GIMP asks before it closes what took so long
        except BaseException:
            new.delete()
            raise
        return new, layer

    @property
    def _scale(self):
        """Of what is placed: reduced again it is as large as its source."""
        return 1 if self.options.result == "same-size" else self.options.scale

    def _add_to(self, new):
        new.undo_disable()
        layer = self._on_top(new)
        new.undo_enable()
        return new, layer

    def _on_top(self, new):
        layer = self._new_layer(new, None, 0)
        corner = [(self.source.box[axis] - self.canvas[axis]) * self._scale for axis in (0, 1)]
        self._fill(layer, corner)
        self._finish(new, layer, (0, 0))
        return layer

    def _new_layer(self, image, parent, position):
        """A layer in `image` that is as the source's in all but its pixels."""
        source, options, about = self.source, self.options, self.source.about
        name = about.layer_name
        if options.result == "new-layer":
            name += f" ×{options.scale}"
        elif options.result == "same-size":
            name += " (KernelFusion)"
        kinds = ("GRAY_IMAGE", "GRAYA_IMAGE") if source.grey else ("RGB_IMAGE", "RGBA_IMAGE")
        kind = getattr(Gimp.ImageType, kinds[source.alpha])
        size = self.result.width, self.result.height
        layer = must(Gimp.Layer.new(image, name, *size, kind, 100.0, Gimp.LayerMode.NORMAL), "make a layer")
        must(image.insert_layer(layer, parent, position), "add a layer")
        for what, value in about.look.items():
            getattr(layer, f"set_{what}")(value)
        for parasite in about.layer_parasites:
            layer.attach_parasite(parasite)
        return layer

    def _fill(self, layer, corner):
        self.result.read_into(layer.get_buffer(), 0, 0)
        layer.update(0, 0, layer.get_width(), layer.get_height())
        must(layer.set_offsets(*corner), "move the layer")
        if self.source.mask is not None:
            self.source.mask.put_on(layer, bands)
            if not self.source.about.mask_used:
                layer.set_apply_mask(False)

    def _finish(self, image, layer, corner):
        """The kernel beside it, and on the layer what the engine says of the result."""
        if self.options.add_kernel:
            of = f" of {self.source.about.layer_name}" if self.several else ""
            if (kernels := regions_of(self.report).get("kernels")) is not None:
                add_map_layer(image, kernels["kernels"], corner, of)
            add_kernel_layer(image, self.kernel, corner, of)
        if words := sentence(self.report):
            layer.attach_parasite(Gimp.Parasite.new("gimp-comment", 1, list(words.encode() + b"\0")))
        told = {name: value for name, value in self.report.items() if name != "kernel"}
        if regions_of(told):
            told["regions"] = {name: value for name, value in told["regions"].items() if name != "kernels"}
        layer.attach_parasite(as_parasite(REPORT, told))
        image.set_selected_layers([layer])


def sentence(report):
    """What the engine says of its own result, or nothing."""
    number, words = report.get("confidence"), report.get("confidence_sentence")
    said = [f"Confidence {number:.0%}. {words}"] if isinstance(number, (int, float)) and words else []
    said += [regions_of(report).get("sentence"), *(report.get("warnings") or [])]
    return " ".join(each for each in said if each)


def regions_of(report):
    """What the report says of the kernels of the photo's regions; empty where these were not compared."""
    return report.get("regions") or {}


def free_name(file, scale):
    """The name of a file beside `file` that is not there yet, for GIMP to save the result in; None without one."""
    path = file.get_path() if file is not None else None
    if path is None:
        return None
    from gi.repository import Gio

    path = Path(path)
    ending = f" ×{scale}" if scale > 1 else " sharper"
    for number in range(1, 1000):
        again = f" ({number})" if number > 1 else ""
        wanted = path.with_name(f"{path.stem}{ending}{again}.xcf")
        if not wanted.exists():
            return Gio.File.new_for_path(str(wanted))
    return None
