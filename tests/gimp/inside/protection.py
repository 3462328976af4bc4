"""Neither wrong pixels nor lost work: effects, masks, locks, and an image that changes during the run."""

import sys
from array import array

from gi.repository import Gimp, Gio
from kit import (
    HEIGHT,
    HOME,
    WIDTH,
    Pixels,
    add_layer,
    call,
    close,
    configured,
    during,
    equal,
    expect,
    halved_and_enlarged,
    job,
    looks,
    make,
    put,
    succeeded,
)

STEP = 1.1 / 255


def invert(item):
    item.append_filter(Gimp.DrawableFilter.new(item, "gegl:invert-gamma", "Invert"))


def half_mask(layer):
    """A mask that shows the right half."""
    mask = layer.create_mask(Gimp.AddMaskType.BLACK)
    layer.add_mask(mask)
    put(mask, array("f", [float(x >= WIDTH / 2) for _ in range(HEIGHT) for x in range(WIDTH)]))
    return mask


def shows_the_right_half(layer, scale):
    expect(layer.get_mask() is not None, "the mask is missing")
    kept = Pixels(layer.get_mask())
    equal((kept.width, kept.height), (scale * WIDTH, scale * HEIGHT), "the size of the mask")
    left, right = kept.at(scale * WIDTH // 4, 10)[0], kept.at(scale * WIDTH * 3 // 4, 10)[0]
    expect(left < 0.05 and right > 0.95, f"the mask is not that of the layer: {left:.2f}, {right:.2f}")


def check_effects_are_applied_once():
    for masked in (False, True):
        for result in ("new-image", "new-layer"):
            image, layer = make("U16_NON_LINEAR")
            plain = Pixels(layer)
            if masked:
                half_mask(layer)
            invert(layer)
            done = succeeded(call(image, [layer], result=result))
            equal(len(done.layer.get_filters()), 0, f"the effects of the result ({result}, mask {masked})")
            wanted = [(1 - value) / 2 for value in plain.at(40, 20)]
            close(Pixels(done.layer).at(80, 40)[:3], wanted, 1e-3, "the inverted pixel")
            equal(len(layer.get_filters()), 1, "the number of effects of the source")
            if masked:
                shows_the_right_half(done.layer, 2)


def check_the_same_size_leaves_the_effects_on_the_layer():
    image, layer = make("U16_NON_LINEAR")
    plain = Pixels(layer)
    invert(layer)
    succeeded(call(image, [layer], result="same-size"))
    equal(len(layer.get_filters()), 1, "the number of effects")
    close(Pixels(layer).at(10, 20), [value / 2 for value in plain.at(10, 20)], 1e-3, "the pixel beneath the effect")
    close(looks(image, 10, 20)[:3], [1 - value / 2 for value in plain.at(10, 20)], 2e-3, "how it looks")


def check_effects_and_mask_of_a_group():
    image, _ = make("U16_NON_LINEAR", width=60, height=50)
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    inner = add_layer(image, "inner", WIDTH, HEIGHT, parent=group)
    inner.set_offsets(7, 5)
    plain = Pixels(inner)
    half_mask(group)
    invert(group)
    for result, corner in (("new-layer", (7, 5)), ("new-image", (14, 10))):
        done = succeeded(call(image, [group], result=result))
        equal(tuple(done.layer.get_offsets())[1:], corner, "the offset")
        wanted = [(1 - value) / 2 for value in plain.at(40, 20)]
        close(Pixels(done.layer).at(80, 40)[:3], wanted, 1e-3, "the inverted pixel")
        shows_the_right_half(done.layer, 2)


def check_mask_of_a_text_layer():
    image, _ = make(width=200, height=100)
    text = Gimp.TextLayer.new(image, "KernelFusion", Gimp.context_get_font(), 40.0, Gimp.Unit.pixel())
    image.insert_layer(text, None, 0)
    mask = text.create_mask(Gimp.AddMaskType.BLACK)
    text.add_mask(mask)
    done = succeeded(call(image, [text]))
    expect(done.layer.get_mask() is not None, "the mask is missing")
    expect(max(Pixels(done.layer.get_mask()).values) < 0.01, "the mask is another one")


def check_mask_and_shape_of_the_selection():
    image, layer = make(width=WIDTH, height=HEIGHT)
    half_mask(layer)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 8, 4, 36, 34)
    done = succeeded(call(image, [layer], use="selection"))
    kept = Pixels(done.layer.get_mask())
    equal((kept.width, kept.height), (72, 68), "the size of the mask of a part")
    expect(kept.at(20, 30)[0] < 0.05 and kept.at(60, 30)[0] > 0.95, "the mask is not that of the part")
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 6, 2, 36, 36)
    done = succeeded(call(image, [layer], use="selection"))
    kept = Pixels(done.layer.get_mask())
    expect(kept.at(70, 70)[0] < 0.05, "what is not selected shows")
    expect(kept.at(50, 36)[0] > 0.95, "what is selected does not show")
    expect(kept.at(20, 36)[0] < 0.05, "what the layer's own mask hides shows")


def check_the_selection_is_used_where_there_is_one():
    image, layer = make(width=90, height=80)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 10, 40, 36)
    done = succeeded(call(image, [layer]))
    equal((done.image.get_width(), done.image.get_height()), (80, 72), "the size of the new image")
    Gimp.Selection.none(image)
    done = succeeded(call(image, [layer]))
    equal((done.image.get_width(), done.image.get_height()), (180, 160), "the size without a selection")


