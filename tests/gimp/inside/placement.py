"""Where the result goes and what stays with it, with an engine whose pixels can be foretold."""

from array import array

from gi.repository import Gegl, Gimp, Gio
from kit import (
    HEIGHT,
    HOME,
    WIDTH,
    Pixels,
    add_layer,
    call,
    close,
    equal,
    expect,
    halved_and_enlarged,
    job,
    make,
    pattern,
    put,
    succeeded,
)

# What one step of the precision is, in sRGB's encoding; linear 8 bit is coarse in the shadows.
STEPS = {"U8_NON_LINEAR": 1 / 255, "U8_LINEAR": 0.05, "U8_PERCEPTUAL": 1 / 255, "HALF": 2e-3}


def check_every_precision_keeps_its_pixels():
    for index, kind in enumerate(("U8", "U16", "U32", "HALF", "FLOAT", "DOUBLE")):
        for step, curve in enumerate(("LINEAR", "NON_LINEAR", "PERCEPTUAL")):
            precision = f"{kind}_{curve}"
            grey, alpha = (index + step) % 2 == 0, (index + step // 2) % 2 == 0
            image, layer = make(precision, grey, alpha)
            before = Pixels(layer)
            done = succeeded(call(image, [layer]))
            equal(done.image.get_precision(), getattr(Gimp.Precision, precision), "the precision")
            equal(done.image.get_base_type(), image.get_base_type(), f"the base type at {precision}")
            equal(done.layer.has_alpha(), alpha, f"alpha at {precision}")
            equal((done.image.get_width(), done.image.get_height()), (2 * WIDTH, 2 * HEIGHT), "the size")
            step = STEPS.get(precision) or STEPS.get(kind, 1e-4)
            halved_and_enlarged(Pixels(done.layer), before, 2, 1.1 * step)
            expect(Pixels(layer) == before, f"the source changed at {precision}")
            image.delete()
            done.image.delete()


def check_all_four_kinds_of_pixels():
    for grey in (False, True):
        for alpha in (False, True):
            image, layer = make("U16_NON_LINEAR", grey, alpha)
            done = succeeded(call(image, [layer], scale=3))
            halved_and_enlarged(Pixels(done.layer), Pixels(layer), 3, 1e-4)
            done.image.delete()
            image.delete()


def check_values_outside_0_to_1_arrive():
    image, layer = make("FLOAT_LINEAR")
    values = array("f", [1.6 * value - 0.2 for value in pattern(WIDTH, HEIGHT, 3, False)])
    put(layer, values)
    done = succeeded(call(image, [layer]))
    halved_and_enlarged(Pixels(done.layer), Pixels(layer), 2, 1e-3)


def check_profile_and_resolution():
    profile = Gimp.ColorProfile.new_rgb_adobe()
    image, layer = make("U16_NON_LINEAR", profile=profile)
    raw = layer.get_buffer().get(Gegl.Rectangle.new(5, 7, 1, 1), 1.0, None, Gegl.AbyssPolicy.NONE)
    image.set_resolution(300.0, 150.0)
    image.set_unit(Gimp.Unit.inch())
    done = succeeded(call(image, [layer], scale=4))
    found = done.image.get_color_profile()
    expect(found is not None and found.is_equal(profile), "the profile is gone")
    _, across, down = done.image.get_resolution()
    close((across, down), (1200.0, 600.0), 0.01, "the resolution")
    halved_and_enlarged(Pixels(done.layer), Pixels(layer), 4, 4e-4)
    expect(raw, "the image has pixels")
    plain, layer = make()
    done = succeeded(call(plain, [layer]))
    expect(done.image.get_color_profile() is None, "an image without a profile was given one")


def check_metadata_and_parasites():
    image, layer = make()
    metadata = Gimp.Metadata.new()
    metadata.set_from_xmp(xmp("A title of the photo"))
    image.set_metadata(metadata)
    image.attach_parasite(Gimp.Parasite.new("gimp-comment", 1, list(b"by hand\0")))
    done = succeeded(call(image, [layer]))
    kept = done.image.get_metadata()
    expect(kept is not None and "A title of the photo" in kept.serialize(), "the metadata are gone")
    comment = done.image.get_parasite("gimp-comment")
    expect(comment is not None and bytes(comment.get_data()).startswith(b"by hand"), "the comment is gone")


def xmp(title):
    text = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt>'
        f'<rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    return list(text.encode())


def check_offsets_group_mode_and_mask():
    image, _ = make(width=90, height=80)
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    layer = add_layer(image, "inner", WIDTH, HEIGHT, alpha=True, parent=group)
    add_layer(image, "above", 20, 20, parent=group)
    layer.set_offsets(11, -6)
    layer.set_opacity(60.0)
    layer.set_mode(Gimp.LayerMode.MULTIPLY)
    mask = layer.create_mask(Gimp.AddMaskType.BLACK)
    layer.add_mask(mask)
    put(mask, array("f", [float(x >= 24) for y in range(HEIGHT) for x in range(WIDTH)]))
    source = Pixels(layer)

    done = succeeded(call(image, [layer], result="new-layer"))
    new = done.layer
    equal(done.image.get_id(), image.get_id(), "the image")
    equal(new.get_parent().get_id(), group.get_id(), "the group")
    equal(image.get_item_position(new), image.get_item_position(layer) - 1, "the place in the group")
    equal(tuple(new.get_offsets())[1:], (11, -6), "the offset")
    equal((new.get_opacity(), new.get_mode()), (60.0, Gimp.LayerMode.MULTIPLY), "opacity and mode")
    halved_and_enlarged(Pixels(new), source, 2, 1.1 / 255)
    kept = Pixels(new.get_mask())
    equal((kept.width, kept.height), (2 * WIDTH, 2 * HEIGHT), "the size of the mask")
    expect(kept.at(30, 40)[0] < 0.05 and kept.at(70, 40)[0] > 0.95, "the mask is not that of the layer")

    done = succeeded(call(image, [layer], scale=3))
    equal((done.image.get_width(), done.image.get_height()), (270, 240), "the canvas")
    equal(tuple(done.layer.get_offsets())[1:], (33, -18), "the offset in the new image")
    equal(done.layer.get_mode(), Gimp.LayerMode.MULTIPLY, "the mode in the new image")
    expect(done.layer.get_mask() is not None, "the mask is missing in the new image")
    halved_and_enlarged(Pixels(done.layer), source, 3, 1.1 / 255)


def check_a_group_is_enlarged_as_it_looks():
    image, _ = make(width=60, height=50)
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    add_layer(image, "inner", WIDTH, HEIGHT, parent=group)
    done = succeeded(call(image, [group]))
    halved_and_enlarged(Pixels(done.layer), Pixels(group), 2, 1.1 / 255)


def check_filters_of_the_layer_are_in_the_result():
    image, layer = make("U16_NON_LINEAR")
    plain = Pixels(layer)
    effect = Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", "Invert")
    layer.append_filter(effect)
    done = succeeded(call(image, [layer]))
    wanted = [(1 - value) / 2 for value in plain.at(10, 20)]
    close(Pixels(done.layer).at(20, 40), wanted, 1e-3, "the inverted pixel")
    equal(len(layer.get_filters()), 1, "the number of filters of the source")


def check_selection():
    image, layer = make(alpha=True, width=90, height=80)
    layer.set_offsets(5, 3)
    source = Pixels(layer)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 25, 13, 30, 21)  # (20, 10) in the layer
    done = succeeded(call(image, [layer], use="selection", scale=3))
    equal((done.image.get_width(), done.image.get_height()), (90, 63), "the size of the new image")
    halved_and_enlarged(Pixels(done.layer), source, 3, 1.1 / 255, left=20, top=10)

    done = succeeded(call(image, [layer], use="selection", result="new-layer"))
    equal(tuple(done.layer.get_offsets())[1:], (25, 13), "the offset of the new layer")
    halved_and_enlarged(Pixels(done.layer), source, 2, 1.1 / 255, left=20, top=10)


