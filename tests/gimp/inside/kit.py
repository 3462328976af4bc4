"""What the checks inside GIMP share: making images, calling the filter, looking at pixels. Standard library and gi."""

import json
import os
import sys
import time
from array import array
from pathlib import Path

from gi.repository import Gegl, Gimp

HOME = Path(os.environ["HOME"])
TINY = (
    "recovery.first_iterations=2 recovery.iterations=1 recovery.timesteps=(100,50) recovery.unet_channels=4 "
    "recovery.unet_depth=2 recovery.inr_width=16 refine.rounds=2 refine.steps=2 refine.start=30 finish.start=30 "
    "finish.steps=2 kernel_crop=32 doubt=False"
)
WIDTH, HEIGHT = 48, 40


class Outcome:
    """What a call of the filter gave back."""

    def __init__(self, result):
        self.status = result.index(0).value_nick
        self.image = result.index(1) if result.length() > 1 else None
        self.layer = result.index(2) if result.length() > 2 else None
        self.sentence = "" if self.status == "success" else Gimp.get_pdb().get_last_error()


def call(image, drawables, engine="stub", run_mode=Gimp.RunMode.NONINTERACTIVE, **arguments):
    """Runs the filter; engine "" is the installed one, with a setting that takes seconds."""
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-kernelfusion")
    config = configured(engine, arguments)
    config.set_property("image", image)
    config.set_property("run-mode", run_mode)
    config.set_core_object_array("drawables", drawables)
    return Outcome(procedure.run(config))


def during(action, image, drawables, engine="stub", **arguments):
    """The filter's own run in this process, with `action` in the middle, when the engine has the pixels.

    As of a user who works on while it computes: the filter called through GIMP would make this script wait.
    """
    folder = str(HOME / ".config/GIMP/3.0/plug-ins/kernelfusion")
    if folder not in sys.path:
        sys.path.insert(0, folder)  # before this folder, which has an engine.py of its own
    import engine as engines
    import options as choices
    import run

    config = configured(engine, arguments)
    waits = run.wait

    def wait(process, of):
        action()
        return waits(process, of)

    run.wait = wait
    try:
        with engines.Engines() as started:
            return run.enlarge(image, drawables, choices.Options(config, image), started, False)[:2]
    finally:
        run.wait = waits


def configured(engine, arguments):
    """A config of the filter with these arguments; without any, those of a quick run."""
    config = Gimp.get_pdb().lookup_procedure("plug-in-kernelfusion").create_config()
    arguments.setdefault("advanced", TINY)
    arguments.setdefault("device", "cpu")
    arguments.setdefault("scale", 2)
    config.set_property("engine", str(stub(engine)) if engine.startswith("stub") else engine)
    for name, value in arguments.items():
        config.set_property(name.replace("_", "-"), value)
    return config


def job():
    """What the stub was asked for last."""
    return json.loads((HOME / "job.json").read_text())


def looks(image, x, y):
    """The colour of the visible image there, effects and masks and modes included."""
    seen = Gimp.Layer.new_from_visible(image, image, "seen")
    try:
        return Pixels(seen).at(x, y)
    finally:
        seen.delete()


def stub(name):
    path = HOME / name
    if not path.exists():
        path.symlink_to(Path(__file__).resolve().parents[1] / "stub_engine.py")
    return path


