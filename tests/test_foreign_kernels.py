"""Kernels from elsewhere: every kind of file, any size and middle; `kf kernel` and `kf degrade`."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from scipy import io as matlab

import kf_core
from kf_core.errors import BadKernel
from kf_core.files.figure import kernel_picture
from kf_core.files.fit import fit_kernel, spread
from kf_core.files.kernels import read_kernel, write_kernel
from kf_core.files.picture import Picture, write_picture

pytestmark = pytest.mark.slow


def gaussian(size, width=2.0, down=0.0, right=0.0):
    at = np.arange(size) - (size - 1) / 2
    taps = np.exp(-((at[:, None] - down) ** 2 + (at - right) ** 2) / (2 * width**2))
    return taps / taps.sum()


def tilted(size=24):
    """A kernel with no symmetry."""
    taps = np.random.default_rng(3).random((size, size)) * gaussian(size, size / 6)
    return taps / taps.sum()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".txt", ".csv", ".png"])
def test_every_kind_of_file_gives_the_kernel_back(tmp_path, suffix):
    taps = tilted().astype(np.float32)
    write_kernel(tmp_path / f"k{suffix}", taps)
    np.testing.assert_allclose(read_kernel(tmp_path / f"k{suffix}"), taps, rtol=1e-6)


TAPS = tilted(7)
ROWS = [" ".join(f"{tap:.6f}" for tap in row) for row in TAPS]
TEXTS = {
    "blanks": "\n".join(ROWS),
    "tabs and comment": "# a kernel\n% of mine\n" + "\n".join(row.replace(" ", "\t") for row in ROWS),
    "commas": "\n".join(row.replace(" ", ", ") for row in ROWS),
    "semicolons and decimal commas": "\n".join(row.replace(" ", ";").replace(".", ",") for row in ROWS),
    "printed by MATLAB": "[" + "; ".join(ROWS) + "]",
    "names of columns": "a,b,c,d,e,f,g\n" + "\n".join(row.replace(" ", ",") for row in ROWS),
    "exponents": "\n".join(" ".join(f"{tap:.6e}" for tap in row) for row in TAPS),
    "of Windows": "\ufeff" + "\r\n".join(ROWS) + "\r\n",
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_texts_as_people_write_them(tmp_path, name, suffix):
    (tmp_path / f"k{suffix}").write_bytes(TEXTS[name].encode())
    np.testing.assert_allclose(read_kernel(tmp_path / f"k{suffix}"), TAPS, atol=1e-6)


def test_one_of_several(tmp_path):
    three = np.stack([gaussian(8, width) for width in (1, 2, 3)])
    np.savez(tmp_path / "k.npz", three)
    cells = np.empty((1, 3), dtype=object)
    cells[0, :] = list(three)
    matlab.savemat(tmp_path / "k.mat", {"kernels": cells, "noise": np.ones((3, 3))})
    np.save(tmp_path / "k.npy", three[None])
    for name in ("k.npz", "k.mat", "k.npy"):
        with pytest.raises(BadKernel, match="3 kernels"):
            read_kernel(tmp_path / name)
        np.testing.assert_allclose(read_kernel(tmp_path / name, number=2), three[1])
        with pytest.raises(BadKernel, match="no number 4"):
            read_kernel(tmp_path / name, number=4)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["f8", "f4", "u1", "i2", "u4"])
def test_files_of_matlab_are_read_as_scipy_writes_them(tmp_path, packed, kind):
    taps = np.round(tilted(12) * 30_000).astype(kind)
    held = {"about": "text", "inside": {"kernel": taps, "scale": 4}, "flag": True, "phase": np.ones((3, 3)) * 1j}
    for name, variables in (("plain", {"k": taps, "about": "text"}), ("within", held)):
        matlab.savemat(tmp_path / f"{name}.mat", variables, do_compression=packed)
        found = read_kernel(tmp_path / f"{name}.mat")
        assert np.array_equal(found, taps) and found.dtype == kind
    write_kernel(tmp_path / "ours.mat", tilted(12))
    assert np.array_equal(matlab.loadmat(tmp_path / "ours.mat")["kernel"], tilted(12))


def test_a_variable_that_is_named_a_kernel_is_meant(tmp_path):
    matlab.savemat(tmp_path / "k.mat", {"Kernel": TAPS, "image": np.ones((20, 20)), "scale": 4.0})
    np.testing.assert_allclose(read_kernel(tmp_path / "k.mat"), TAPS)


@pytest.mark.parametrize("size", [5, 12, 13, 24, 36])
def test_a_picture_of_a_kernel_by_its_grey_values(tmp_path, size):
    """As earlier versions wrote it, without the numbers, and one pixel a tap as other programs do."""
    taps = tilted(size)
    grey = np.round(taps / taps.max() * 255)
    Image.fromarray(kernel_picture(taps, 480)).save(tmp_path / "large.png")
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "small.png")
    for name in ("large.png", "small.png"):
        assert np.array_equal(read_kernel(tmp_path / name), grey)


def bytes_of(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


HOSTILE = {
    "k.npz": b"PK\x03\x04 nothing",
    "k.mat": b"MATLAB 5.0 MAT-file" + bytes(200),
    "73.mat": b"MATLAB 7.3 MAT-file" + bytes(600),
    "k.txt": b"Dear Sir or Madam",
    "rows.txt": b"1 2 3\n4 5\n",
    "k.csv": bytes(range(256)),
    "k.png": b"\x89PNG\r\n\x1a\n" + bytes(50),
    "photo.png": bytes_of(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))),
    "wide.png": bytes_of(Image.new("L", (40, 20))),
    "huge.png": bytes_of(Image.new("L", (20_000, 20_000), 1)),
    "black.png": bytes_of(Image.new("L", (20, 20))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_hold_no_kernel_are_refused_in_words(tmp_path, name):
    (tmp_path / name).write_bytes(HOSTILE[name])
    with pytest.raises(BadKernel) as caught:
        read_kernel(tmp_path / name)
    assert name in caught.value.message and caught.value.hint


def test_an_archive_that_unpacks_to_far_too_much_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "k.npz", kernel=np.zeros((4000, 4000)))
    with pytest.raises(BadKernel, match="far more"):
        read_kernel(tmp_path / "k.npz")


def fitted(kernel, scale, **options):
    return fit_kernel(kernel, scale, largest=16 * scale - scale % 2, **options)


@pytest.mark.parametrize(("size", "scale"), [(13, 4), (13, 2), (12, 3), (3, 4), (1, 2), (25, 4), (63, 4)])
def test_sizes_are_made_to_fit_and_nothing_is_lost(size, scale):
    kernel, said = fitted(gaussian(size, 1.2), scale)
    assert (len(kernel) - scale) % 2 == 0 and len(kernel) >= scale and kernel.sum() == pytest.approx(1)
    assert spread(kernel) == pytest.approx(spread(gaussian(size, 1.2)), abs=1e-6)
    assert any("half a pixel up and left" in word for word in said)


def test_a_size_that_fits_is_left_alone():
    kernel, said = fitted(gaussian(24), 4)
    np.testing.assert_allclose(kernel, gaussian(24))
    assert said == ()


@pytest.mark.parametrize(
    ("down", "right", "words"), [(3, 3, "3 pixels down and 3 pixels right"), (-2, 0, "2 pixels up")]
)
def test_a_middle_off_the_middle_is_moved_there(down, right, words):
    kernel, said = fitted(gaussian(24, 2, down, right), 4)
    np.testing.assert_allclose(kernel, gaussian(24), atol=2e-4)
    assert words in said[0]
    left, said = fitted(gaussian(24, 2, down, right), 4, centred=False)
    np.testing.assert_allclose(left, gaussian(24, 2, down, right))
    assert words in said[0] and "picture is moved" in said[0]


def test_a_kernel_in_a_corner_is_centred_whole():
    corner = np.zeros((24, 24))
    corner[:6, :6] = gaussian(6, 1.5)
    kernel, _ = fitted(corner, 4)
    assert spread(kernel) == pytest.approx(spread(gaussian(6, 1.5)))
    middle = (len(kernel) - 6) // 2
    np.testing.assert_allclose(kernel[middle : middle + 6, middle : middle + 6], gaussian(6, 1.5))


@pytest.mark.parametrize("factor", [1e-300, 1e-30, 1e-9, 1e30, 1e300])
def test_sums_however_small_or_large(tmp_path, factor):
    np.save(tmp_path / "k.npy", gaussian(24) * factor)
    kernel, said = fitted(read_kernel(tmp_path / "k.npy"), 4)
    np.testing.assert_allclose(kernel, gaussian(24), atol=1e-12)
    assert said == ()


@pytest.mark.parametrize(("width", "scale", "word"), [(0.3, 4, "little"), (8, 4, "much"), (4, 2, "much")])
def test_unusual_widths_are_warned_about(width, scale, word):
    _, said = fitted(gaussian(16 * scale, width), scale)
    assert f"unusually {word} for a scale of {scale}" in said[-1]


@pytest.fixture
def photo(tmp_path):
    y, x = np.mgrid[:40, :44]
    pixels = np.stack([128 + 90 * np.sin(x / 3), 128 + 90 * np.cos(y / 4), 128 + 90 * np.sin((x + y) / 5)], axis=-1)
    write_picture(tmp_path / "photo.png", Picture(pixels.astype(np.uint8)))
    return tmp_path / "photo.png"


def test_upscale_takes_such_a_kernel_and_says_what_it_did(kf, photo):
    path = photo.with_name("k.mat")
    matlab.savemat(path, {"k": gaussian(13, 2, 3, 0)})
    assert kf("upscale", photo, "--kernel", path, "-q").status == 0
    assert len(kf.engine.kernel) % 2 == 0 and kf.engine.kernel.sum() == pytest.approx(1)
    assert "half a pixel" in kf.err and "2 pixels down" in kf.err
    assert (
        kf("upscale", photo, "--kernel", path, "--no-centre", "-q", "--report", photo.with_name("r.json")).status == 0
    )
    assert "the picture is moved as far" in kf.err
    assert len(json.loads(photo.with_name("r.json").read_text())["warnings"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [gaussian(24, 2, 3, 3), gaussian(24, 2)], ids=["off the middle", "centred"])
def test_the_picture_stays_where_it_is(kernel):
    """The real engine: with the kernel as it was it moves the picture by three pixels, fitted it does not."""
    import torch

    from kf_core.physics.blur import UniformBlur

    y, x = np.mgrid[:160, :160]
    sharp = (128 + 80 * np.sin(x / 9) * np.cos(y / 7)).astype(np.float32)
    blur = UniformBlur(torch.from_numpy(gaussian(24)).float(), 4)
    small = blur.A(torch.from_numpy(sharp)[None, None])[0, 0].round().numpy().astype(np.uint8)
    settings = kf_core.Settings.preset("fast", device="cpu").with_overrides(["finish.steps=2"])
    image = kf_core.super_resolve(small, settings, kernel=fitted(kernel, 4)[0]).image
    inside = np.s_[24:-24, 24:-24]
    assert np.abs(image[inside].astype(float) - sharp[inside]).mean() < 4


def test_the_half_pixel_goes_where_the_words_say():
    """Up and left: what the padded kernel explains is the scene at half a pixel further down and right."""
    import torch

    from kf_core.physics.blur import UniformBlur

    ramp = torch.arange(96.0).expand(1, 1, 96, 96)
    kernel, said = fitted(gaussian(13), 4)
    exact = UniformBlur(torch.from_numpy(gaussian(14)).float(), 4).A(ramp)
    padded = UniformBlur(torch.from_numpy(kernel).float(), 4).A(ramp)
    # The same photo is explained by a scene whose content lies half a pixel further left: values half a step higher.
    assert "up and left" in said[0] and float((exact - padded)[..., 6:-6, 6:-6].mean()) == pytest.approx(0.5, abs=1e-3)


# kf kernel


def test_compare_says_how_alike_two_kernels_are(kf, tmp_path):
    write_kernel(tmp_path / "a.npy", tilted())
    write_kernel(tmp_path / "b.txt", np.roll(tilted(), (1, -2), (0, 1)))
    write_kernel(tmp_path / "c.mat", tilted()[::-1, ::-1])
    assert kf("kernel", "compare", tmp_path / "a.npy", tmp_path / "a.npy").status == 0
    assert "cosine similarity             1.0000" in kf.out
    report = tmp_path / "r.json"
    assert kf("kernel", "compare", tmp_path / "a.npy", tmp_path / "b.txt", "--report", report).status == 0
    told = json.loads(report.read_text())
    assert told["best_shift"] == [-1, 2] and told["best_similarity"] > 0.95 > told["similarity"]
    assert kf("kernel", "compare", tmp_path / "a.npy", tmp_path / "c.mat", "--report", report, "-f").status == 0
    told = json.loads(report.read_text())
    assert told["turned_similarity"] == pytest.approx(1) and told["best_similarity"] < 0.99


def test_convert_writes_every_kind_and_turns_and_fits(kf, tmp_path):
    write_kernel(tmp_path / "a.npy", tilted(13))
    for suffix in (".npz", ".mat", ".txt", ".csv", ".png"):
        assert kf("kernel", "convert", tmp_path / "a.npy", "-o", tmp_path / f"b{suffix}").status == 0
        np.testing.assert_allclose(read_kernel(tmp_path / f"b{suffix}"), tilted(13), rtol=1e-5)
    assert kf("kernel", "convert", tmp_path / "b.mat", "-o", tmp_path / "c.npy", "--flip").status == 0
    np.testing.assert_allclose(np.load(tmp_path / "c.npy"), tilted(13)[::-1, ::-1])
    assert kf("kernel", "convert", tmp_path / "a.npy", "-o", tmp_path / "d.npy", "--scale", 4).status == 0
    assert np.load(tmp_path / "d.npy").shape == (14, 14) and "half a pixel" in kf.err
    assert kf("kernel", "convert", tmp_path / "a.npy", "-o", tmp_path / "d.npy").status == 2
    assert "there already" in kf.err
    assert kf("kernel", "convert", tmp_path / "a.npy", "-o", tmp_path / "d.doc").status == 2


def test_degrade_does_what_the_kernel_says(kf, tmp_path):
    y, x = np.mgrid[:130, :142]
    sharp = np.stack([x + 20, y + 30, 128 + 60 * np.sin(x / 9)], axis=-1)
    write_picture(tmp_path / "sharp.png", Picture(sharp.astype(np.uint8), dpi=(300, 300)))
    write_kernel(tmp_path / "k.csv", gaussian(16))
    small, kernel = tmp_path / "small.png", tmp_path / "k.csv"
    assert kf("degrade", tmp_path / "sharp.png", "--kernel", kernel, "-o", small, "--scale", 4).status == 0
    picture = kf_core.read_picture(small)
    assert picture.pixels.shape == (32, 35, 3) and picture.dpi == pytest.approx((75, 75), abs=0.1)
    # A symmetrical kernel leaves ramps as they are: the value in the middle of each block of four.
    wanted = np.mgrid[:32, :35] * 4 + 1.5
    assert np.abs(picture.pixels[6:-6, 6:-6, 0] - (wanted[1] + 20)[6:-6, 6:-6]).max() <= 1
    assert np.abs(picture.pixels[6:-6, 6:-6, 1] - (wanted[0] + 30)[6:-6, 6:-6]).max() <= 1
    noisy = tmp_path / "noisy.png"
    assert kf("degrade", tmp_path / "sharp.png", "--kernel", kernel, "-o", noisy, "--noise", 10).status == 0
    spread_of_noise = (kf_core.read_picture(noisy).pixels.astype(float) - picture.pixels).std()
    assert 8 < spread_of_noise < 12
    assert kf("degrade", small, "--kernel", kernel, "-o", tmp_path / "x.png").status == 2
    assert "too few" in kf.err