def check_the_same_size_stays_inside_the_selection():
    for use in ("selection", "layer"):
        image, layer = make(alpha=True, width=90, height=80)
        layer.set_offsets(5, 3)
        source = Pixels(layer)
        image.select_ellipse(Gimp.ChannelOps.REPLACE, 25, 13, 30, 21)
        done = succeeded(call(image, [layer], use=use, result="same-size"))
        equal(len(image.get_layers()), 1, "the number of layers")
        result = Pixels(done.layer)
        equal((result.width, result.height), (90, 80), "the size")
        inside = [value / 2 for value in source.at(35, 20)]
        close(result.at(35, 20)[:3], inside[:3], 1.1 / 255, "a selected pixel")
        for x, y in ((21, 11), (34, 9), (34, 31), (19, 20), (50, 20), (0, 0), (89, 79)):
            close(result.at(x, y), source.at(x, y), 0, f"the pixel ({x}, {y}) outside the selection")


def check_visible_image():
    image, layer = make(width=90, height=80)
    top = add_layer(image, "top", 40, 40)
    top.set_offsets(30, 20)
    layers = [each.get_id() for each in image.get_layers()]
    for drawables in ([], [layer], [layer, top]):
        done = succeeded(call(image, drawables, use="visible"))
        result = Pixels(done.layer)
        equal((done.image.get_width(), result.width, result.height), (180, 180, 160), "the size")
        close(result.at(2 * 35, 2 * 27)[:3], [value / 2 for value in Pixels(top).at(5, 7)], 1.1 / 255, "the top layer")
        close(result.at(10, 20)[:3], [value / 2 for value in Pixels(layer).at(5, 10)], 1.1 / 255, "the lower layer")
    equal([each.get_id() for each in image.get_layers()], layers, "the layers")
    done = succeeded(call(image, [layer], use="visible", result="same-size"))
    equal(image.get_item_position(done.layer), 0, "the place of the new layer")
    equal((done.layer.get_width(), done.layer.get_height()), (90, 80), "its size")


