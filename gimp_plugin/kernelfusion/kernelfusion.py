#!/usr/bin/env python3
"""Filters > Enhance > KernelFusion Super-Resolution, a plug-in for GIMP 3.

GIMP's own Python has neither torch nor numpy. This file needs the standard library and gi alone: it writes the pixels
to a file, lets KernelFusion's engine (a process of its own; docs/engine-protocol.md) compute, and reads the result.
The installer leaves kernelfusion.json beside it, which says where the engine is.
"""

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from array import array
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, GLib, GObject  # noqa: E402 - after the versions are chosen

PROCEDURE = "plug-in-kernelfusion"
PROTOCOL = 1
SMALLEST = 32  # pixels per side the engine needs
LARGEST = 524288  # pixels per side GIMP can hold
CONTEXT = 32  # pixels around a selection that the engine may look at
BAND_BYTES = 32 << 20  # pixels pass between GIMP and the file in bands of about this size
SECONDS_TO_START = 60
LARGEST_LOG = 1 << 20
MOST = 2**31 - 1

SCALES = (2, 3, 4)
KERNEL_SIZES = (0, 96)  # 0: automatic
PRESETS = {"fast": "Fast", "balanced": "Balanced", "paper": "As in the paper (very slow)"}
USES = {"layer": "The layer", "selection": "The selection", "visible": "The visible image"}
RESULTS = {
    "new-image": "A new image",
    "new-layer": "A new, larger layer",
    "same-size": "The same size, sharper (deblur)",
}
DEVICES = {"auto": "Automatic", "cuda": "Graphics card (CUDA)", "mps": "Graphics card (Apple)", "cpu": "Processor"}

# What GIMP sets for its own Python and libraries would break those of the engine.
SCRUBBED = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "GI_TYPELIB_PATH")
SCRUBBED += ("GEGL_PATH", "BABL_PATH", "GIO_EXTRA_MODULES", "GDK_PIXBUF_MODULE_FILE", "GSETTINGS_SCHEMA_DIR")


class Failure(Exception):
    """Ends the run; its text is the sentence the user reads."""

    status = Gimp.PDBStatusType.EXECUTION_ERROR


class BadCall(Failure):
    """As Failure, where what was asked for is at fault."""

    status = Gimp.PDBStatusType.CALLING_ERROR


# ---------------------------------------------------------------------------------------------------- the engine


