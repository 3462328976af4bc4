"""The whole run: pixels to the engine, progress while it computes, the result into the image."""

import shutil
from array import array
from pathlib import Path

from common import Failure
from engine import in_words
from gi.repository import Gimp
from kernels import Kernel, given_kernel, remember
from limits import PROTOCOL
from source import Result, Source, chosen
from target import Placing, check_target, sentence


def enlarge(image, drawables, options, engines, shown):
    """Returns (image, layer, notice), of several layers the topmost. Raises Failure.

    The notice is None, or (display, sentence) of a new image that there is something to say of.
    """
    sources, placings, failure = [], [], None
    try:
        for layer in chosen(image, drawables, options):
            sources.append(Source(image, layer, options))
            check_target(sources[-1], options)
        given = given_kernel(options, image, drawables)
        canvas = canvas_of(sources, options)
        for number, source in enumerate(sources, start=1):
            of = f"Layer {number} of {len(sources)}: " if len(sources) > 1 else ""
            try:
                seconds = share_of_time(options.seconds, source, sources)
                made = compute(source, options, given, engines, number, of, seconds)
            except Failure as error:
                if not placings:
                    raise
                failure = error  # what is finished is kept
                break
            placings.append(Placing(source, options, *made, canvas, len(sources) > 1))
        placed = place_all(image, placings, options, shown)
    finally:
        for source in sources:
            source.close()
    if failure is not None:
        done = f"{len(placings)} of {len(sources)} layers are done."
        raise Failure(f"{failure} {done}")
    return placed


def share_of_time(seconds, source, sources):
    """The part of the seconds for all sources that one may take, by its size; 0: as long as it needs."""
    pixels = [each.seen[2] * each.seen[3] for each in sources]
    own = source.seen[2] * source.seen[3]
    return max(1, seconds * own / sum(pixels)) if seconds else 0


def canvas_of(sources, options):
    """(x, y, width, height) of what a new image shows: everything, so that layers keep their place, or the selected."""
    if options.use != "selection":
        return (0, 0, *sources[0].about.size)
    boxes = [source.box for source in sources]
    left, top = (min(box[axis] for box in boxes) for axis in (0, 1))
    right, bottom = (max(box[axis] + box[2 + axis] for box in boxes) for axis in (0, 1))
    return left, top, right - left, bottom - top


def place_all(image, placings, options, shown):
    """Puts all results where they belong, as one step for Undo, and says what there is to say."""
    new, layers, notes, extra = None, [], [], []
    grouped = options.result != "new-image" and image.is_valid()
    if grouped:
        image.undo_group_start()
    try:
        for placing in placings:
            found, layer, elsewhere = placing.place(new)
            remember(placing.kernel)
            if elsewhere:
                notes.append(elsewhere)
                extra.append(found)
            else:
                layers.append(layer)
                new = found if options.result == "new-image" else None
    finally:
        if grouped:
            image.undo_group_end()
    if len(layers) > 1:
        (new or image).set_selected_layers(layers)
    displays = []
    if shown:
        displays = [Gimp.Display.new(each) for each in ([new] if new else []) + extra]
        Gimp.displays_flush()
    for note in notes:
        Gimp.message(note)
    words = sentence(placings[-1].report)
    if words and not displays:
        # Short, so that GIMP shows it in the status bar and not in a box; the whole sentence is on the layer.
        Gimp.message(words.split(". ")[0].rstrip(".") + ".")
    Gimp.progress_end()
    return found, layer, (displays[-1], words) if words and displays else None


def compute(source, options, given, engines, number, of, seconds):
    """Runs the engine: (Result, Kernel, report). The result's file is there until the engine ends."""
    Gimp.progress_init(f"{of}Starting the engine")
    engine = engines.at(options.engine)
    if not source.drawable.is_valid():  # of several layers the later ones are read when their turn comes
        raise Failure("The image was closed during the run.")
    try:
        directory = Path(engine.greet()["directory"])
        check_room(directory, source, options)
        source.write(directory / "input.f32")
        _, _, width, height = source.seen
        job = {
            "input": {"file": "input.f32", "width": width, "height": height, "channels": source.channels},
            "settings": options.settings(),
            "reduce": options.result == "same-size",
            "strength": options.strength / 100,
            "preview": True,
        }
        if seconds:
            job["seconds"] = seconds
        if given is not None:
            (directory / "given.f32").write_bytes(given.taps.tobytes())
            job["kernel"] = {"file": "given.f32", "size": given.size, "scale": given.scale}
        engine.say(type="job", protocol=PROTOCOL, id="gimp", **job)
        answer = wait(engine, of)
        report = answer.get("report") or {}
        scale = 1 if options.result == "same-size" else options.scale
        pixels = directory / f"result-{number}.f32"
        (directory / answer["image"]["file"]).replace(pixels)  # the next job writes the same name
        result = Result(pixels, answer["image"], source, scale)
        taps = array("f", (directory / answer["kernel"]["file"]).read_bytes())
        kernel = Kernel(taps, answer["kernel"]["size"], options.scale, report.get("kernel_source", "recovered"))
        return result, kernel, report
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise Failure(
            f"The pixels could not be passed to the engine: {error.strerror}{where}. (Log: {engine.log})"
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


def wait(engine, of):
    """Shows progress until the result is there, and returns that message."""
    blur = ""
    while True:
        message = engine.hear(0.2)
        if message is None or message.get("id") not in ("gimp", None):
            continue  # an estimate that the dialog has not waited for
        kind = message["type"]
        if kind == "result":
            Gimp.progress_update(1.0)
            return message
        if kind == "error":
            raise Failure(in_words(message))
        if kind == "warning":
            Gimp.message(message["message"])
        elif kind == "waiting":
            Gimp.progress_set_text("Waiting for another KernelFusion job to end")
            Gimp.progress_pulse()
        elif kind == "preview":
            blur = blur_width(message["kernel"]["taps"], message["kernel"]["size"])
        elif kind == "progress":
            stage = message.get("label") or message["phase"]
            Gimp.progress_set_text(f"{of}{stage.capitalize()}{time_left(message.get('seconds_left'))}{blur}")
            Gimp.progress_update(message["fraction"])


def time_left(seconds):
    return "" if seconds is None else f", {duration(seconds)} left"


def duration(seconds):
    """Never more exact than an estimate can be."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {max(1, seconds):.0f} s"


def blur_width(taps, size):
    """How wide the kernel found so far is, in pixels of the result: two standard deviations across and down."""
    total = sum(taps) or 1.0
    widths = []
    for index in (lambda i: i % size, lambda i: i // size):
        mean = sum(tap * index(i) for i, tap in enumerate(taps)) / total
        widths.append(2 * max(0.0, sum(tap * (index(i) - mean) ** 2 for i, tap in enumerate(taps)) / total) ** 0.5)
    return f" (blur {widths[0]:.1f} × {widths[1]:.1f})"