def check_all_selected_layers():
    """Each is enlarged; they keep their places, and their order whatever the order of the call."""
    image, low = make("U16_NON_LINEAR", width=90, height=80)
    high = add_layer(image, "high", WIDTH, HEIGHT, alpha=True)
    high.set_offsets(30, 20)
    add_layer(image, "not selected", 40, 40)
    before = [Pixels(low), Pixels(high)]
    for layers in ([low, high], [high, low]):
        done = succeeded(call(image, layers, add_kernel=True))
        names = [layer.get_name() for layer in done.image.get_layers()]
        kernels = [name for name in names if name.startswith("Kernel")]
        equal([name for name in names if name not in kernels], ["high", "photo"], "the layers of the new image")
        equal([name.split(" of ")[1] for name in kernels], ["high", "photo"], "the kernels")
        equal((done.image.get_width(), done.image.get_height()), (180, 160), "the canvas")
        new = {layer.get_name(): layer for layer in done.image.get_layers()}
        equal(tuple(new["high"].get_offsets())[1:], (60, 40), "the offset of the upper")
        equal(tuple(new["photo"].get_offsets())[1:], (0, 0), "the offset of the lower")
        halved_and_enlarged(Pixels(new["photo"]), before[0], 2, 1e-3)
        halved_and_enlarged(Pixels(new["high"]), before[1], 2, 1e-3)
        equal(len(done.image.get_selected_layers()), 2, "the selected layers")
        done.image.delete()

    expect("seconds" not in job(), "a time is asked for although none was chosen")
    succeeded(call(image, [high, low], result="new-layer", seconds=91))
    share = WIDTH * HEIGHT / (90 * 80 + WIDTH * HEIGHT)
    close([job()["seconds"]], [91 * share], 0.1, "the time of the upper, which is made last")
    names = [layer.get_name() for layer in image.get_layers()]
    equal(names, ["not selected", "high ×2", "high", "photo ×2", "photo"], "the layers")
    succeeded(call(image, [high, low], result="same-size"))
    close(Pixels(high).at(20, 20)[:3], [value / 2 for value in before[1].at(20, 20)[:3]], 1e-3, "the upper")
    close(Pixels(low).at(5, 5), [value / 2 for value in before[0].at(5, 5)], 1e-3, "the lower")

    image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 10, 50, 40)
    done = succeeded(call(image, [high, low]))
    equal((done.image.get_width(), done.image.get_height()), (100, 80), "the canvas of what is selected")
    new = {layer.get_name(): layer for layer in done.image.get_layers()}
    equal(tuple(new["high"].get_offsets())[1:], (40, 20), "the offset of the upper's selected part")
    equal((new["high"].get_width(), new["high"].get_height()), (60, 60), "its size")