def pattern(width, height, channels, alpha):
    """Pixels of which no two neighbours, rows, columns or corners are alike: shifts, flips and swaps show."""
    values = array("f")
    for y in range(height):
        for x in range(width):
            across, down = x / (width - 1), y / (height - 1)
            colour = [0.15 + 0.7 * across, 0.9 - 0.6 * down, 0.2 + 0.5 * across * down]
            if (x // 12 + y // 10) % 3 == 0:
                colour = [1 - value for value in colour]
            values.extend(colour[:channels])
            if alpha:
                values.append(0.25 + 0.75 * across * (1 - 0.4 * down))
    return values


def make(precision="U8_NON_LINEAR", grey=False, alpha=False, width=WIDTH, height=HEIGHT, profile=None):
    """(image, layer) with `pattern` in it."""
    base = Gimp.ImageBaseType.GRAY if grey else Gimp.ImageBaseType.RGB
    image = Gimp.Image.new_with_precision(width, height, base, getattr(Gimp.Precision, precision))
    if profile is not None:
        image.set_color_profile(profile)
    layer = add_layer(image, "photo", width, height, grey, alpha)
    image.clean_all()
    return image, layer


def add_layer(image, name, width, height, grey=False, alpha=False, parent=None):
    kind = ("GRAY" if grey else "RGB") + ("A" if alpha else "") + "_IMAGE"
    layer = Gimp.Layer.new(image, name, width, height, getattr(Gimp.ImageType, kind), 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, parent, 0)
    put(layer, pattern(width, height, 1 if grey else 3, alpha))
    return layer


def pixel_format(drawable):
    return ("Y'" if drawable.is_gray() else "R'G'B'") + ("A" if drawable.has_alpha() else "") + " float"


def put(drawable, values):
    buffer = drawable.get_buffer()
    whole = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    buffer.set(whole, pixel_format(drawable), values.tobytes())
    buffer.flush()
    drawable.update(0, 0, drawable.get_width(), drawable.get_height())


class Pixels:
    """The pixels of a drawable: pixels.at(x, y) is a tuple of floats, sRGB-encoded."""

    def __init__(self, drawable):
        self.width, self.height = drawable.get_width(), drawable.get_height()
        self.format = pixel_format(drawable)
        self.channels = (1 if drawable.is_gray() else 3) + drawable.has_alpha()
        whole = Gegl.Rectangle.new(0, 0, self.width, self.height)
        self.values = array("f", drawable.get_buffer().get(whole, 1.0, self.format, Gegl.AbyssPolicy.NONE))

    def at(self, x, y):
        start = (y * self.width + x) * self.channels
        return tuple(self.values[start : start + self.channels])

    def __eq__(self, other):
        return (self.width, self.format, self.values) == (other.width, other.format, other.values)


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def equal(found, wanted, what):
    expect(found == wanted, f"{what} is {found!r}, not {wanted!r}")


def close(found, wanted, tolerance, what):
    worst = max(abs(a - b) for a, b in zip(found, wanted, strict=True))
    expect(worst <= tolerance, f"{what} is {found}, not {wanted} (off by {worst:.5f})")


def succeeded(outcome):
    expect(outcome.status == "success", f"{outcome.status}: {outcome.sentence}")
    return outcome


def halved_and_enlarged(result, source, scale, tolerance, left=0, top=0):
    """The result is what the stub makes of the source, of which (left, top) became its corner."""
    alpha = source.channels in (2, 4)
    for y in range(0, result.height, 1 if result.height < 60 else 3):
        for x in range(0, result.width, 1 if result.width < 60 else 3):
            wanted = [value / 2 for value in source.at(left + x // scale, top + y // scale)]
            if alpha:
                wanted[-1] *= 2
            close(result.at(x, y), wanted, tolerance, f"pixel ({x}, {y})")


def block_means(result, scale):
    """(H, W) list of rows of the result's colours, each the mean of its block."""
    rows = []
    for y in range(result.height // scale):
        row = []
        for x in range(result.width // scale):
            block = [result.at(x * scale + i, y * scale + j) for i in range(scale) for j in range(scale)]
            row.append([sum(values) / len(block) for values in zip(*block, strict=True)])
        rows.append(row)
    return rows


def resembles(result, source, scale, what="the result"):
    """Reduced again the result is the source where it is: nearer than if flipped, transposed or a pixel off."""
    small = block_means(result, scale)

    def distance(place):
        total = count = 0
        for y in range(4, source.height - 4):
            for x in range(4, source.width - 4):
                i, j = place(x, y)
                total += sum(abs(a - b) for a, b in zip(small[j][i], source.at(x, y), strict=True))
                count += source.channels
        return total / count

    right = distance(lambda x, y: (x, y))
    wrong = {
        "a pixel left": lambda x, y: (x - 1, y),
        "a pixel right": lambda x, y: (x + 1, y),
        "a pixel up": lambda x, y: (x, y - 1),
        "a pixel down": lambda x, y: (x, y + 1),
        "mirrored": lambda x, y: (source.width - 1 - x, y),
        "upside down": lambda x, y: (x, source.height - 1 - y),
    }
    expect(right < 0.08, f"{what} differs from the source by {right:.3f} on average")
    for name, place in wrong.items():
        expect(right < 0.87 * distance(place), f"{what} fits {name} nearly as well: {right:.3f}, {distance(place):.3f}")


def processes(*words):
    """Command lines of running processes that contain one of the words."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "ns/mnt") != os.readlink("/proc/self/ns/mnt"):
                continue  # of another run: it has mounts of its own
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(word in line for word in words):
            found.append((int(entry.name), line))
    return found


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def log(*words):
    print(*words, file=sys.stderr, flush=True)