def installed():
    """What the installer wrote: {"engine": path of a Python, "logs": folder}. Empty if it never ran."""
    try:
        return json.loads((Path(__file__).resolve().parent / "kernelfusion.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def log_path():
    folder = Path(installed().get("logs") or Path(GLib.get_user_cache_dir()) / "kernelfusion" / "logs")
    path = folder / "gimp.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LARGEST_LOG:
            path.replace(folder / "gimp.log.1")
        with open(path, "a", encoding="utf-8") as log:
            log.write(time.strftime("\n%Y-%m-%d %H:%M:%S GIMP plug-in\n"))
    except OSError:
        return Path(os.devnull)
    return path


def find_engine(wanted):
    """The Python that has the engine: `wanted`, a file or the folder of an environment, else the installer's."""
    text = wanted or installed().get("engine", "")
    if not text:
        raise Failure("KernelFusion's engine is not set up. Run 'kf install-gimp', or choose the engine in the dialog.")
    path = Path(text).expanduser()
    for inside in ("bin/python", "Scripts/python.exe"):
        if path.is_dir() and (path / inside).exists():
            path = path / inside
    if not path.is_file() or not os.access(path, os.X_OK):
        raise Failure(f"KernelFusion's engine is not at {path}. Run 'kf install-gimp' again, or choose another path.")
    return path


class Engine:
    """The engine process. Leaving the `with` block ends it; so does the end of this process, however it comes."""

    def __init__(self, path):
        self.log = log_path()
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in SCRUBBED and not name.startswith(("PYTHON", "GIMP"))
        }
        # A session of its own: GIMP ends a cancelled plug-in and its group with SIGKILL, and nobody could tidy up.
        # Left alone the engine notices that its stdin closed, frees the device at once, and removes the pixels.
        options = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NO_WINDOW}
        self._log_start = self.log.stat().st_size
        try:
            with open(self.log, "ab") as log:
                self._process = subprocess.Popen(
                    [str(path), "-s", "-m", "kf_core.engine", "--log", str(self.log)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    cwd=str(Path.home()),  # not GIMP's: a folder kf_core there would be taken for the engine
                    **options,
                )
        except OSError as error:
            raise Failure(f"The engine at {path} cannot be started: {error.strerror}.") from error
        self._lines = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def say(self, **message):
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it died; hear() says so

    def hear(self, seconds):
        """The next message, or None if there is none for so long. Failure: it ended, or talks nonsense."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        if line is None:
            raise Failure(self._last_words())
        try:
            message = json.loads(line)
            message["type"]
        except (ValueError, TypeError, KeyError):
            raise Failure("The engine answered with something that is no message. Is its path right?") from None
        return message

    def greet(self):
        """The engine's hello, once its version has been found to fit."""
        hello = self.hear(SECONDS_TO_START)
        if hello is None:
            raise Failure(f"The engine did not answer within {SECONDS_TO_START} seconds.")
        if hello["type"] != "hello" or hello.get("protocol") != PROTOCOL:
            raise Failure(
                f"The engine is version {hello.get('engine', 'unknown')} and does not fit this plug-in (protocol "
                f"{hello.get('protocol', 'unknown')} instead of {PROTOCOL}). Run 'kf install-gimp' of the same version."
            )
        return hello

    def _last_words(self):
        status = self._process.wait()
        if status < 0:
            return f"The engine was killed (signal {-status}), perhaps because the memory ran out."
        try:
            text = self.log.read_bytes()[self._log_start :]
        except OSError:
            text = b""
        if b"No module named" in text:
            return "That Python has no KernelFusion engine, or one that is too old. Run 'kf install-gimp' again."
        return f"The engine ended by itself (status {status})."


# ---------------------------------------------------------------------------------------------------- the options


class Options:
    """The arguments, checked here: GIMP would silently replace a value it knows to be out of range."""

    def __init__(self, config):
        for name in ("scale", "preset", "kernel-size", "use", "result", "add-kernel", "seed", "device", "engine"):
            setattr(self, name.replace("-", "_"), config.get_property(name))
        self.overrides = (config.get_property("advanced") or "").split()
        if self.scale not in SCALES:
            raise BadCall(f"A scale of {self.scale} is not possible. Use 2, 3 or 4.")
        for name, allowed in (("preset", PRESETS), ("use", USES), ("result", RESULTS), ("device", DEVICES)):
            if getattr(self, name) not in allowed:
                raise BadCall(f"'{getattr(self, name)}' is not a value for '{name}'. Use {', '.join(allowed)}.")
        low, high = KERNEL_SIZES
        if not low <= self.kernel_size <= high:
            raise BadCall(f"A kernel of {self.kernel_size} taps is not possible. Use 2 to {high}, or 0 for automatic.")
        if self.seed < 0:
            raise BadCall(f"A seed of {self.seed} is not possible. Use 0 or a positive number.")

    def settings(self):
        return {
            "preset": self.preset,
            "scale": self.scale,
            "kernel_size": self.kernel_size or None,
            "seed": self.seed,
            "device": self.device,
            "overrides": self.overrides,
        }


# ---------------------------------------------------------------------------------------------------- the pixels


class Source:
    """What is enlarged: a rectangle of a drawable.

    `area` is what the user chose and `seen` what the engine gets, both as (x, y, width, height) in the drawable.
    """

    def __init__(self, image, drawables, options):
        self.image, self._scratch = image, None
        if options.use == "visible":
            self.layer, self.offset = None, (0, 0)
            self.drawable = Gimp.Layer.new_from_visible(image, image, "Visible")
            self._scratch = self.drawable
        else:
            self.layer = only_layer(drawables)
            _, x, y = self.layer.get_offsets()
            self.offset = (x, y)
            self.drawable = self.layer
            if self.layer.get_filters():
                self._scratch, self.drawable = with_filters_merged(image, self.layer)
        whole = (0, 0, self.drawable.get_width(), self.drawable.get_height())
        self.area = self.seen = whole
        if options.use == "selection":
            if Gimp.Selection.is_empty(image):
                raise BadCall("Nothing is selected. Select a part of the layer, or use the whole layer.")
            inside, *area = self.layer.mask_intersect()
            if not inside:
                raise BadCall("The selection lies outside the layer.")
            self.area, self.seen = tuple(area), grown(area, CONTEXT, whole)
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

    def close(self):
        if self._scratch is not None and self._scratch.is_valid():
            self._scratch.delete()

    def write(self, path):
        x, y, width, height = self.seen
        buffer = self.drawable.get_buffer()
        with open(path, "wb") as file:
            for top, rows in bands(height, width * self.channels * 4):
                rectangle = Gegl.Rectangle.new(x, y + top, width, rows)
                file.write(buffer.get(rectangle, 1.0, self.format, Gegl.AbyssPolicy.CLAMP))


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


def grown(area, margin, whole):
    """The rectangle with a margin around it, as far as `whole` reaches."""
    left, top = max(0, area[0] - margin), max(0, area[1] - margin)
    right = min(whole[2], area[0] + area[2] + margin)
    bottom = min(whole[3], area[1] + area[3] + margin)
    return left, top, right - left, bottom - top


def only_layer(drawables):
    if not drawables:
        raise BadCall("No layer is selected. Select one in the Layers dialog.")
    if len(drawables) > 1:
        raise BadCall(f"{len(drawables)} layers are selected. Select one, or use the visible image.")
    if not drawables[0].is_layer():
        raise BadCall("A channel or a mask is selected. Select a layer in the Layers dialog.")
    return drawables[0]


def with_filters_merged(image, layer):
    """(a scratch copy of the image, the layer in it with its filters applied): the image itself stays as it is."""
    path, item = [], layer
    while item is not None:
        path.insert(0, image.get_item_position(item))
        item = item.get_parent()
    scratch = image.duplicate()
    found = scratch.get_layers()[path[0]]
    for position in path[1:]:
        found = found.get_children()[position]
    found.merge_filters()
    return scratch, found


# ---------------------------------------------------------------------------------------------------- the run


def compute(source, options):
    """Runs the engine and hands out (engine directory's Result, kernel taps, kernel size) while it is alive.

    A generator of one value, so that the caller reads the files before the engine removes them.
    """
    Gimp.progress_init("Starting the engine")
    with Engine(find_engine(options.engine)) as engine:
        try:
            hello = engine.greet()
            directory = Path(hello["directory"])
            check_room(directory, source, options)
            source.write(directory / "input.f32")
            _, _, width, height = source.seen
            engine.say(
                type="job",
                protocol=PROTOCOL,
                id="gimp",
                input={"file": "input.f32", "width": width, "height": height, "channels": source.channels},
                settings=options.settings(),
                reduce=options.result == "same-size",
                preview=True,
            )
            answer = wait(engine)
            scale = 1 if options.result == "same-size" else options.scale
            result = Result(directory / answer["image"]["file"], answer["image"], source, scale)
            taps = array("f", (directory / answer["kernel"]["file"]).read_bytes())
            yield result, taps, answer["kernel"]["size"], confidence(answer.get("report") or {})
        except OSError as error:
            raise Failure(
                f"The pixels could not be passed to the engine: {error.strerror}. (Log: {engine.log})"
            ) from error
        except Failure as failure:
            failure.args = (f"{failure} (Log: {engine.log})",)
            raise


def check_room(directory, source, options):
    _, _, width, height = source.seen
    needed = width * height * source.channels * 4 * (1 + options.scale**2)
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise Failure(
            f"The disk is full: {directory.parent} has {free >> 20} MiB left and {needed >> 20} MiB are needed. "
            "Make room, or use a smaller part."
        )


def wait(engine):
    """Shows progress until the result is there, and returns that message."""
    blur = ""
    while True:
        message = engine.hear(0.2)
        if message is None:
            continue
        kind = message["type"]
        if kind == "result":
            Gimp.progress_update(1.0)
            return message
        if kind == "error":
            raise Failure(f"{message.get('message', 'The engine failed.')} {message.get('hint', '')}".strip())
        if kind == "warning":
            Gimp.message(message["message"])
        elif kind == "waiting":
            Gimp.progress_set_text("Waiting for another KernelFusion job to end")
            Gimp.progress_pulse()
        elif kind == "preview":
            blur = blur_width(message["kernel"]["taps"], message["kernel"]["size"])
        elif kind == "progress":
            stage = message.get("label") or message["phase"]
            Gimp.progress_set_text(f"{stage.capitalize()}{time_left(message.get('seconds_left'))}{blur}")
            Gimp.progress_update(message["fraction"])


def time_left(seconds):
    if seconds is None:
        return ""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f", about {seconds / size:.0f} {unit} left"
    return f", about {seconds:.0f} s left"


def blur_width(taps, size):
    """How wide the kernel found so far is, in pixels of the result: two standard deviations across and down."""
    total = sum(taps) or 1.0
    widths = []
    for index in (lambda i: i % size, lambda i: i // size):
        mean = sum(tap * index(i) for i, tap in enumerate(taps)) / total
        widths.append(2 * max(0.0, sum(tap * (index(i) - mean) ** 2 for i, tap in enumerate(taps)) / total) ** 0.5)
    return f" (blur {widths[0]:.1f} × {widths[1]:.1f})"


# ---------------------------------------------------------------------------------------------------- the result


def place(source, options, result, taps, size):
    """Puts the result where the user wants it. Returns (image, layer)."""
    if options.result == "new-image":
        image = new_image(source, result, options)
        layer = new_layer(image, source, options, result)
        image.insert_layer(layer, None, 0)
        fill(layer, result)
        corner = [offset * options.scale for offset in source.offset] if options.use == "layer" else (0, 0)
        layer.set_offsets(*corner)
        if options.add_kernel:
            add_kernel(image, taps, size, (0, 0))
        image.set_selected_layers([layer])
        image.undo_enable()
        image.clean_all()
        return image, layer

    image = source.image
    image.undo_group_start()
    try:
        if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
            image.convert_rgb()
            Gimp.message("The image was converted from indexed colours to RGB: its palette lacks the result's colours.")
        corner = [offset + start for offset, start in zip(source.offset, source.area)]  # noqa: B905 - GIMP's Python may be 3.9
        if options.result == "same-size" and source.layer is not None:
            layer = source.layer
            result.read_into(layer.get_shadow_buffer(), *source.area[:2])
            layer.merge_shadow(True)
            layer.update(*source.area)
        else:
            layer = new_layer(image, source, options, result)
            parent = source.layer.get_parent() if source.layer else None
            position = image.get_item_position(source.layer) if source.layer else 0
            image.insert_layer(layer, parent, position)
            fill(layer, result)
            layer.set_offsets(*corner)
        if options.add_kernel:
            add_kernel(image, taps, size, corner)
        image.set_selected_layers([layer])
    finally:
        image.undo_group_end()
    return image, layer


def new_image(source, result, options):
    """An empty image of the result's size with everything of the old one that is not a layer."""
    old, scale = source.image, options.scale
    width, height = result.width, result.height
    if options.use == "layer":  # the canvas grows too, so that the layer keeps its place in it
        width, height = old.get_width() * scale, old.get_height() * scale
    indexed = old.get_base_type() == Gimp.ImageBaseType.INDEXED
    base = Gimp.ImageBaseType.RGB if indexed else old.get_base_type()
    if indexed:
        Gimp.message("The new image has RGB colours: the palette of the indexed image lacks the result's colours.")
    new = Gimp.Image.new_with_precision(width, height, base, old.get_precision())
    new.undo_disable()
    profile = old.get_color_profile()
    if profile is not None:
        new.set_color_profile(profile)
    _, across, down = old.get_resolution()
    new.set_resolution(across * scale, down * scale)
    new.set_unit(old.get_unit())
    metadata = old.get_metadata()
    if metadata is not None:
        metadata.set_pixel_size(width, height)
        metadata.set_resolution(across * scale, down * scale, old.get_unit())
        new.set_metadata(metadata)
    for name in old.get_parasite_list():
        if name not in ("icc-profile", "gimp-metadata"):  # GIMP keeps these two apart
            new.attach_parasite(old.get_parasite(name))
    return new


def new_layer(image, source, options, result):
    """A layer for `image`, not inserted yet, that is as the source's in all but its pixels."""
    old = source.layer
    name = old.get_name() if old else "Visible"
    if options.result == "new-layer":
        name += f" ×{options.scale}"
    elif options.result == "same-size":
        name += " (KernelFusion)"
    if (
        old is not None
        and options.use == "layer"
        and old.get_mask()
        and not (old.is_group_layer() or old.is_text_layer())
    ):
        layer = Gimp.Layer.new_from_drawable(old, image)  # with its mask, which GIMP enlarges in fill()
        layer.set_name(name)
    else:
        kinds = ("GRAY_IMAGE", "GRAYA_IMAGE") if source.grey else ("RGB_IMAGE", "RGBA_IMAGE")
        kind = getattr(Gimp.ImageType, kinds[source.alpha])
        layer = Gimp.Layer.new(image, name, result.width, result.height, kind, 100.0, Gimp.LayerMode.NORMAL)
    if old is not None:
        layer.set_opacity(old.get_opacity())
        layer.set_mode(old.get_mode())
        layer.set_blend_space(old.get_blend_space())
        layer.set_composite_space(old.get_composite_space())
        layer.set_composite_mode(old.get_composite_mode())
        layer.set_color_tag(old.get_color_tag())
        for parasite in old.get_parasite_list():
            if parasite != "gimp-text-layer":
                layer.attach_parasite(old.get_parasite(parasite))
    layer.set_visible(True)
    return layer


def fill(layer, result):
    if (layer.get_width(), layer.get_height()) != (result.width, result.height):
        layer.scale(result.width, result.height, False)
    result.read_into(layer.get_buffer(), 0, 0)
    layer.update(0, 0, result.width, result.height)


def add_kernel(image, taps, size, corner):
    """The kernel as a layer: its largest tap white, each tap a square large enough to be seen."""
    side = max(1, min(image.get_width(), image.get_height()) // (5 * size))
    top = max(taps) or 1.0
    rows = []
    for row in range(size):
        shades = array("f")
        for tap in taps[row * size : (row + 1) * size]:
            shades.extend([max(0.0, tap) / top] * side)
        rows.append(shades.tobytes() * side)
    grey = image.get_base_type() == Gimp.ImageBaseType.GRAY
    kind = Gimp.ImageType.GRAY_IMAGE if grey else Gimp.ImageType.RGB_IMAGE
    length = size * side
    layer = Gimp.Layer.new(image, f"Kernel {size} × {size}", length, length, kind, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    layer.set_offsets(*corner)
    buffer = layer.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, length, length), "Y' float", b"".join(rows))
    buffer.flush()
    layer.update(0, 0, length, length)


def check_target(source, options):
    """Before the long run: can the result go where it is wanted?"""
    layer = source.layer
    if options.result != "same-size" or layer is None:
        return
    if layer.is_group_layer():
        raise BadCall("A layer group has no pixels of its own to sharpen. Choose a layer, or let a new layer be made.")
    if layer.get_lock_content():
        raise BadCall("The layer is locked. Unlock its pixels in the Layers dialog, or let a new layer be made.")


def confidence(report):
    """What the engine says of its own result, or nothing."""
    number, words = report.get("confidence"), report.get("confidence_sentence")
    return f"Confidence {number:.0%}. {words}" if isinstance(number, (int, float)) and words else ""


def enlarge(image, drawables, options, shown):
    """The whole run. Returns (image, layer). Raises Failure."""
    source = Source(image, drawables, options)
    try:
        check_target(source, options)
        for result, taps, size, said in compute(source, options):
            image, layer = place(source, options, result, taps, size)
            words = said
    finally:
        source.close()
    if shown:
        if options.result == "new-image":
            Gimp.Display.new(image)
        Gimp.displays_flush()
    Gimp.progress_end()
    if words:
        Gimp.message(words)
    return image, layer


# ---------------------------------------------------------------------------------------------------- the dialog


def ask(procedure, config, image, drawables):
    """Shows the dialog. False: the user does not want to."""
    gi.require_version("Gtk", "3.0")
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi, Gtk

    GimpUi.init("kernelfusion")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, "KernelFusion Super-Resolution")
    both = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE

    def combo(name, labels):
        widget = Gtk.ComboBoxText()
        for key, label in labels.items():
            widget.append(key, label)
        config.bind_property(name, widget, "active-id", both)
        return widget

    def number(name, low, high):
        widget = Gtk.SpinButton.new_with_range(low, high, 1)
        widget.set_activates_default(True)
        config.bind_property(name, widget, "value", both)
        return widget

    def entry(name, placeholder):
        widget = Gtk.Entry(width_chars=34, activates_default=True, placeholder_text=placeholder)
        config.bind_property(name, widget, "text", both)
        return widget

    def table(rows):
        grid = Gtk.Grid(column_spacing=6, row_spacing=6)
        for row, (name, widget) in enumerate(rows):
            argument = procedure.find_argument(name)
            label = Gtk.Label(label=argument.nick, use_underline=True, xalign=0.0, mnemonic_widget=widget)
            widget.set_tooltip_text(argument.blurb)
            widget.set_hexpand(True)
            grid.attach(label, 0, row, 1, 1)
            grid.attach(widget, 1, row, 1, 1)
        return grid

    scale = Gtk.ComboBoxText()
    for each in SCALES:
        scale.append(str(each), f"{each} times")
    config.bind_property(
        "scale", scale, "active-id", both, lambda _, value: str(value), lambda _, text: int(text or SCALES[0])
    )
    size = Gtk.Label(xalign=0.0)

    def tell_size(*_):
        width, height = image.get_width(), image.get_height()
        if config.get_property("use") == "layer" and len(drawables) == 1:
            width, height = drawables[0].get_width(), drawables[0].get_height()
        elif config.get_property("use") == "selection" and len(drawables) == 1:
            inside, _, _, width, height = drawables[0].mask_intersect()
        factor = 1 if config.get_property("result") == "same-size" else config.get_property("scale")
        size.set_text(f"{width} × {height} → {width * factor} × {height * factor} pixels")

    for name in ("scale", "use", "result"):
        config.connect(f"notify::{name}", tell_size)
    tell_size()

    kernel = Gtk.CheckButton(label=procedure.find_argument("add-kernel").nick, use_underline=True)
    kernel.set_tooltip_text(procedure.find_argument("add-kernel").blurb)
    config.bind_property("add-kernel", kernel, "active", both)
    main = table(
        [
            ("scale", scale),
            ("preset", combo("preset", PRESETS)),
            ("use", combo("use", USES)),
            ("result", combo("result", RESULTS)),
        ]
    )
    main.attach(size, 1, 4, 1, 1)
    main.attach(kernel, 0, 5, 2, 1)
    more = table(
        [
            ("kernel-size", number("kernel-size", *KERNEL_SIZES)),
            ("seed", number("seed", 0, MOST)),
            ("device", combo("device", DEVICES)),
            ("engine", entry("engine", "as installed")),
            ("advanced", entry("advanced", "NAME=VALUE …")),
        ]
    )
    more.set_margin_start(12)
    expander = Gtk.Expander(label="_Details", use_underline=True)
    expander.add(more)
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12, border_width=12)
    box.add(main)
    box.add(expander)
    box.show_all()
    dialog.get_content_area().pack_start(box, True, True, 0)
    try:
        return dialog.run()
    finally:
        dialog.destroy()