def check_what_is_finished_is_kept_when_a_later_layer_fails():
    image, low = make("U16_NON_LINEAR")
    high = add_layer(image, "high", WIDTH, HEIGHT)
    outcome = call(image, [low, high], engine="stub-second", result="new-layer")
    equal(outcome.status, "execution-error", "the status")
    expect("ran out of memory" in outcome.sentence and "1 of 2 layers are done." in outcome.sentence, outcome.sentence)
    equal([layer.get_name() for layer in image.get_layers()], ["high", "photo ×2", "photo"], "the layers")


def check_indexed():
    image, layer = make()
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 20, False, False, "")
    colours = Gimp.Image.duplicate(image)
    colours.convert_rgb()
    source = Pixels(colours.get_layers()[0])
    done = succeeded(call(image, [layer]))
    equal(done.image.get_base_type(), Gimp.ImageBaseType.RGB, "the base type of the new image")
    equal(image.get_base_type(), Gimp.ImageBaseType.INDEXED, "the base type of the old image")
    halved_and_enlarged(Pixels(done.layer), source, 2, 1.1 / 255)
    done = succeeded(call(image, [layer], result="new-layer"))
    equal(image.get_base_type(), Gimp.ImageBaseType.RGB, "the base type after a new layer")
    halved_and_enlarged(Pixels(done.layer), source, 2, 1.1 / 255)


def check_kernel_layer():
    image, layer = make(width=200, height=150)
    done = succeeded(call(image, [layer], add_kernel=True))
    equal(len(done.image.get_layers()), 2, "the number of layers")
    kernel = done.image.get_layers()[0]
    pixels = Pixels(kernel)
    side = pixels.width // 12
    expect("Kernel 12" in kernel.get_name() and side >= 2, f"{kernel.get_name()} of {pixels.width} pixels")
    close(pixels.at(side - 1, side - 1), [1.0] * 3, 1 / 255, "the first tap, the largest")
    close(pixels.at(2 * side, side), [1 / 3] * 3, 1.1 / 255, "the third tap of the second row")
    close(pixels.at(side, 0), [0.0] * 3, 1 / 255, "an empty tap")


def check_arguments_are_documented():
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-kernelfusion")
    names = {argument.name for argument in procedure.get_arguments()}
    wanted = {"scale", "preset", "kernel-size", "use", "result", "add-kernel", "seed", "device", "engine", "advanced"}
    wanted |= {"seconds", "varying"}
    equal(wanted - names, set(), "what is missing")
    for argument in procedure.get_arguments():
        expect(
            len(argument.blurb) > 15 or argument.name in ("image", "drawables", "run-mode"),
            f"{argument.name} says nothing",
        )
    equal(procedure.get_menu_paths(), ["<Image>/Filters/Enhance"], "the menu")
    expect(len(procedure.get_blurb()) > 20 and len(procedure.get_help()) > 50, "the procedure says nothing")


def check_a_photo_of_a_camera_keeps_its_exif():
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(HOME / "camera.jpg")))
    done = succeeded(call(image, image.get_layers()))
    export = Gimp.get_pdb().lookup_procedure("file-jpeg-export")
    config = export.create_config()
    config.set_property("image", done.image)
    config.set_property("file", Gio.File.new_for_path(str(HOME / "larger.jpg")))
    config.set_property("include-exif", True)
    equal(export.run(config).index(0).value_nick, "success", "exporting the result")
