"""The filter with the project's own engine, at a setting that takes seconds."""

import json
import os
import signal
import threading
import time
from array import array
from pathlib import Path

from gi.repository import Gimp
from kit import (
    HEIGHT,
    HOME,
    TINY,
    WIDTH,
    Pixels,
    call,
    close,
    equal,
    expect,
    make,
    pattern,
    processes,
    put,
    resembles,
    succeeded,
    wait_until,
)

ENGINE = ("kf_core.engine",)
LEFT = "/tmp/kernelfusion-job-*"


def check_rgb_16_bit_and_seeds():
    image, layer = make("U16_NON_LINEAR")
    done = succeeded(call(image, [layer], engine="", seed=5, add_kernel=True))
    first = Pixels(done.layer)
    equal((done.image.get_width(), done.image.get_height()), (2 * WIDTH, 2 * HEIGHT), "the size")
    resembles(first, Pixels(layer), 2)
    levels = {round(value * 65535) % 257 for value in first.values}
    expect(len(levels) > 100, "the result has only 8 bits")
    kernel = Pixels(done.image.get_layers()[0])
    expect(max(kernel.values) > 0.99 and kernel.width % 12 == 0, "the kernel layer is empty")
    expect(Pixels(succeeded(call(image, [layer], engine="", seed=5)).layer) == first, "the same seed, another result")
    expect(Pixels(succeeded(call(image, [layer], engine="", seed=6)).layer) != first, "another seed, the same result")


def check_alpha_float_linear_scale_3():
    image, layer = make("FLOAT_LINEAR", alpha=True)
    values = pattern(WIDTH, HEIGHT, 3, True)
    for y in range(HEIGHT):
        for x in range(30, WIDTH):  # what is hidden is black, as many programs leave it
            start = 4 * (y * WIDTH + x)
            values[start : start + 4] = array("f", [0.0, 0.0, 0.0, 0.0])
        for x in range(30):
            start = 4 * (y * WIDTH + x)
            values[start : start + 4] = array("f", [0.8, 0.6, 0.7, 1.0])
    put(layer, values)
    done = succeeded(call(image, [layer], engine="", scale=3))
    result = Pixels(done.layer)
    equal((result.width, result.height), (3 * WIDTH, 3 * HEIGHT), "the size")
    for y in range(6, 3 * HEIGHT - 6, 5):
        expect(result.at(84, y)[3] > 0.99 and result.at(96, y)[3] < 0.01, f"alpha in row {y} is not where it was")
        for x in (78, 84, 89):  # up to the last visible pixel
            red, green, blue, _ = result.at(x, y)
            expect(min(red - 0.8, green - 0.6, blue - 0.7) > -0.15, f"hidden black bled into ({x}, {y}): {red:.2f}")


def check_grey_32_bit_same_size_in_a_selection():
    image, layer = make("U32_LINEAR", grey=True, width=80, height=70)
    source = Pixels(layer)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 15, 24, 22)
    done = succeeded(call(image, [layer], engine="", use="selection", result="same-size"))
    result = Pixels(done.layer)
    changed = 0
    for y in range(70):
        for x in range(80):
            inside = 20 <= x < 44 and 15 <= y < 37
            difference = abs(result.at(x, y)[0] - source.at(x, y)[0])
            changed += inside and difference > 1e-3
            expect(inside or difference == 0, f"({x}, {y}) outside the selection changed")
    expect(changed > 100, f"only {changed} pixels in the selection changed")
    # What was written is the selected part and not another one.
    wrong = right = 0.0
    for y in range(17, 35):
        for x in range(22, 40):
            right += abs(result.at(x, y)[0] - source.at(x, y)[0])
            wrong += abs(result.at(x, y)[0] - source.at(x + 3, y)[0])
    expect(right < 0.8 * wrong, f"the part is not where it was: {right:.1f} against {wrong:.1f}")


def check_python_files_of_the_home_folder_are_not_run():
    """The engine starts in the home folder, where anything may lie."""
    ran = HOME / "ran"
    files = [HOME / name for name in ("random.py", "queue.py", "numpy/__init__.py", "kf_core/__init__.py")]
    try:
        for file in files:
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"open({str(ran)!r}, 'w').close(); raise SystemExit(9)")
        image, layer = make()
        succeeded(call(image, [layer], engine=""))
        expect(not ran.exists(), "a file of the home folder was run")
    finally:
        for file in files:
            file.unlink()


