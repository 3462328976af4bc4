"""The mask of a result: that of the layer it was made from, and the shape of the selection."""

import hashlib

from common import must
from gi.repository import Gegl, Gimp

FORMAT = "Y float"


class Mask:
    """Masks multiplied with each other, in an image of their own: there they outlive the layer and its image.

    `box` is (x, y, width, height) in the coordinates of the image that the drawables belong to.
    """

    def __init__(self, drawables, box):
        x, y, width, height = box
        self._image = Gimp.Image.new_with_precision(width, height, Gimp.ImageBaseType.GRAY, Gimp.Precision.FLOAT_LINEAR)
        self._image.undo_disable()
        for drawable in drawables:
            layer = must(Gimp.Layer.new_from_drawable(drawable, self._image), "copy a mask")
            unlock(layer)
            layer.set_visible(True)
            layer.set_opacity(100.0)
            layer.set_mode(Gimp.LayerMode.MULTIPLY if self._image.get_layers() else Gimp.LayerMode.NORMAL)
            must(self._image.insert_layer(layer, None, 0), "copy a mask")
            _, left, top = drawable.get_offsets()
            must(layer.set_offsets(left - x, top - y), "copy a mask")
        self._layer = must(self._image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE), "combine masks")
        _, left, top = self._layer.get_offsets()
        must(self._layer.resize(width, height, left, top), "cut a mask")

    def put_on(self, layer, bands):
        """Gives the layer, which is part of an image, this mask in the layer's size."""
        width, height = layer.get_width(), layer.get_height()
        must(self._layer.scale(width, height, False), "enlarge the mask")
        mask = must(layer.create_mask(Gimp.AddMaskType.WHITE), "make a mask")
        must(layer.add_mask(mask), "add a mask")
        source, target = self._layer.get_buffer(), mask.get_buffer()
        for top, rows in bands(height, width * 4):
            band = Gegl.Rectangle.new(0, top, width, rows)
            target.set(band, FORMAT, source.get(band, 1.0, FORMAT, Gegl.AbyssPolicy.CLAMP))
        target.flush()
        mask.update(0, 0, width, height)

    def close(self):
        if self._image.is_valid():
            self._image.delete()


def mask_of(image, layer, use, box):
    """The Mask for what is made of that part of the image, or None where there is nothing to mask."""
    drawables = []
    if layer is not None and layer.get_mask() is not None:
        drawables.append(layer.get_mask())
    if use == "selection" and not rectangular(image, box):
        drawables.append(image.get_selection())
    return Mask(drawables, box) if drawables else None


def rectangular(image, box):
    """Whether everything in the box is fully selected."""
    x, y, width, height = box
    data = (
        image.get_selection()
        .get_buffer()
        .get(Gegl.Rectangle.new(x, y, width, height), 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
    )
    return bytes(data).count(b"\xff") == len(data)


def selection_of(image):
    """What is selected, to compare: None where nothing is."""
    _, there, left, top, right, bottom = Gimp.Selection.bounds(image)
    if not there:
        return None
    box = Gegl.Rectangle.new(left, top, right - left, bottom - top)
    data = image.get_selection().get_buffer().get(box, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
    return left, top, right, bottom, hashlib.sha256(bytes(data)).digest()


def unlock(layer):
    """A copy of a layer has its locks, too, and those of its mask."""
    layer.set_lock_content(False)
    layer.set_lock_position(False)
    layer.set_lock_visibility(False)
    if layer.is_layer():
        layer.set_lock_alpha(False)
