"""What a file's numbers mean: negatives, inks, signed values and transparency at every depth."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from kf_core.errors import BadPicture
from kf_core.files.picture import Picture, read_picture, write_picture

HEIGHT, WIDTH = 36, 40
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def samples(channels, bits=16, seed=0):
    top = 2**bits
    return np.random.default_rng(seed).integers(0, top, (HEIGHT, WIDTH, channels), dtype=f"u{bits // 8}")


def tiff(pixels, photometric, order="<", **tags):
    """An uncompressed TIFF of (H, W, C), with further tags as number: (type, values)."""
    height, width, channels = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    entries = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [8 * pixels.itemsize] * channels),
        259: (3, [1]),
        262: (3, [photometric]),
        277: (3, [channels]),
        278: (4, [height]),
        279: (4, [len(data)]),
        284: (3, [1]),
    } | {int(number.strip("_")): value for number, value in tags.items()}
    entries[273] = (4, [0])
    sizes = {1: "B", 3: "H", 4: "I"}
    at = 8 + 2 + 12 * len(entries) + 4
    packed, extra = {}, b""
    for number, (kind, values) in entries.items():
        body = struct.pack(f"{order}{len(values)}{sizes[kind]}", *values)
        if len(body) > 4:
            packed[number] = struct.pack(f"{order}HHII", number, kind, len(values), at + len(extra))
            extra += body + bytes(len(body) % 2)
        else:
            packed[number] = struct.pack(f"{order}HHI", number, kind, len(values)) + body.ljust(4, b"\0")
    packed[273] = struct.pack(f"{order}HHII", 273, 4, 1, at + len(extra))
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(packed))
    return head + b"".join(packed[number] for number in sorted(packed)) + bytes(4) + extra + data


def read(tmp_path, content, name="a.tif", **options):
    (tmp_path / name).write_bytes(content)
    return read_picture(tmp_path / name, **options)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
def test_white_is_zero_is_no_negative(tmp_path, bits, order):
    light = samples(1, bits)
    white = 2**bits - 1
    back = read(tmp_path, tiff(white - light, 0, order)).pixels
    assert np.array_equal(back, light[..., 0])
    assert np.array_equal(read(tmp_path, tiff(light, 1, order)).pixels, light[..., 0])


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_white_is_zero_at_small_depths(tmp_path, bits, photometric):
    values = np.random.default_rng(0).integers(0, 2**bits, (HEIGHT, WIDTH), dtype=np.uint8)
    each = np.unpackbits(values[..., None], axis=2)[..., 8 - bits :].reshape(HEIGHT, -1)
    content = tiff(np.packbits(each, axis=1)[..., None], photometric, _256_=(4, [WIDTH]), _258_=(3, [bits]))
    light = values * (255 // (2**bits - 1))
    assert np.array_equal(read(tmp_path, content).pixels, light if photometric else 255 - light)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_is_turned_upright_at_every_depth(tmp_path, bits, orientation):
    pixels = samples(3, bits)
    turns = {1: 0, 3: 2, 6: -1, 8: 1}[orientation]
    assert np.array_equal(read(tmp_path, tiff(pixels, 2, _274_=(3, [orientation]))).pixels, np.rot90(pixels, turns))


def test_tiles_planes_and_large_offsets(tmp_path):
    import OpenImageIO as oiio

    pixels = samples(3)
    for name, value in (("planarconfig", "separate"), ("tiff:bigtiff", 1), ("tiles", None)):
        spec = oiio.ImageSpec(WIDTH, HEIGHT, 3, oiio.UINT16)
        if value is None:
            spec.tile_width = spec.tile_height = 16
        else:
            spec.attribute(name, value)
        out = oiio.ImageOutput.create(str(tmp_path / "a.tif"))
        assert out.open(str(tmp_path / "a.tif"), spec) and out.write_image(pixels) and out.close()
        assert np.array_equal(read_picture(tmp_path / "a.tif").pixels, pixels), name


def test_sixteen_bits_of_jpeg_2000(tmp_path):
    grey = samples(1)[..., 0]
    Image.fromarray(grey).save(tmp_path / "a.jp2", irreversible=False)
    assert np.array_equal(read_picture(tmp_path / "a.jp2").pixels, grey)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("photometric", "channels", "word"),
    [(5, 4, "CMYK"), (8, 3, "LAB"), (9, 3, "LAB"), (32803, 1, "colour filter"), (34892, 3, "raw")],
)
def test_other_colours_are_refused_by_name(tmp_path, bits, photometric, channels, word):
    with pytest.raises(BadPicture, match=word) as caught:
        read(tmp_path, tiff(samples(channels, bits), photometric))
    assert "damaged" not in caught.value.message


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("form", "word"), [(2, "signed"), (3, "floating-point"), (5, "complex")])
@pytest.mark.parametrize("channels", [1, 3])
def test_other_numbers_are_refused_by_name(tmp_path, bits, form, word, channels):
    content = tiff(samples(channels, bits), 1 if channels == 1 else 2, _339_=(3, [form] * channels))
    with pytest.raises(BadPicture, match=f"{bits}-bit {word}"):
        read(tmp_path, content)


def ink_profile():
    """A profile whose header says CMYK; what it says further does not matter here."""
    return SRGB[:16] + b"CMYK" + SRGB[20:]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_profile_of_other_colours_never_stands_on_a_result(tmp_path, suffix, deep):
    pixels = samples(3, 16 if deep else 8)
    write_picture(tmp_path / f"a{suffix}", Picture(pixels, ink_profile()))
    assert read_picture(tmp_path / f"a{suffix}").profile is None
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert not image.info.get("icc_profile")
    photo = read(tmp_path, tiff(samples(3), 2, _34675_=(1, list(ink_profile()))))
    assert photo.profile is None and "profile" in photo.warnings[0]


def profile_of(path):
    with Image.open(path) as image:
        return ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))


def test_grey_and_rgb_profiles_keep_their_curve_when_the_format_changes_the_colours(tmp_path):
    grey = samples(1, 8)[..., 0]
    write_picture(tmp_path / "a.png", Picture(grey, SRGB))
    profile = profile_of(tmp_path / "a.png")
    assert profile.profile.xcolor_space.strip() == "GRAY"
    shown = ImageCms.profileToProfile(Image.fromarray(grey), profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert np.abs(np.array(shown).astype(int) - grey[..., None]).max() <= 2
    kept = read_picture(tmp_path / "a.png").profile
    write_picture(tmp_path / "a.webp", Picture(grey, kept))  # which knows no grey
    assert profile_of(tmp_path / "a.webp").profile.xcolor_space.strip() == "RGB"


def png(pixels, *chunks):
    """A PNG of (H, W, C) with chunks before its pixels."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8 * pixels.itemsize, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in pixels)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in body]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_is_read_as_it_is(tmp_path, bits, channels):
    pixels = samples(channels, bits)
    picture = read(tmp_path, png(pixels), "a.png", transparency=True)
    assert np.array_equal(picture.pixels.reshape(HEIGHT, WIDTH, -1), pixels[..., :-1])
    assert np.array_equal(picture.alpha, pixels[..., -1])
    with pytest.raises(BadPicture, match="transparent"):
        read_picture(tmp_path / "a.png")
    content = tiff(pixels, 1 if channels == 2 else 2, _338_=(3, [2]))
    picture = read(tmp_path, content, transparency=True)
    assert np.array_equal(picture.alpha, pixels[..., -1])
    assert np.array_equal(picture.pixels.reshape(HEIGHT, WIDTH, -1), pixels[..., :-1])


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_multiplied_with_the_transparency_are_divided_again(tmp_path, bits):
    white = 2**bits - 1
    pixels = samples(4, bits)
    pixels[..., 3] = np.maximum(pixels[..., 3], white // 2)
    stored = pixels.copy()
    stored[..., :3] = np.round(pixels[..., :3].astype(float) * pixels[..., 3:] / white)
    picture = read(tmp_path, tiff(stored, 2, _338_=(3, [1])), transparency=True)
    assert np.abs(picture.pixels.astype(int) - pixels[..., :3]).max() <= 3


def test_channels_nobody_explains_are_left_out_with_a_word(tmp_path):
    pixels = samples(5)
    picture = read(tmp_path, tiff(pixels, 2, _338_=(3, [0, 0])))
    assert np.array_equal(picture.pixels, pixels[..., :3]) and picture.alpha is None
    assert "2 more channels" in picture.warnings[0]


def test_layouts_that_pillow_cannot_read(tmp_path):
    grey = samples(2, 8)
    grey[..., 1] = 255
    assert np.array_equal(read(tmp_path, tiff(grey, 1)).pixels, grey[..., 0])
    photo = samples(1, 8)[..., 0]
    ycc = np.dstack([photo, np.full_like(photo, 128), np.full_like(photo, 128)])
    content = tiff(ycc, 6, _530_=(3, [1, 1]))
    back = read(tmp_path, content).pixels
    assert np.abs(back.astype(int) - photo[..., None]).max() <= 1


def test_only_what_is_damaged_is_called_so(tmp_path):
    """A compression that nothing here knows is named; the same file cut off is damaged."""
    content = tiff(samples(3), 2, _259_=(3, [34712]))
    with pytest.raises(BadPicture, match="not known here .compression 34712"):
        read(tmp_path, content)
    with pytest.raises(BadPicture, match="damaged or incomplete"):
        read(tmp_path, tiff(samples(3), 2)[:-500])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif"])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_transparency_is_written_as_it_is(tmp_path, suffix, deep, grey):
    bits = 16 if deep else 8
    pixels, alpha = samples(3, bits), samples(1, bits, seed=1)[..., 0]
    write_picture(tmp_path / f"a{suffix}", Picture(pixels[..., 0] if grey else pixels, alpha=alpha))
    back = read_picture(tmp_path / f"a{suffix}", transparency=True)
    if suffix == ".avif":
        assert np.abs(back.alpha.astype(int) - (alpha / 257 if deep else alpha)).mean() < 12
    elif suffix == ".webp" and deep:
        assert np.abs(back.alpha - alpha / 257).max() <= 0.5
    else:
        assert np.array_equal(back.alpha, alpha)
    if suffix in (".png", ".tif"):
        assert np.array_equal(back.pixels, pixels[..., 0] if grey else pixels)


@pytest.mark.parametrize(("name", "options"), [("GIF", {}), ("BMP", {}), ("JPEG2000", {"irreversible": False})])
def test_more_formats_are_read(tmp_path, name, options):
    photo = Image.fromarray(samples(3, 8))
    photo = photo.convert("P") if name == "GIF" else photo
    photo.save(tmp_path / "a.bin", name, **options)
    assert np.array_equal(read_picture(tmp_path / "a.bin").pixels, np.array(photo.convert("RGB")))


def smooth():
    y, x = np.mgrid[:64, :72]
    return np.stack([3 * x, 3 * y, 90 + x + y], axis=-1).astype(np.uint8)


def test_avif_is_read_and_written(tmp_path):
    write_picture(tmp_path / "a.avif", Picture(smooth()))
    assert np.abs(read_picture(tmp_path / "a.avif").pixels.astype(int) - smooth()).mean() < 2


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Phone", 6
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(smooth())))
    heif.from_pillow(turned).save(tmp_path / "a.heic", quality=95, exif=exif.tobytes())
    picture = read_picture(tmp_path / "a.heic")
    assert picture.pixels.shape == smooth().shape
    assert np.abs(picture.pixels.astype(int) - smooth()).mean() < 4
    assert b"Phone" in picture.exif


def test_without_pillow_heif_the_error_names_it(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(BadPicture, match="HEIC") as caught:
        read(tmp_path, b"\0\0\0\x18ftypheic" + bytes(500), "a.heic")
    assert "pillow-heif" in caught.value.hint
