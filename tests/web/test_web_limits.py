"""What a public page must refuse, and the sentences it does so with."""

import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import kf_core
from kf_core import BadInput
from web_demo import decode
from web_demo import limits as web_limits
from web_demo.limits import (
    Limits,
    check_photo_file,
    check_prior_name,
    check_size,
    read_kernel_file,
    safe_stem,
)

SMALL = Limits(pixels=64 * 64, decoded_pixels=1_000_000, file_bytes=2**20)


def png_that_says(width, height):
    """The head of a PNG of any size, without the pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = b""
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_a_photo_of_a_known_format_passes(photo):
    for name in ("a.png", "b.jpg", "c.tif", "d.webp"):
        assert check_photo_file(photo(name), SMALL) == (48, 40)


@pytest.mark.parametrize("side", [5_000, 60_000])
def test_a_decompression_bomb_is_refused_from_its_header(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_says(side, side))
    with pytest.raises(BadInput, match="too many"):
        check_photo_file(path, SMALL)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("photo.png", b"<script>alert(1)</script>"),
        ("photo.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("photo.pdf", b"%PDF-1.4"),
        ("photo.py", b"print(1)"),
        ("photo.jpg", b"\xff\xd8\xff"),
        ("photo.tif", b"II*\0\xff\xff\xff\xff"),
        ("photo.png", b""),
    ],
)
def test_what_is_no_photo_is_refused_with_a_sentence(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        check_photo_file(path, SMALL)
    assert caught.value.message.endswith(".") and caught.value.hint and str(tmp_path) not in str(caught.value)


def test_a_picture_in_another_format_under_a_photo_s_name_is_refused(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 64)).save(path, "GIF")
    with pytest.raises(BadInput):
        check_photo_file(path, SMALL)


def test_a_large_file_is_refused(photo):
    path = photo()
    with open(path, "ab") as file:
        file.write(bytes(2**20))
    with pytest.raises(BadInput, match="larger than 1 MB"):
        check_photo_file(path, SMALL)


def test_too_small_and_too_large_are_told_apart(photo):
    with pytest.raises(BadInput, match="too few"):
        check_photo_file(photo(size=(31, 64)), SMALL)
    with pytest.raises(BadInput, match="takes up to 64 x 64"):
        check_size(*check_photo_file(photo(size=(80, 64)), SMALL), SMALL)


@pytest.mark.parametrize("shape", [(300, 90, 3), (50, 400), (64, 65), (1000, 1000, 3)])
def test_the_part_offered_fits_and_holds_the_detail(shape):
    pixels = np.full(shape, 99, np.uint16)
    pixels[-20:, -20:] = np.random.default_rng(0).integers(0, 60000, (20, 20, *shape[2:]), dtype=np.uint16)
    rows, columns = decode.best_size(shape[1], shape[0], SMALL.pixels)
    part = decode.cut(kf_core.Picture(pixels), "best", SMALL.pixels).pixels
    assert part.shape[:2] == (rows, columns)
    assert part.shape[0] * part.shape[1] <= SMALL.pixels and min(part.shape[:2]) >= 32
    assert part.dtype == np.uint16 and (part != 99).sum() > 0.8 * (pixels != 99).sum()


def test_a_kernel_is_read_and_made_to_sum_to_one(tmp_path):
    np.save(tmp_path / "k.npy", np.ones((8, 8), np.int32))
    kernel, said = read_kernel_file(tmp_path / "k.npy")
    assert not said
    assert kernel.dtype == np.float32 and kernel.sum() == pytest.approx(1)


class Evil:
    def __reduce__(self):
        return print, ("this must not run",)


def test_no_pickle_is_opened(tmp_path, capsys):
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Evil()))
    np.save(tmp_path / "object.npy", np.array([[Evil(), 1], [2, 3]], dtype=object), allow_pickle=True)
    for name in ("pickle.npy", "object.npy"):
        with pytest.raises(BadInput, match="does not hold a kernel"):
            read_kernel_file(tmp_path / name)
    assert "must not run" not in capsys.readouterr().out


def test_a_kernel_file_that_promises_more_than_it_holds_is_refused(tmp_path):
    np.save(tmp_path / "k.npy", np.ones((24, 24)))
    content = (tmp_path / "k.npy").read_bytes().replace(b"(24, 24)", b"(64, 64)")
    (tmp_path / "k.npy").write_bytes(content)
    with pytest.raises(BadInput):
        read_kernel_file(tmp_path / "k.npy")


@pytest.mark.parametrize(
    "array",
    [np.ones((4, 5)), np.ones(16), np.ones((65, 65)), np.zeros((4, 4)), np.full((4, 4), np.nan), -np.ones((4, 4))],
)
def test_what_is_no_kernel_is_refused(tmp_path, array):
    np.save(tmp_path / "k.npy", array)
    with pytest.raises(BadInput):
        read_kernel_file(tmp_path / "k.npy")


def test_a_prior_is_named_by_its_commit_and_never_by_a_path():
    assert check_prior_name("") is None and check_prior_name("  ") is None
    good = "someone/pd-small@" + "0123456789" * 4
    assert check_prior_name(good) == good
    for bad in (
        "someone/pd-small",
        "someone/pd-small@main",
        "/etc/passwd",
        "../x@" + "a" * 40,
        "a/b/c@" + "a" * 40,
        "bundled",
    ):
        with pytest.raises(BadInput, match="does not name a prior"):
            check_prior_name(bad)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("holiday 1.jpg", "holiday_1"),
        ("../../etc/passwd", "passwd"),
        ("<img src=x onerror=alert(1)>.png", "img_src_x_onerror_alert_1"),
        ("x" * 500 + ".png", "x" * 60),
        ("...png", "photo"),
        ("", "photo"),
    ],
)
def test_download_names_are_plain(name, stem):
    assert safe_stem(name) == stem


def test_a_space_is_stricter_than_a_desk(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    at_home = Limits.for_host()
    monkeypatch.setenv("SPACE_ID", "someone/kernelfusion")
    on_cpu = Limits.for_host()
    monkeypatch.setattr(web_limits, "on_zero_gpu", lambda: True)
    on_gpu = Limits.for_host()
    assert on_cpu.pixels < on_gpu.pixels < at_home.pixels
    assert on_gpu.seconds <= 120 and on_cpu.seconds < at_home.seconds
