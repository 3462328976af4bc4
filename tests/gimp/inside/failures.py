"""Every failure is an error status with a sentence, and GIMP and the image stay as they were."""

import subprocess
from pathlib import Path

from gi.repository import Gegl, Gimp
from kit import HOME, Pixels, add_layer, call, equal, expect, make, processes, wait_until


def refused(image, drawables, *words, status="execution-error", **arguments):
    """The call fails with a sentence that has these words, and nothing changed."""
    images, layers = len(Gimp.get_images()), [each.get_id() for each in image.get_layers()]
    pixels = [Pixels(each) for each in image.get_layers()]
    dirty = image.is_dirty()
    outcome = call(image, drawables, **arguments)
    equal(outcome.status, status, f"the status of {arguments} ({outcome.sentence})")
    for word in words:
        expect(word in outcome.sentence, f"'{outcome.sentence}' does not say '{word}'")
    expect(len(outcome.sentence) > 20 and ". " in outcome.sentence + " ", f"'{outcome.sentence}' is no sentence")
    equal(len(Gimp.get_images()), images, "the number of images")
    equal([each.get_id() for each in image.get_layers()], layers, "the layers")
    equal(
        [Pixels(each) == before for each, before in zip(image.get_layers(), pixels, strict=True)],
        [True] * len(layers),
        "pixels",
    )
    equal(image.is_dirty(), dirty, "the image's need to be saved")
    return outcome.sentence


def check_values_out_of_range():
    image, layer = make()
    for name, value in (
        ("scale", 7),
        ("scale", 0),
        ("scale", -4),
        ("kernel_size", 97),
        ("kernel_size", -1),
        ("seed", -5),
        ("seconds", -60),
        ("preset", "quick"),
        ("use", "everything"),
        ("result", "a-cake"),
        ("device", "tpu"),
    ):
        refused(image, [layer], str(value), status="calling-error", **{name: value})
    for name, value, words in (("scale", 1, "same size"), ("kernel", "last", "known"), ("preset", "paper", "'paper'")):
        refused(image, [layer], "Blur that varies", words, status="calling-error", varying=True, **{name: value})


def check_no_layer_and_what_is_no_layer():
    image, layer = make()
    refused(image, [], "No layer", status="calling-error")
    channel = Gimp.Channel.new(image, "channel", 48, 40, 50.0, Gegl.Color.new("red"))
    image.insert_channel(channel, None, 0)
    refused(image, [channel], "channel", status="calling-error")
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    refused(image, [mask], "mask", status="calling-error")


def check_sizes():
    image, layer = make(width=31, height=200)
    refused(image, [layer], "31 × 200", "at least 32 × 32", status="calling-error")
    image = Gimp.Image.new(140000, 32, Gimp.ImageBaseType.GRAY)
    layer = Gimp.Layer.new(image, "long", 140000, 32, Gimp.ImageType.GRAY_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    outcome = call(image, [layer], scale=4)
    equal(outcome.status, "calling-error", "the status")
    expect("too many" in outcome.sentence, outcome.sentence)


def check_selections():
    image, layer = make(width=90, height=80)
    small = add_layer(image, "small", 40, 40)
    Gimp.Selection.none(image)
    refused(image, [layer], "Nothing is selected", use="selection", status="calling-error")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 60, 10, 10)
    refused(image, [small], "outside the layer", use="selection", status="calling-error")
    for use in ("auto", "layer", "selection"):  # with an engine that would be noticed
        words = {"use": use, "result": "same-size", "engine": "stub-dies", "status": "calling-error"}
        refused(image, [small], "outside the layer", **words)


def check_targets():
    image, layer = make()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    add_layer(image, "inner", 48, 40, parent=group)
    refused(image, [group], "group", result="same-size", status="calling-error")
    layer.set_lock_content(True)
    refused(image, [layer], "locked", result="same-size", status="calling-error")


def check_engines_that_cannot_be_used():
    image, layer = make()
    refused(image, [layer], "/nowhere/python", "kf install-gimp", engine="/nowhere/python")
    plain = HOME / "not-executable"
    plain.write_text("x")
    refused(image, [layer], "not-executable", engine=str(plain))
    noise = HOME / "noise"
    noise.write_bytes(b"\x7fELF no program at all")
    noise.chmod(0o755)
    refused(image, [layer], "cannot be started", "noise", engine=str(noise))
    refused(image, [layer], "no KernelFusion engine", "Log: ", engine="/usr/bin/python3")


def check_engines_that_misbehave():
    image, layer = make()
    for engine, words in {
        "stub-newer": ("does not fit", "99"),
        "stub-garbage": ("no message",),
        "stub-dies": ("ended by itself", "3"),
        "stub-killed": ("killed", "9"),
        "stub-memory": ("ran out of memory", "smaller part"),
    }.items():
        sentence = refused(image, [layer], *words, engine=engine)
        path = Path(sentence.split("Log: ")[1].rstrip(")"))
        expect(path.is_file(), f"there is no log at {path}")


def check_full_disk():
    image, layer = make(width=90, height=80)
    Path("/tmp/full").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/tmp/full"], check=True)
    try:
        refused(image, [layer], "disk is full", "/tmp", engine="stub-full")
    finally:
        subprocess.run(["umount", "/tmp/full"], check=True)


def check_no_engine_is_left():
    wait_until(lambda: not processes("/stub"), 3, "the end of all engines")
