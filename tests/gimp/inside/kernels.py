"""Kernels as layers and files, used again; the strength; what is said of the result."""

import struct
from array import array

from kit import HOME, Pixels, add_layer, call, close, equal, expect, job, make, put, succeeded


def given():
    """The kernel that came with the stub's last job: (size, scale, taps)."""
    about = job()["kernel"]
    taps = array("f", (HOME / "given.f32").read_bytes())
    equal(len(taps), about["size"] ** 2, "the number of taps")
    return about["size"], about["scale"], taps


def check_kernel_layer_says_what_it_is_and_is_hidden():
    image, layer = make(width=200, height=150)
    done = succeeded(call(image, [layer], add_kernel=True))
    kernel = done.image.get_layers()[0]
    equal(kernel.get_name(), "Kernel 12 × 12 (simple)", "its name")  # the stub calls its kernel a simple one
    expect(not kernel.get_visible(), "it covers the picture")


def check_what_is_said_of_the_result_is_on_its_layer():
    image, layer = make()
    done = succeeded(call(image, [layer], result="new-layer"))
    comment = bytes(done.layer.get_parasite("gimp-comment").get_data()).decode()
    expect(comment.startswith("Confidence 72%. The kernel is well supported."), comment)


def check_the_kernel_of_the_last_run():
    image, layer = make(width=90, height=80)
    succeeded(call(image, [layer]))
    expect("kernel" not in job(), "the kernel was given although it was to be recovered")
    done = succeeded(call(image, [layer], kernel="last", scale=4))
    size, scale, taps = given()
    equal((size, scale), (12, 2), "size and scale")
    close((taps[0], taps[14]), (0.75, 0.25), 1e-6, "the taps")
    equal(done.image.get_width(), 360, "the width")


def check_the_kernel_of_a_layer_also_when_it_was_painted_on():
    image, layer = make(width=200, height=150)
    done = succeeded(call(image, [layer], add_kernel=True, result="new-layer"))
    kernel = image.get_layers()[0]
    succeeded(call(image, [done.layer], kernel="layer"))
    size, scale, taps = given()
    equal((size, scale), (12, 2), "size and scale")
    total = sum(taps)
    close((taps[0] / total, taps[14] / total), (0.75, 0.25), 3e-3, "the taps")
    pixels = Pixels(kernel)
    side = pixels.width // 12
    for y in range(5 * side, 6 * side):
        for x in range(7 * side, 8 * side):
            start = 3 * (y * pixels.width + x)
            pixels.values[start : start + 3] = array("f", [1.0] * 3)
    put(kernel, pixels.values)
    succeeded(call(image, [layer], kernel="layer"))
    _, _, taps = given()
    close((taps[5 * 12 + 7],), (1.0,), 3e-3, "the painted tap")


def check_a_layer_of_the_users_own():
    image, layer = make(width=90, height=80)
    own = add_layer(image, "Kernel of mine", 8, 8, grey=False)
    put(own, array("f", [value for tap in range(64) for value in [float(tap == 27)] * 3]))
    succeeded(call(image, [layer], kernel="layer"))
    size, scale, taps = given()
    equal((size, scale, taps.index(max(taps))), (8, 2, 27), "size, scale and the bright tap")
    put(own, array("f", [0.0] * 192))
    outcome = call(image, [layer], kernel="layer")
    expect(outcome.status == "calling-error" and "black" in outcome.sentence, outcome.sentence)
    image.remove_layer(own)
    outcome = call(image, [layer], kernel="layer")
    expect(outcome.status == "calling-error" and "no kernel layer" in outcome.sentence, outcome.sentence)


def npy(taps, kind):
    size = int(len(taps) ** 0.5)
    header = f"{{'descr': '<{kind}', 'fortran_order': False, 'shape': ({size}, {size}), }}".ljust(117) + "\n"
    data = array({"f4": "f", "f8": "d"}[kind], taps).tobytes()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def check_a_kernel_file():
    image, layer = make(width=90, height=80)
    path = HOME / "blur.npy"
    for kind in ("f4", "f8"):
        path.write_bytes(npy([tap / 2016 for tap in range(64)], kind))
        succeeded(call(image, [layer], kernel="file", kernel_file=str(path)))
        size, scale, taps = given()
        equal((size, scale), (8, 2), "size and scale")
        close((taps[0], taps[63]), (0.0, 63 / 2016), 1e-6, "the taps")
    for content in (b"", b"PNG", npy([1.0] * 64, "f4")[:-4], npy([float("nan")] * 64, "f4")):
        path.write_bytes(content)
        outcome = call(image, [layer], kernel="file", kernel_file=str(path))
        expect(outcome.status == "calling-error" and len(outcome.sentence) > 20, f"{content[:10]}: {outcome.sentence}")
    outcome = call(image, [layer], kernel="file", kernel_file="/nowhere.npy")
    expect(outcome.status == "calling-error" and "/nowhere.npy" in outcome.sentence, outcome.sentence)


def check_strength():
    image, layer = make()
    succeeded(call(image, [layer], strength=40))
    equal(job()["strength"], 0.4, "the strength")
    outcome = call(image, [layer], strength=101)
    equal(outcome.status, "calling-error", "the status")


def check_kernel_sizes_that_fit_the_scale():
    image, layer = make()
    for scale, size, fits in (
        (2, 32, True),
        (2, 34, False),
        (3, 24, False),
        (3, 47, True),
        (4, 64, True),
        (4, 2, False),
    ):
        outcome = call(image, [layer], scale=scale, kernel_size=size)
        equal(outcome.status, "success" if fits else "calling-error", f"a kernel of {size} at {scale}")
        if fits:
            equal(job()["settings"]["kernel_size"], size, "the size that the engine is asked for")
        else:
            expect(str(size) in outcome.sentence and "0 for automatic" in outcome.sentence, outcome.sentence)
