"""A small picture of what is enlarged, with a frame to drag to the spot of the preview."""

from gi.repository import Gdk, GdkPixbuf, Gimp, Gtk

WIDTH, HEIGHT = 220, 150  # pixels that the picture has at most
LARGEST = 1024  # pixels per side of a thumbnail that GIMP makes
KEYS = {Gdk.KEY_Left: (-1, 0), Gdk.KEY_Right: (1, 0), Gdk.KEY_Up: (0, -1), Gdk.KEY_Down: (0, 1)}
WHITE, BLACK = 0xFFFFFFFF, 0x000000FF


class Picker(Gtk.EventBox):
    """`spot` is (x, y, width, height) in pixels of the area that `show_area` was given."""

    def __init__(self, moved):
        super().__init__(can_focus=True, halign=Gtk.Align.CENTER)
        self.set_tooltip_text("Drag the frame to the spot to preview, or move it with the arrow keys")
        self.get_accessible().set_name("Spot of the preview")
        self._moved, self._area, self._side, self._small = moved, None, 0, None
        self._centre = (0.5, 0.5)  # of the spot, as shares of the area: kept when the area is another
        self._image = Gtk.Image()
        self.add(self._image)
        self.add_events(Gdk.EventMask.BUTTON_PRESS_MASK | Gdk.EventMask.BUTTON1_MOTION_MASK)
        self.connect("button-press-event", self._drag)
        self.connect("motion-notify-event", self._drag)
        self.connect("key-press-event", self._key)

    def show_area(self, image, layer, area, side):
        """The part `area` of the layer, None for the visible image; the spot is `side` pixels wide and high."""
        asked = (None if layer is None else layer.get_id(), area)
        if asked != self._area:
            self._area = asked
            self._small = thumbnail(image, layer, area)
        self._side = side
        self._draw()

    @property
    def spot(self):
        found = []
        for share, length in zip(self._centre, self._area[1][2:], strict=True):
            side = min(self._side, length)
            found.append((min(max(0, round(share * length - side / 2)), length - side), side))
        (x, width), (y, height) = found
        return x, y, width, height

    def _draw(self):
        if self._small is None:
            self._image.clear()
            return
        picture = self._small.copy()
        across, down = (
            small / large
            for small, large in zip((picture.get_width(), picture.get_height()), self._area[1][2:], strict=True)
        )
        x, y, width, height = self.spot
        left, top = int(x * across), int(y * down)
        right, bottom = max(left + 3, round((x + width) * across)), max(top + 3, round((y + height) * down))
        frame(picture, left, top, right, bottom, BLACK)
        frame(picture, left + 1, top + 1, right - 1, bottom - 1, WHITE)
        self._image.set_from_pixbuf(picture)

    def _drag(self, _, event):
        self.grab_focus()
        if self._small is not None:
            self._move(event.x / self._small.get_width(), event.y / self._small.get_height())
        return True

    def _key(self, _, event):
        if event.keyval not in KEYS or self._area is None:
            return False
        step = [self._side / 4 / length for length in self._area[1][2:]]
        self._move(*(self._centre[axis] + KEYS[event.keyval][axis] * step[axis] for axis in (0, 1)))
        return True

    def _move(self, across, down):
        self._centre = min(max(0.0, across), 1.0), min(max(0.0, down), 1.0)
        self._draw()
        self._moved()


def thumbnail(image, layer, area):
    """A small picture of that part, or None where GIMP has none."""
    # Not get_sub_thumbnail: GIMP 3.0.4 frees what it returns, and the plug-in crashes.
    holder = image if layer is None else layer
    whole = holder.get_width(), holder.get_height()
    shrunk = min(1.0, LARGEST / max(whole))
    asked = [max(1, round(side * shrunk)) for side in whole]
    picture = holder.get_thumbnail(*asked, Gimp.PixbufTransparency.SMALL_CHECKS)
    if picture is None:
        return None
    x, y, width, height = area
    across, down = picture.get_width() / whole[0], picture.get_height() / whole[1]
    left, top = min(int(x * across), picture.get_width() - 1), min(int(y * down), picture.get_height() - 1)
    columns = max(1, min(round(width * across), picture.get_width() - left))
    rows = max(1, min(round(height * down), picture.get_height() - top))
    larger = min(WIDTH / width, HEIGHT / height)
    size = max(8, round(width * larger)), max(8, round(height * larger))
    return picture.new_subpixbuf(left, top, columns, rows).scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)


def frame(picture, left, top, right, bottom, colour):
    """Draws a rectangle one pixel wide, as far as it lies in the picture."""
    for x, y, width, height in (
        (left, top, right - left, 1),
        (left, bottom - 1, right - left, 1),
        (left, top, 1, bottom - top),
        (right - 1, top, 1, bottom - top),
    ):
        first, last = (
            (max(0, x), max(0, y)),
            (min(picture.get_width(), x + width), min(picture.get_height(), y + height)),
        )
        if last[0] > first[0] and last[1] > first[1]:
            picture.new_subpixbuf(*first, last[0] - first[0], last[1] - first[1]).fill(colour)
