"""Files in, files out: exact round trips and upright photos."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import GREY, OPAQUE, RGB, noise, png, saved, with_alpha
from PIL import ExifTags, Image, ImageCms, ImageOps

from kf_core import BadInput
from kf_core.examples import EXAMPLES, example
from kf_core.files.deep import upright
from kf_core.files.picture import Picture, read_picture, write_picture

LOSSLESS, ALL = [".png", ".tif", ".tiff", ".webp"], [".png", ".tif", ".jpg", ".jpeg", ".webp"]
arrays = st.builds(noise, st.integers(32, 48), st.integers(32, 48), st.booleans(), st.integers(0, 999))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


@settings(max_examples=60, deadline=None)
@given(pixels=arrays, suffix=st.sampled_from(LOSSLESS))
def test_lossless_formats_give_back_every_pixel(folder, pixels, suffix):
    write_picture(folder / f"a{suffix}", Picture(pixels))
    back = read_picture(folder / f"a{suffix}").pixels
    assert back.dtype == np.uint8
    if suffix == ".webp" and pixels.ndim == 2:  # there is no grey WebP
        pixels = np.stack([pixels] * 3, axis=-1)
    np.testing.assert_array_equal(back, pixels)


@settings(max_examples=20, deadline=None)
@given(pixels=arrays, suffix=st.sampled_from([".jpg", ".jpeg"]))
def test_jpeg_is_close_in_every_colour(folder, pixels, suffix):
    write_picture(folder / f"a{suffix}", Picture(pixels))
    back = read_picture(folder / f"a{suffix}").pixels
    assert back.shape == pixels.shape
    # Noise is the worst case; with colour subsampling or at quality 85 the mean error exceeds 8.
    assert np.abs(back.astype(int) - pixels).mean() < 6


def test_profile_resolution_and_exif_are_carried_along(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Zeiss", 1
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: "2001:02:03 04:05:06", ExifTags.Base.ExifImageWidth: 36}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    first = tmp_path / "first.jpg"
    Image.fromarray(noise()).save(first, icc_profile=profile, dpi=(300, 200), exif=exif)
    picture = read_picture(first)
    for suffix in ALL:
        write_picture(tmp_path / f"b{suffix}", picture)
        again = read_picture(tmp_path / f"b{suffix}")
        assert again.profile == profile
        if suffix == ".webp":
            assert again.dpi is None
        else:
            assert again.dpi == pytest.approx((300, 200), abs=0.1)
        with Image.open(tmp_path / f"b{suffix}") as image:
            kept = image.getexif()
            block = kept.get_ifd(ExifTags.IFD.Exif)
            assert kept[ExifTags.Base.Make] == "Zeiss"
            assert block[ExifTags.Base.DateTimeOriginal] == "2001:02:03 04:05:06"
            assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
            assert ExifTags.Base.ExifImageWidth not in block


UPRIGHT = {  # what EXIF means, in numpy
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_photos_are_turned_upright_once(tmp_path, orientation, suffix):
    pixels, exif = noise(32, 48), Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Model] = orientation, "Box"
    options = {".jpg": {"quality": 95, "subsampling": 0}, ".webp": {"lossless": True}}.get(suffix, {})
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", exif=exif, **options)
    picture = read_picture(tmp_path / f"a{suffix}")
    assert np.abs(picture.pixels.astype(int) - UPRIGHT[orientation](pixels)).mean() < (6 if suffix == ".jpg" else 1e-9)
    write_picture(tmp_path / "again.png", picture)
    again = read_picture(tmp_path / "again.png")
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    kept = Image.Exif()
    kept.load(again.exif)
    assert kept[ExifTags.Base.Model] == "Box" and ExifTags.Base.Orientation not in kept


@pytest.mark.parametrize(
    "image, expected",
    [
        (RGB.convert("P"), np.array(RGB.convert("P").convert("RGB"))),
        (GREY.convert("1"), np.array(GREY.convert("1")) * np.uint8(255)),
        (with_alpha(RGB, OPAQUE), np.array(RGB)),
        (with_alpha(GREY, OPAQUE), np.array(GREY)),
    ],
    ids=["palette", "one bit", "opaque RGB", "opaque grey"],
)
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_simple_pixel_kinds_become_grey_or_rgb(tmp_path, image, expected, format):
    (tmp_path / "a").write_bytes(saved(image, format))
    np.testing.assert_array_equal(read_picture(tmp_path / "a").pixels, expected)


def test_camera_jpeg_with_a_preview_inside_is_its_photo(tmp_path):
    (tmp_path / "a.jpg").write_bytes(saved(GREY, "MPO", save_all=True, append_images=[OPAQUE], quality=95))
    assert np.abs(read_picture(tmp_path / "a.jpg").pixels.astype(int) - np.array(GREY)).mean() < 6


@pytest.mark.parametrize("exif", [b"nonsense", b"II*\0\x08\0\0\0"], ids=["nonsense", "cut off"])
@pytest.mark.filterwarnings("ignore")  # of Pillow's, which are for the running program to show
def test_unreadable_exif_costs_only_the_exif(tmp_path, exif):
    (tmp_path / "a.png").write_bytes(saved(RGB, exif=b"Exif\0\0" + exif))
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, np.array(RGB))
    assert picture.exif is None


def test_the_examples_can_be_read():
    assert len(EXAMPLES) == 8
    for name in EXAMPLES:
        assert read_picture(example(name)).pixels.shape[:2] == (128, 128)
    with pytest.raises(BadInput):
        example("../picture")


def deep_pixels(*shape):
    return np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("shape", [(40, 50, 3), (33, 32)])
def test_sixteen_bits_come_back_exactly_with_profile_and_resolution(tmp_path, suffix, shape):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if len(shape) == 3 else None
    before = Picture(deep_pixels(*shape), profile, (300.0, 300.0))
    write_picture(tmp_path / f"a{suffix}", before)
    after = read_picture(tmp_path / f"a{suffix}")
    assert after.pixels.dtype == np.uint16 and np.array_equal(after.pixels, before.pixels)
    assert after.profile == profile and after.dpi == pytest.approx((300, 300), rel=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_sixteen_bits_are_read_right_way_up_and_without_a_full_alpha_channel(tmp_path):
    rows = deep_pixels(32, 34, 4)
    rows[..., 3] = 65535
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    (tmp_path / "a.png").write_bytes(png(34, 32, 16, 6, raw))
    assert np.array_equal(read_picture(tmp_path / "a.png").pixels, rows[..., :3])
    rows[0, 0, 3] = 7
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    (tmp_path / "a.png").write_bytes(png(34, 32, 16, 6, raw))
    with pytest.raises(BadInput, match="transparent"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_does(orientation):
    pixels = np.arange(3 * 5, dtype=np.uint8).reshape(3, 5)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    assert np.array_equal(upright(pixels, orientation), np.array(ImageOps.exif_transpose(Image.open(buffer))))


def test_sixteen_bits_become_eight_in_a_jpeg(tmp_path):
    write_picture(tmp_path / "a.jpg", Picture(np.full((32, 32), 257 * 100, np.uint16)))
    assert read_picture(tmp_path / "a.jpg").pixels.dtype == np.uint8
    assert read_picture(tmp_path / "a.jpg").pixels[3, 3] == 100
