"""What the preview is made of, without its window: the part that the engine gets, the picture to choose in, colours."""

import sys
from array import array
from pathlib import Path

from gi.repository import Gegl, Gimp
from kit import HOME, add_layer, configured, equal, expect, make

PLUGIN = str(HOME / ".config/GIMP/3.0/plug-ins/kernelfusion")


def plugin(name):
    if PLUGIN not in sys.path:
        sys.path.insert(0, PLUGIN)
    return __import__(name)


def check_no_two_fields_have_the_same_key():
    """With Alt; those of GIMP's own buttons and of the preview included."""
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-kernelfusion")
    names = [argument.nick for argument in procedure.get_arguments()] + [
        argument.nick for argument in procedure.get_aux_arguments()
    ]
    labels = [*names, "_Load Saved", "_Save", "_Reset", "_Help", "_Cancel", "_OK", "_Details", "S_witch", "Prev_iew"]
    keys = {}
    for label in labels:
        if "_" in label:
            keys.setdefault(label[label.index("_") + 1].lower(), []).append(label)
    expect(len(keys) > 15, f"only {keys}")
    equal({key: found for key, found in keys.items() if len(found) > 1}, {}, "fields with the same key")


def check_what_is_said_of_an_estimate():
    """Plain where all is well, in orange where it is long, in red where the memory does not suffice."""
    in_text = plugin("estimator").in_text
    seen = {"fits": True, "seconds": 90.0, "memory_bytes": 2**31, "free_bytes": 2**33}
    equal(in_text(seen), ("Takes about 2 min and 2.0 GiB of memory.", ""), "a run that is well")
    equal(in_text(seen, 40)[1], "warning", "forty layers of it")
    equal(in_text({**seen, "seconds": 7200.0}), ("Takes about 2 h and 2.0 GiB of memory.", "warning"), "a long run")
    words = "Needs about 2.0 GiB of memory, and 1.0 GiB are free."
    equal(in_text({**seen, "fits": False, "free_bytes": 2**30}), (words, "error"), "a run that does not fit")


def check_the_part_around_a_spot_of_a_large_photo():
    source, options = plugin("source"), plugin("options")
    image, layer = make(width=1500, height=400)
    seen = source.Source(image, layer, options.Options(configured("stub", {"use": "layer"}), image))
    for spot, wanted in (
        ((700, 100, 48, 48), (340, 0, 768, 400)),
        ((0, 0, 48, 48), (0, 0, 768, 400)),
        ((1452, 352, 48, 48), (732, 0, 768, 400)),
    ):
        seen.see(spot, 768)
        equal(seen.seen, wanted, f"what the engine gets for {spot}")
    path = HOME / "part.f32"
    seen.write(path)
    equal(path.stat().st_size, 768 * 400 * 3 * 4, "the bytes written")
    seen.close()


def check_the_areas_are_those_of_the_run():
    source, options = plugin("source"), plugin("options")
    image, layer = make(width=300, height=200)
    add_layer(image, "other", 100, 90)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 40, 30, 60, 50)
    for arguments in ({"use": "layer"}, {"use": "selection"}, {"use": "visible"}, {"result": "same-size"}):
        chosen = options.Options(configured("stub", dict(arguments)), image)
        found = source.areas(image, [layer], chosen)[-1]
        made = source.Source(image, found[0], chosen)
        equal(found[1:], (made.area, made.seen), f"area and part seen with {arguments}")
        made.close()


def check_the_picture_to_choose_in():
    """It shows the part that will be enlarged: a quarter that is red, in a layer that is blue elsewhere."""
    picker = plugin("picker")
    image, layer = make(width=400, height=200)
    buffer = layer.get_buffer()
    buffer.set_color(Gegl.Rectangle.new(0, 0, 400, 200), Gegl.Color.new("blue"))
    buffer.set_color(Gegl.Rectangle.new(200, 100, 200, 100), Gegl.Color.new("red"))
    buffer.flush()
    layer.update(0, 0, 400, 200)
    for holder in (layer, None):
        whole = picker.thumbnail(image, holder, (0, 0, 400, 200))
        equal((whole.get_width(), whole.get_height()), (220, 110), "the size of the whole")
        quarter = picker.thumbnail(image, holder, (200, 100, 200, 100))
        shades = bytes(quarter.get_pixels())[: 3 * 20]
        expect(all(shade > 200 for shade in shades[0::3]) and max(shades[2::3]) < 50, f"not red: {shades[:12]}")


def check_colours_grey_and_transparency_in_the_panes():
    preview = plugin("preview")
    directory = Path(HOME)
    for channels, values, wanted in (
        (1, [0.5], (128, 128, 128)),
        (2, [0.5, 1.0], (128, 128, 128)),
        (3, [1.0, 0.5, -0.2], (255, 128, 0)),
        (4, [1.2, 0.5, 0.0, 1.0], (255, 128, 0)),
        (4, [1.0, 1.0, 1.0, 0.0], (0x99, 0x99, 0x99)),
    ):
        about = {"file": "pane.f32", "width": 48, "height": 32, "channels": channels}
        (directory / "pane.f32").write_bytes(array("f", values * (48 * 32)).tobytes())
        pixels = preview.Picture(directory, about).as_pixbuf()
        equal((pixels.get_width(), pixels.get_height()), (192, 128), "the size")
        equal(tuple(bytes(pixels.get_pixels())[:3]), wanted, f"the colour of {values}")
    black = preview.Picture(directory, about, array("f", [0.0] * (4 * 48 * 32)))
    white = preview.Picture(directory, about, array("f", [1.0] * (4 * 48 * 32)))
    half = black.towards(white, 0.5).as_pixbuf()
    expect(bytes(half.get_pixels())[0] not in (0, 255), "half the strength is not between both")