def check_only_the_selected_part_is_computed_at_the_same_size():
    image, layer = make(width=500, height=400)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 470, 300, 20, 20)
    before = Pixels(layer)
    for use in ("layer", "selection"):
        succeeded(call(image, [layer], use=use, result="same-size"))
        asked = job()["input"]
        equal((asked["width"], asked["height"]), (192, 192), "what the engine gets")
    after = Pixels(layer)
    close(after.at(480, 310), [value / 4 for value in before.at(480, 310)], 2 * STEP, "a selected pixel")
    close(after.at(465, 310), before.at(465, 310), 0, "a pixel beside it")


def check_locks_of_the_layer_and_its_mask():
    image, layer = make()
    source = Pixels(layer)
    half_mask(layer)
    for lock in (layer, layer.get_mask()):
        lock.set_lock_position(True)
        lock.set_lock_content(True)
    layer.set_lock_alpha(True)
    layer.set_lock_visibility(True)
    for result in ("new-image", "new-layer"):
        done = succeeded(call(image, [layer], result=result))
        halved_and_enlarged(Pixels(done.layer), source, 2, STEP)
        shows_the_right_half(done.layer, 2)
    invert(layer)
    done = succeeded(call(image, [layer]))
    close(Pixels(done.layer).at(80, 40), [(1 - value) / 2 for value in source.at(40, 20)], STEP, "the inverted pixel")
    expect(layer.get_lock_content() and layer.get_lock_position(), "the locks of the source are gone")


def check_inherited_locks():
    image, _ = make(width=90, height=80)
    group = Gimp.GroupLayer.new(image, "album")
    image.insert_layer(group, None, 0)
    layer = add_layer(image, "inner", WIDTH, HEIGHT, parent=group)
    source = Pixels(layer)
    group.set_lock_content(True)
    outcome = call(image, [layer], result="same-size", engine="stub-dies")  # an engine that would be noticed
    equal(outcome.status, "calling-error", "the status")
    expect("album" in outcome.sentence and "locked" in outcome.sentence, outcome.sentence)
    expect(Pixels(layer) == source, "the layer has changed")
    group.set_lock_content(False)
    group.set_lock_position(True)
    done = succeeded(call(image, [layer], result="new-layer"))
    halved_and_enlarged(Pixels(done.layer), source, 2, STEP)
    expect(done.layer.get_parent() is None, "the new layer went into the locked group")
    equal(image.get_item_position(done.layer), image.get_item_position(group) - 1, "its place")


def check_alpha_lock():
    image, layer = make(alpha=True)
    source = Pixels(layer)
    layer.set_lock_alpha(True)
    succeeded(call(image, [layer], result="same-size"))
    result = Pixels(layer)
    close(result.at(30, 20)[:3], [value / 2 for value in source.at(30, 20)[:3]], 2 * STEP, "the colour")
    close(result.at(30, 20)[3:], source.at(30, 20)[3:], 0, "the alpha")


def rescued(action, words, **arguments):
    """`action` in the middle of a run takes its target away: the result is in a new image that has all pixels."""
    image, layer = make("U16_NON_LINEAR", profile=Gimp.ColorProfile.new_rgb_adobe())
    source, scale = Pixels(layer), 1 if arguments.get("result") == "same-size" else 2
    found, new = during(lambda: action(image, layer), image, [layer], **arguments)
    expect(not image.is_valid() or found.get_id() != image.get_id(), f"{words}: the result is not in a new image")
    halved_and_enlarged(Pixels(new), source, scale, 1e-3)
    expect(found.get_color_profile() is not None, "the profile is gone")
    expect(found.is_dirty(), "the new image counts as saved")
    if image.is_valid():
        image.delete()
    found.delete()


def check_closing_the_image_during_the_run_loses_nothing():
    for result in ("new-image", "new-layer", "same-size"):
        rescued(lambda image, layer: image.delete(), "closed", result=result)


def check_changing_the_layer_or_the_selection_during_the_run_loses_nothing():
    rescued(lambda image, layer: image.remove_layer(layer), "removed", result="new-layer")
    rescued(lambda image, layer: image.remove_layer(layer), "removed", result="same-size")
    rescued(lambda image, layer: layer.set_lock_content(True), "locked", result="same-size")
    rescued(lambda image, layer: layer.resize(20, 20, 0, 0), "resized", result="same-size")
    part = Gimp.ChannelOps.REPLACE, 3, 3, 20, 20
    rescued(lambda image, layer: image.select_rectangle(*part), "selected", result="same-size")


def check_a_new_image_is_unsaved_and_named_after_its_source():
    image, layer = make()
    image.set_file(Gio.File.new_for_path(str(HOME / "harbour.xcf")))
    (HOME / "harbour ×2.xcf").write_text("in the way")
    done = succeeded(call(image, [layer]))
    expect(done.image.is_dirty(), "the result counts as saved")
    equal(done.image.get_name(), "harbour ×2 (2).xcf", "its name")
    expect(not (HOME / "harbour ×2 (2).xcf").exists(), "a file was written")
    image.delete()
    image, layer = make()
    equal(succeeded(call(image, [layer])).image.get_name(), "[Untitled]", "the name where the source has none")


def check_choices_outlive_a_failed_run():
    sys.path.insert(0, str(HOME / ".config/GIMP/3.0/plug-ins/kernelfusion"))
    from choices import KEPT, keep_choices

    keep_choices(configured("stub", {"scale": 3, "seed": 77, "result": "new-layer"}))
    image, layer = make()
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-kernelfusion")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_property("run-mode", Gimp.RunMode.WITH_LAST_VALS)
    config.set_core_object_array("drawables", [layer])
    equal(procedure.run(config).index(0).value_nick, "success", "the run with the last values")
    equal((job()["settings"]["scale"], job()["settings"]["seed"]), (3, 77), "scale and seed")
    equal(len(image.get_layers()), 2, "the number of layers")
    expect(Gimp.get_parasite(KEPT) is None, "the choices are kept although the run succeeded")
