"""Files that are no photos, or are damaged: a clear BadInput, and the file stays as it is."""

from __future__ import annotations

import os
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import GREY, HOLE, RGB, noise, png, saved, with_alpha
from PIL import Image

from kf_core import BadInput
from kf_core.files.picture import Picture, read_picture, write_picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


def tiff(side: int, bits: int, sample_format: int) -> bytes:
    """An uncompressed RGB TIFF, little-endian: header, directory, three values for each of two tags, pixels."""
    at = 8 + 2 + 11 * 12 + 4
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 3, at), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, at + 12)]
    tags += [(277, 3, 1, 3), (278, 4, 1, side), (279, 4, 1, side * side * 3 * bits // 8), (284, 3, 1, 1)]
    tags += [(339, 3, 3, at + 6)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    values = struct.pack("<6H", *[bits] * 3, *[sample_format] * 3)
    return b"II*\0" + struct.pack("<I", 8) + directory + values + bytes(side * side * 3 * bits // 8)


def frames(format: str) -> bytes:
    return saved(RGB, format, save_all=True, append_images=[Image.fromarray(noise(seed=1))])


BAD = {  # name of the file: (its bytes, a word of the message)
    "empty.png": (b"", "empty"),
    "text.png": (b"Dear Sir or Madam, " * 99, "not a photo"),
    "cut.png": (saved(RGB)[:-900], "damaged"),
    "cut.jpg": (saved(RGB, "JPEG")[:-900], "damaged"),
    "cut.tif": (saved(RGB, "TIFF")[:-900], "damaged"),
    "cut.webp": (saved(RGB, "WEBP", lossless=True)[:-900], "damaged"),
    "head.png": (saved(RGB)[:20], "damaged"),
    "head.tif": (saved(RGB, "TIFF")[:9], "damaged"),
    "noise.jpg": (b"\xff\xd8\xff\xe0" + noise(seed=5).tobytes(), "damaged"),
    "alpha.png": (saved(with_alpha(RGB, HOLE)), "transparent"),
    "alpha.tif": (saved(with_alpha(RGB, HOLE), "TIFF"), "transparent"),
    "alpha.webp": (saved(with_alpha(RGB, HOLE), "WEBP", lossless=True), "transparent"),
    "alpha-grey.png": (saved(with_alpha(GREY, HOLE)), "transparent"),
    "alpha-palette.png": (saved(Image.new("P", (40, 40)), transparency=0), "transparent"),
    "alpha-key.png": (saved(Image.new("RGB", (40, 40), (1, 2, 3)), transparency=(1, 2, 3)), "transparent"),
    "16-cut.png": (png(32, 32, 16, 2, bytes(32 * (1 + 32 * 6)))[:60], "damaged"),
    "16-small.tif": (tiff(31, 16, 1), "too few"),
    "float-rgb.tif": (tiff(32, 32, 3), "32-bit floating-point"),
    "float-grey.tif": (saved(Image.new("F", (32, 32)), "TIFF"), "32-bit floating-point"),
    "raw.dng": (saved(RGB, "TIFF", tiffinfo={50706: b"\1\4\0\0"}), "raw"),
    "cmyk.jpg": (saved(RGB.convert("CMYK"), "JPEG"), "CMYK"),
    "cmyk.tif": (saved(RGB.convert("CMYK"), "TIFF"), "CMYK"),
    "lab.tif": (saved(Image.new("LAB", (40, 40)), "TIFF"), "LAB"),
    "bomb.png": (png(20_000, 20_000, 1, 0, b""), "too many pixels"),
    "warning.png": (png(10_000, 10_000, 1, 0, b""), "too many pixels"),
    "pages.tif": (frames("TIFF"), "2 pictures"),
    "moving.png": (frames("PNG"), "2 pictures"),
    "moving.webp": (frames("WEBP"), "2 pictures"),
    "small.png": (saved(RGB.resize((31, 50))), "31 x 50"),
    "flat.jpg": (saved(RGB.resize((90, 20)), "JPEG"), "90 x 20"),
    "renamed.png": (saved(RGB, "PPM"), "PPM"),
    "moving.gif": (saved(RGB, "GIF", save_all=True, append_images=[GREY]), "2 pictures"),
    "cut.gif": (saved(RGB, "GIF")[:-300], "damaged"),
    "cut.bmp": (saved(RGB, "BMP")[:-900], "damaged"),
    "cut.jp2": (saved(RGB, "JPEG2000")[:60], "damaged"),
    "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(50), "HEIC"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_words_and_left_alone(tmp_path, name):
    content, word = BAD[name]
    (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings(), pytest.raises(BadInput) as caught:
        warnings.simplefilter("error")  # nor may a warning reach the user
        read_picture(tmp_path / name)
    assert word in caught.value.message and name in caught.value.message
    assert caught.value.hint
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_bytes() == content


def test_missing_file_folder_and_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, word in [("none.png", "no file"), (".", "folder"), ("pipe", "ordinary"), ("a" * 300, "no file")]:
        with pytest.raises(BadInput, match=word) as caught:
            read_picture(tmp_path / path)
        assert caught.value.hint


@settings(max_examples=60, deadline=None)
@given(suffix=st.sampled_from([".png", ".tif", ".jpg", ".webp"]), data=st.data())
def test_damage_anywhere_is_a_picture_or_bad_input(folder, suffix, data):
    write_picture(folder / f"whole{suffix}", Picture(noise()))
    content = bytearray((folder / f"whole{suffix}").read_bytes())
    for at in data.draw(st.lists(st.integers(0, min(400, len(content) - 1)), min_size=1, max_size=4)):
        content[at] ^= data.draw(st.integers(1, 255))
    (folder / f"broken{suffix}").write_bytes(content)
    try:
        pixels = read_picture(folder / f"broken{suffix}").pixels
    except BadInput as error:
        assert error.hint
    else:
        assert pixels.dtype == np.uint8 and min(pixels.shape[:2]) >= 32