def check_a_kernel_is_used_again_on_another_photo_at_another_scale():
    image, layer = make("U16_NON_LINEAR")
    succeeded(call(image, [layer], engine="", result="new-layer", add_kernel=True))
    other, photo = make("U16_NON_LINEAR", width=60, height=50)
    begun = time.monotonic()
    done = succeeded(call(other, [photo], engine="", kernel="last", scale=4, add_kernel=True))
    equal((done.image.get_width(), done.image.get_height()), (240, 200), "the size")
    equal(done.image.get_layers()[0].get_name(), "Kernel 24 × 24 (given)", "the name of the kernel")
    resembles(Pixels(done.layer), Pixels(photo), 4)
    expect(time.monotonic() - begun < 60, "it was recovered once more")


def check_a_time_is_kept_and_blur_that_varies_has_a_map():
    """With more passes than anybody waits for, and a threshold that any difference between regions passes."""
    image, layer = make("U16_NON_LINEAR", width=150, height=60)
    endless = f"{TINY} finish.steps=100000 varying.least_side=96 varying.threshold=0"
    asked = {"advanced": endless, "seconds": 1, "varying": True, "add_kernel": True}
    done = succeeded(call(image, [layer], engine="", **asked))
    comment = bytes(done.layer.get_parasite("gimp-comment").get_data()).decode()
    expect("passes in place of 100000" in comment and "it has 1 x 2 kernels" in comment, comment)
    names = [each.get_name() for each in done.image.get_layers()]
    equal(names[1:], ["Map of kernels, 1 × 2", "photo"], "the layers below the kernel's")
    shades, side = Pixels(done.image.get_layers()[1]), done.image.get_height() // (2 * 27)
    equal((shades.width, shades.height), (27 * side, 14 * side), "the size of the map")
    close(shades.at(13 * side, 5 * side), [0.375] * 3, 0.01, "the line between the kernels")
    brightest = [
        max(shades.at(x * side, y * side)[0] for x in range(at, at + 12) for y in range(1, 13)) for at in (1, 14)
    ]
    expect(max(brightest) > 0.99 and min(brightest) > 0.4, f"the kernels are {brightest} bright")
    told = json.loads(bytes(done.layer.get_parasite("kernelfusion-report").get_data()).decode())
    expect("kernels" not in told["regions"] and told["regions"]["columns"] == 2, "the report on the layer")


def check_no_strength_is_the_plain_enlargement():
    image, layer = make("U16_NON_LINEAR")
    full = succeeded(call(image, [layer], engine="", seed=1))
    none = succeeded(call(image, [layer], engine="", seed=1, strength=0))
    half = succeeded(call(image, [layer], engine="", seed=1, strength=50))
    a, b, c = (Pixels(each.layer).values for each in (full, none, half))
    worst = max(abs((x + y) / 2 - z) for x, y, z in zip(a, b, c, strict=True))
    expect(worst < 1e-3, f"half the strength is off by {worst:.4f}")
    expect(max(abs(x - y) for x, y in zip(a, b, strict=True)) > 0.01, "the strength changes nothing")


def check_the_engines_own_sentences_arrive():
    image, layer = make()
    outcome = call(image, [layer], engine="", advanced="recovery.nonsense=1")
    equal(outcome.status, "execution-error", "the status")
    expect("nonsense" in outcome.sentence and "Log: " in outcome.sentence, outcome.sentence)


def check_cancel_leaves_no_engine_and_no_pixels():
    image, layer = make()
    killed = []

    def cancel():
        """What GIMP does: SIGKILL to the plug-in and its group, in the middle of the computation."""
        wait_until(lambda: processes("kf_core.engine.worker"), 30, "the start of the engine")
        time.sleep(4)
        plugin = next(pid for pid, line in processes("kernelfusion.py") if "-run" in line)
        expect(os.getpgid(plugin) == plugin, "the plug-in has no process group of its own")
        expect(list(Path("/tmp").glob("kernelfusion-job-*")), "there is no job directory")
        os.killpg(plugin, signal.SIGKILL)
        killed.append(time.monotonic())

    thread = threading.Thread(target=cancel)
    thread.start()
    outcome = call(image, [layer], engine="", advanced="finish.steps=1000000")
    thread.join()
    expect(killed, "it was not cancelled")
    expect(outcome.status != "success", "a cancelled run succeeded")
    wait_until(lambda: not processes(*ENGINE), killed[0] + 2 - time.monotonic(), "the end of the engine")
    wait_until(lambda: not list(Path("/tmp").glob("kernelfusion-job-*")), 1, "the removal of the pixels")
    equal(len(image.get_layers()), 1, "the number of layers")
    succeeded(call(image, [layer]))  # and GIMP goes on