# ---------------------------------------------------------------------------------------------------- the plug-in


class KernelFusion(Gimp.PlugIn):
    def do_set_i18n(self, name):
        return False

    def do_query_procedures(self):
        return [PROCEDURE]

    def do_create_procedure(self, name):
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, self.run, None)
        procedure.set_image_types("*")
        # With no layer or several the visible image is still there, and the rest is better said than greyed out.
        kinds = Gimp.ProcedureSensitivityMask
        procedure.set_sensitivity_mask(kinds.DRAWABLE | kinds.DRAWABLES | kinds.NO_DRAWABLES)
        procedure.set_menu_label("KernelFusion _Super-Resolution…")
        procedure.add_menu_path("<Image>/Filters/Enhance")
        procedure.set_documentation(
            "Enlarge a photo and recover the kernel that shrank it",
            "Blind super-resolution: recovers the large image and the kernel that once blurred and shrank it, from the "
            "photo alone. The engine runs as a process of its own; 'kf install-gimp' sets it up.",
            name,
        )
        procedure.set_attribution("KernelFusion", "KernelFusion", "2026")
        flags = GObject.ParamFlags.READWRITE
        add_int, add_text = procedure.add_int_argument, procedure.add_string_argument
        # The ranges are wide on purpose: GIMP replaces a value outside without a word, Options refuses it with one.
        add_int("scale", "Sc_ale", "How many times larger: 2, 3 or 4", -MOST, MOST, 4, flags)
        add_text("preset", "_Preset", f"How much work to put in: {', '.join(PRESETS)}", "fast", flags)
        add_int(
            "kernel-size",
            "_Kernel size (0: auto)",
            f"Taps per side of the kernel, 2 to {KERNEL_SIZES[1]}, odd at scale 3 and else even; 0: automatic",
            -MOST,
            MOST,
            0,
            flags,
        )
        add_text("use", "_Use", "What to enlarge: layer, selection (of the layer) or visible (image)", "layer", flags)
        add_text(
            "result",
            "Resul_t",
            "What becomes of it: new-image, new-layer (in this image, larger) or same-size (into the layer where it is "
            "selected: enlarged and reduced again)",
            "new-image",
            flags,
        )
        procedure.add_boolean_argument(
            "add-kernel", "Add the k_ernel as a layer", "Also show the recovered kernel, as a layer", False, flags
        )
        add_int("seed", "Seed", "The same seed, 0 or larger, gives the same result again", -MOST, MOST, 0, flags)
        add_text("device", "De_vice", f"Where to compute: {', '.join(DEVICES)}", "auto", flags)
        add_text(
            "engine",
            "En_gine",
            "The Python that has KernelFusion, or the folder of its environment; empty: as installed",
            "",
            flags,
        )
        add_text(
            "advanced",
            "Adva_nced",
            "Other settings as NAME=VALUE, separated by spaces; see KernelFusion's docs",
            "",
            flags,
        )
        procedure.add_image_return_value("result-image", "Image", "The image that has the result", False, flags)
        procedure.add_layer_return_value("result-layer", "Layer", "The layer that has the result", False, flags)
        return procedure

    def run(self, procedure, run_mode, image, drawables, config, data):
        """Whatever happens, GIMP gets a status and a sentence: an uncaught exception would be an empty message."""
        if hasattr(os, "setpgid"):
            with contextlib.suppress(OSError):
                os.setpgid(0, 0)  # so that GIMP's Cancel reaches whatever this process started
        try:
            if run_mode == Gimp.RunMode.INTERACTIVE and not ask(procedure, config, image, drawables):
                return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
            shown = run_mode != Gimp.RunMode.NONINTERACTIVE
            found, layer = enlarge(image, drawables, Options(config), shown)
        except Failure as failure:
            return self._failed(procedure, failure.status, str(failure))
        except Exception as error:
            import traceback

            log = log_path()
            with open(log, "a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
            sentence = f"Something went wrong that should not: {error!r}. Please report it with {log}."
            return self._failed(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, sentence)
        values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
        for position, (kind, value) in enumerate(((Gimp.Image, found), (Gimp.Layer, layer)), start=1):
            values.remove(position)
            values.insert(position, GObject.Value(kind, value))
        return values

    def _failed(self, procedure, status, sentence):
        return procedure.new_return_values(status, GLib.Error.new_literal(Gimp.PlugIn.error_quark(), sentence, 0))


Gimp.main(KernelFusion.__gtype__, sys.argv)
