"""The preview of a chosen spot in the dialog: before and after, computed by the engine while the dialog goes on."""

from array import array
from pathlib import Path

from common import Failure
from engine import in_words
from gi.repository import GdkPixbuf, GLib, Gtk
from kernels import given_kernel
from picker import Picker
from source import Source, areas

PANE = 192  # pixels per side of the pictures before and after; a multiple of every scale
AROUND = 768  # pixels per side of the part of a large photo in which the kernel is sought
CHECKS = (8, 0x999999, 0x666666)  # side and colours of what is seen through transparency
GREY = 0x80808000
NOTHING = "See what it makes of a spot before it makes the rest."
OUTDATED = "This is of the choices before: press Preview again."
FAILED = "#e03a2c"


class Preview:
    """The right half of the dialog: `widget`.

    Args:
        options: is called for the options as they are now.
        passes: is called for the passes of the denoiser that there is time for; None: as the settings say.
    """

    def __init__(self, talk, image, drawables, options, passes):
        self._talk, self._image, self._drawables, self._options = talk, image, drawables, options
        self._passes = passes
        self._starting = self._running = None  # options of the one that waits for the engine; (engine, id) of the job
        self._shown = None  # the pictures before and after at full strength
        self._about = None  # what they are of
        self._strength, self._stale = 100, False
        self._picker = Picker(self._outdated)
        self._button = Gtk.Button(label="Prev_iew", use_underline=True, halign=Gtk.Align.CENTER)
        self._button.connect("clicked", self._clicked)
        self._status = Gtk.Label(xalign=0.0, yalign=0.0, wrap=True, max_width_chars=44, width_chars=44, label=NOTHING)
        self._panes = [Gtk.Image(), Gtk.Image()]
        self.widget = self._layout()

    def _layout(self):
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        box.add(self._picker)
        box.add(self._button)
        nothing = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, False, 8, PANE, PANE)
        nothing.fill(GREY)
        grid = Gtk.Grid(column_spacing=6, row_spacing=3, halign=Gtk.Align.CENTER)
        for column, (pane, name) in enumerate(zip(self._panes, ("Before", "After"), strict=True)):
            pane.set_size_request(PANE, PANE)
            pane.set_from_pixbuf(nothing)
            grid.attach(pane, column, 0, 1, 1)
            grid.attach(Gtk.Label(label=name), column, 1, 1, 1)
        box.add(grid)
        self._status.set_size_request(-1, 60)  # so that the dialog does not grow with a second line
        box.add(self._status)
        return box

    @property
    def busy(self):
        """Whether the engine has a job of this preview."""
        return self._running is not None or self._talk.ending

    # -- what the dialog says

    def changed(self, options):
        """Something was chosen: the picture to choose the spot in. Raises Failure."""
        layer, area, _ = areas(self._image, self._drawables, options)[-1]
        self._picker.show_area(self._image, layer, area, PANE // options.scale)
        if options.strength != self._strength:
            self._strength, self._stale = options.strength, True
        self._button.set_sensitive(True)
        if self._key(options) != self._about:
            self._outdated()

    def impossible(self):
        """There is nothing to preview with these choices."""
        self._end()
        self._button.set_sensitive(False)

    def _key(self, options):
        """All that the pictures depend on, but for the strength."""
        names = ("kernel", "kernel_file", "kernel_size", "use", "result", "engine", "seconds")
        return [options.settings(), *(getattr(options, name) for name in names)]

    def _outdated(self):
        if self._under_way:
            self._end()
        self._about = None
        self._say(OUTDATED if self._shown else NOTHING)

    @property
    def _under_way(self):
        return self._starting is not None or self._running is not None

    def _clicked(self, _):
        if self._under_way:
            self._end()
            self._say(OUTDATED if self._shown else NOTHING)
            return
        try:
            self._starting = self._options()
        except Failure as failure:
            self._say(str(failure), failed=True)
            return
        self._about = self._key(self._starting)
        self._button.set_label("Stop prev_iew")
        self._say("Starting the engine …")

    # -- the conversation

    def tick(self):
        if self._stale:
            self._stale = False
            self._draw()
        if self._starting is None or self._talk.ending:
            return
        engine = self._talk.engine(self._starting.engine)
        if engine is None:
            return
        try:
            job = self._job(engine, self._starting)
        except OSError as error:
            return self.failed(f"The pixels could not be passed to the engine: {error.strerror}.")
        except Failure as failure:
            return self.failed(str(failure))
        self._starting = None
        self._running = engine, self._talk.ask(engine, "job", self._hear, **job)

    def _job(self, engine, options):
        """Writes what the engine needs, the surroundings of the spot; what to ask it for."""
        directory, x, y, width, height = Path(engine.hello["directory"]), *self._picker.spot
        kernel = given_kernel(options, self._image, self._drawables)
        layer, area, _ = areas(self._image, self._drawables, options)[-1]
        source = Source(self._image, layer, options)
        try:
            left, top = area[0] + x, area[1] + y
            if layer is not None:  # effects may have made it larger
                old = tuple(layer.get_offsets())[1:]
                left, top = left + old[0] - source.offset[0], top + old[1] - source.offset[1]
            source.see((left, top, width, height), AROUND)
            source.write(directory / "preview.f32")
            seen = source.seen
        finally:
            source.close()
        settings = options.settings()
        if (passes := self._passes()) is not None:
            settings["overrides"] = [*settings["overrides"], f"finish.steps={passes}"]
        job = {
            "task": "preview",
            "input": {"file": "preview.f32", "width": seen[2], "height": seen[3], "channels": source.channels},
            "spot": {"x": left - seen[0], "y": top - seen[1], "width": width, "height": height},
            "settings": settings,
            "reduce": options.result == "same-size",
        }
        if kernel is not None:
            (directory / "preview-kernel.f32").write_bytes(kernel.taps.tobytes())
            job["kernel"] = {"file": "preview-kernel.f32", "size": kernel.size, "scale": kernel.scale}
        return job

    def _hear(self, message):
        kind = message["type"]
        if kind == "progress":
            self._say(f"{message.get('label') or message['phase']} …".capitalize())
        elif kind == "waiting":
            self._say("Waiting for another KernelFusion job to end …")
        elif kind == "error":
            old = message.get("code") == "bad_request" and "task" in message.get("message", "")
            self.failed(
                "The engine is too old for previews. Run 'kf install-gimp' of the same version."
                if old
                else in_words(message)
            )
        elif kind == "result":
            engine, self._running = self._running[0], None
            self._rest()
            directory = Path(engine.hello["directory"])
            self._shown = [Picture(directory, message[name]) for name in ("plain", "image")]
            self._draw()
            self._say(in_short(message))

    def failed(self, sentence):
        if not self._under_way:
            return  # the engine failed at something else
        self._starting = self._running = self._about = None
        self._rest()
        self._say(sentence, failed=True)

    def stop(self):
        self._end()

    def _end(self):
        """Stops what is under way."""
        self._starting = None
        if self._running is not None:
            running, self._running = self._running, None
            self._talk.cancel(*running)
        self._about = None
        self._rest()

    # -- what is seen

    def _rest(self):
        self._button.set_label("Prev_iew")

    def _say(self, text, failed=False):
        safe = GLib.markup_escape_text(text)
        self._status.set_markup(f'<span foreground="{FAILED}">{safe}</span>' if failed else safe)

    def _draw(self):
        if not self._shown:
            return
        before, after = self._shown
        for pane, picture in zip(self._panes, (before, before.towards(after, self._strength / 100)), strict=True):
            pane.set_from_pixbuf(picture.as_pixbuf())


class Picture:
    """Pixels as the engine writes them."""

    def __init__(self, directory, about, values=None):
        self._directory, self._about = directory, about
        self.width, self.height, self.channels = about["width"], about["height"], about["channels"]
        self._values = array("f", (directory / about["file"]).read_bytes()) if values is None else values

    def towards(self, other, share):
        """This picture with that share of the other."""
        mixed = (a + share * (b - a) for a, b in zip(self._values, other._values, strict=True))
        return Picture(self._directory, self._about, array("f", mixed))

    def as_pixbuf(self):
        """At PANE pixels on its longer side, each pixel a square; what is transparent lies on checks."""
        data = bytes(min(255, max(0, int(255 * value + 0.5))) for value in self._values)
        alpha = self.channels in (2, 4)
        if self.channels < 3:
            step = self.channels
            planes = [data[0::step]] * 3 + [data[1::2]] * alpha
            wide = bytearray(len(planes) * len(planes[0]))
            for number, plane in enumerate(planes):
                wide[number :: len(planes)] = plane
            data = bytes(wide)
        stride = (4 if alpha else 3) * self.width
        picture = GdkPixbuf.Pixbuf.new_from_bytes(
            GLib.Bytes.new(data), GdkPixbuf.Colorspace.RGB, alpha, 8, self.width, self.height, stride
        )
        larger = max(1, PANE // max(self.width, self.height))
        size = self.width * larger, self.height * larger
        if alpha:
            return picture.composite_color_simple(*size, GdkPixbuf.InterpType.NEAREST, 255, *CHECKS)
        return picture.scale_simple(*size, GdkPixbuf.InterpType.NEAREST)


def in_short(result):
    """What there is to say of a preview."""
    confidence = (result.get("report") or {}).get("confidence")
    said = f"Confidence {confidence:.0%}. " if isinstance(confidence, (int, float)) else ""
    if result.get("approximate"):
        return f"{said}A quick look: the run takes more time over the kernel."
    return f"{said}The run will look like this."
