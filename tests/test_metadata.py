"""What stands beside the pixels: kept while it is true, in every format that has a place for it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, IptcImagePlugin, PngImagePlugin

from kf_core.files.picture import Notes, Picture, read_picture, write_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 36, 3), dtype=np.uint8)
DEEP = PIXELS.astype(np.uint16) * 257
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'tiff:Orientation="6" tiff:ImageWidth="36"><dc:title>My title</dc:title></rdf:Description></rdf:RDF>'
    b'</x:xmpmeta><?xpacket end="w"?>'
)
IPTC = b"\x1c\x02\x05\x00\x08My title\x1c\x02\x19\x00\x07keyword"


def block():
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[0x9C9B] = "Zeiss", "Titel".encode("utf-16-le")
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: "2001:02:03 04:05:06"}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return exif.tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("pixels", [DEEP, DEEP[..., 0], PIXELS], ids=["16 bits", "16 bits grey", "8 bits"])
def test_exif_xmp_and_iptc_come_back_from_files_of_any_depth(tmp_path, suffix, pixels):
    before = Picture(pixels, None, (300, 200), block(), notes=Notes(xmp=XMP, iptc=IPTC))
    assert write_picture(tmp_path / f"a{suffix}", before) == ()
    after = read_picture(tmp_path / f"a{suffix}")
    assert np.array_equal(after.pixels, pixels) and after.dpi == pytest.approx((300, 200), abs=0.1)
    exif = Image.Exif()
    exif.load(after.exif)
    assert exif[ExifTags.Base.Make] == "Zeiss" and bytes(exif[0x9C9B]) == "Titel".encode("utf-16-le")
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2001:02:03 04:05:06"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    assert b"My title" in after.notes.xmp and after.notes.iptc == IPTC


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".png", ".tif"])
def test_xmp_of_a_jpeg_is_kept_but_for_what_is_no_longer_true(tmp_path, suffix):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", xmp=XMP, comment=b"a comment")
    write_picture(tmp_path / f"b{suffix}", read_picture(tmp_path / "a.jpg"))
    xmp = read_picture(tmp_path / f"b{suffix}").notes.xmp
    assert b"My title" in xmp and b'tiff:Orientation="1"' in xmp and b"ImageWidth" not in xmp
    if suffix == ".jpg":
        with Image.open(tmp_path / "b.jpg") as image:
            assert image.info["comment"] == b"a comment"


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
@pytest.mark.parametrize("deep", [False, True])
def test_an_orientation_that_only_xmp_has_turns_the_photo_once(tmp_path, suffix, deep):
    if suffix == ".jpg" and deep:
        return
    write_picture(tmp_path / f"a{suffix}", Picture(DEEP if deep else PIXELS, notes=Notes(xmp=XMP)))
    upright = read_picture(tmp_path / f"a{suffix}").pixels
    content = (tmp_path / f"a{suffix}").read_bytes()
    turned = content.replace(b'tiff:Orientation="1"', b'tiff:Orientation="6"')
    if suffix == ".png":
        at = turned.index(b"iTXt") - 4
        length = struct.unpack(">I", turned[at : at + 4])[0]
        body = turned[at + 4 : at + 8 + length]
        turned = turned[: at + 8 + length] + struct.pack(">I", zlib.crc32(body)) + turned[at + 12 + length :]
    (tmp_path / f"b{suffix}").write_bytes(turned)
    assert turned != content
    assert np.array_equal(read_picture(tmp_path / f"b{suffix}").pixels, np.rot90(upright, -1))


def test_iptc_goes_from_jpeg_to_jpeg_tiff_and_png_and_is_named_where_it_cannot(tmp_path):
    write_picture(tmp_path / "a.jpg", Picture(PIXELS, notes=Notes(iptc=IPTC)))
    photo = read_picture(tmp_path / "a.jpg")
    for suffix in (".jpg", ".tif", ".png"):
        assert write_picture(tmp_path / f"b{suffix}", photo) == ()
        assert read_picture(tmp_path / f"b{suffix}").notes.iptc == IPTC
    for suffix in (".jpg", ".tif"):  # as another reader sees them
        with Image.open(tmp_path / f"b{suffix}") as image:
            assert IptcImagePlugin.getiptcinfo(image)[(2, 5)] == b"My title"
    assert "IPTC" in write_picture(tmp_path / "b.webp", photo)[0]


def texts(path):
    with Image.open(path) as image:
        image.load()
        return image.text


@pytest.mark.parametrize("deep", [False, True])
def test_texts_of_a_png_stay_texts_of_a_png(tmp_path, deep):
    said = (("Title", "Mein Bild"), ("Author", "me"), ("Comment", "日本"), ("Title", "second"))
    write_picture(tmp_path / "a.png", Picture(DEEP if deep else PIXELS, notes=Notes(text=said)))
    assert read_picture(tmp_path / "a.png").notes.text == said
    if not deep:
        assert texts(tmp_path / "a.png")["Comment"] == "日本"


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp", ".avif"])
def test_texts_of_a_png_become_exif_and_xmp_elsewhere(tmp_path, suffix):
    info = PngImagePlugin.PngInfo()
    for key, value in {"Title": "Mein <Bild>", "Author": "me", "Keywords": "sea, sky", "Comment": "a comment"}.items():
        info.add_text(key, value)
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=info)
    write_picture(tmp_path / f"b{suffix}", read_picture(tmp_path / "a.png"))
    with Image.open(tmp_path / f"b{suffix}") as image:
        exif, xmp = image.getexif(), image.info.get("xmp") or image.tag_v2[700]
    assert exif[ExifTags.Base.Artist] == "me" and exif[ExifTags.Base.ImageDescription] == "Mein <Bild>"
    for part in (b"Mein &lt;Bild&gt;", b"<rdf:li>sea</rdf:li>", b"<rdf:li>sky</rdf:li>"):
        assert part in xmp


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunks(*chunks):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    data = buffer.getvalue()
    return data[:33] + b"".join(chunk(*each) for each in chunks) + data[33:]


def chunks_of(path):
    data, at, found = path.read_bytes(), 8, {}
    while at < len(data):
        (length,), name = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        found[name], at = data[at + 8 : at + 8 + length], at + 12 + length
    return found


LINEAR = (b"gAMA", struct.pack(">I", 100_000))
ADOBE = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))
P3 = (b"cICP", bytes([12, 13, 0, 1]))
PQ = (b"cICP", bytes([9, 16, 0, 1]))


@pytest.mark.parametrize("said", [[LINEAR], [(b"gAMA", struct.pack(">I", 45455)), ADOBE], [P3], [PQ]])
@pytest.mark.parametrize("deep", [False, True])
def test_chunks_about_colour_stay_as_they_are(tmp_path, said, deep):
    (tmp_path / "a.png").write_bytes(with_chunks(*said))
    photo = read_picture(tmp_path / "a.png")
    write_picture(
        tmp_path / "b.png", Picture(DEEP if deep else PIXELS, photo.profile, photo.dpi, photo.exif, notes=photo.notes)
    )
    found = chunks_of(tmp_path / "b.png")
    for name, data in said:
        assert found[name] == data


def as_srgb(path):
    with Image.open(path) as image:
        profile = image.info.get("icc_profile")
        if not profile:
            return np.array(image.convert("RGB")).astype(int)
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        shown = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        return np.array(shown).astype(int)


@pytest.mark.parametrize("suffix", [".tif", ".webp"])
def test_other_formats_get_a_profile_that_says_the_same(tmp_path, suffix):
    (tmp_path / "a.png").write_bytes(with_chunks(LINEAR))
    write_picture(tmp_path / f"b{suffix}", read_picture(tmp_path / "a.png"))
    light = PIXELS / 255
    wanted = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(as_srgb(tmp_path / f"b{suffix}") - wanted).max() <= 2
    (tmp_path / "a.png").write_bytes(with_chunks(P3))
    write_picture(tmp_path / f"b{suffix}", read_picture(tmp_path / "a.png"))
    shown = as_srgb(tmp_path / f"b{suffix}")
    assert np.abs(shown.mean(axis=2) - PIXELS.mean(axis=2)).mean() < 12  # near, but more saturated
    assert np.ptp(shown, axis=2).mean() > 1.02 * np.ptp(PIXELS, axis=2).mean()


def test_adobe_rgb_that_only_exif_tells_of_becomes_a_profile(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ColorSpace: 65535, ExifTags.IFD.Interop: {1: "R03"}}
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif)
    photo = read_picture(tmp_path / "a.jpg")
    profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.profile)).profile
    assert profile.xcolor_space.strip() == "RGB"
    x, y = profile.green_primary[1][:2] if profile.green_primary else (0, 0)
    assert (x, y) == pytest.approx((0.23, 0.70), abs=0.02)  # seen from the white of profiles
    Image.fromarray(PIXELS).save(tmp_path / "b.jpg")
    assert read_picture(tmp_path / "b.jpg").profile is None


def test_what_only_a_png_can_say_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(with_chunks(PQ))
    assert "HDR" in write_picture(tmp_path / "b.jpg", read_picture(tmp_path / "a.png"))[0]


def test_no_profile_is_made_up_for_srgb(tmp_path):
    for said in ([], [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 45455))], [(b"gAMA", struct.pack(">I", 45455))]):
        (tmp_path / "a.png").write_bytes(with_chunks(*said))
        assert read_picture(tmp_path / "a.png").profile is None


def test_no_resolution_where_there_is_none(tmp_path):
    image, exif = Image.fromarray(PIXELS), Image.Exif()
    exif[ExifTags.Base.Make] = "Zeiss"
    image.save(tmp_path / "a.tif")
    image.save(tmp_path / "a.jpg")
    image.save(tmp_path / "b.jpg", exif=exif)  # Pillow says 72 of this one
    image.save(tmp_path / "a.png")
    for name in ("a.tif", "a.jpg", "b.jpg", "a.png"):
        assert read_picture(tmp_path / name).dpi is None
    write_picture(tmp_path / "c.tif", read_picture(tmp_path / "a.tif"))
    with Image.open(tmp_path / "c.tif") as written:
        assert not {282, 283} & set(written.tag_v2)
    image.save(tmp_path / "d.tif", dpi=(300, 150))
    assert read_picture(tmp_path / "d.tif").dpi == (300, 150)
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution], exif[ExifTags.Base.ResolutionUnit] = (
        240.0,
        240.0,
        2,
    )
    image.save(tmp_path / "d.jpg", exif=exif)
    assert read_picture(tmp_path / "d.jpg").dpi == (240, 240)


@pytest.mark.parametrize("deep", [False, True])
def test_notes_that_are_too_long_cost_only_themselves(tmp_path, deep):
    long = b"workflow\0\0" + zlib.compress(b"x" * 3_000_000)
    broken = b"Comment\0\0" + b"no zlib"
    content = with_chunks((b"zTXt", long), (b"zTXt", broken), (b"tEXt", b"Title\0kept"))
    (tmp_path / "a.png").write_bytes(content)
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, PIXELS) and picture.notes.text == (("Title", "kept"),)
    assert "workflow" in picture.warnings[0] and "Comment" in picture.warnings[1]
    bad_sum = bytearray(with_chunks((b"tEXt", b"Title\0kept")))
    bad_sum[bad_sum.index(b"kept") + 5] ^= 1  # the checksum of a note
    (tmp_path / "b.png").write_bytes(bad_sum)
    assert np.array_equal(read_picture(tmp_path / "b.png").pixels, PIXELS)


BROKEN = [(b"pHYs", b"\0\0\0\1"), (b"eXIf", b"no exif"), (b"tRNS", b"\0"), (b"acTL", b"\0"), (b"fcTL", b"\0" * 26)]
BROKEN += [(b"gAMA", b""), (b"cHRM", b"\0" * 32), (b"iCCP", b"x"), (b"iTXt", b"k"), (b"sRGB", b""), (b"zzzz", b"\0")]


@pytest.mark.parametrize("said", BROKEN, ids=lambda said: said[0].decode())
def test_broken_chunks_beside_sound_pixels_cost_only_themselves(tmp_path, said):
    (tmp_path / "a.png").write_bytes(with_chunks(said))
    assert np.array_equal(read_picture(tmp_path / "a.png").pixels, PIXELS)


def test_exif_as_imagemagick_writes_it_into_a_png(tmp_path):
    raw = block() if block().startswith(b"Exif") else b"Exif\0\0" + block()
    text = f"\nexif\n{len(raw):8d}\n{raw.hex()}\n".encode()
    (tmp_path / "a.png").write_bytes(with_chunks((b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))))
    assert b"Zeiss" in read_picture(tmp_path / "a.png").exif


def test_a_large_colour_profile_is_kept(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(3_000_000)
    (tmp_path / "a.png").write_bytes(with_chunks((b"iCCP", b"big\0\0" + zlib.compress(profile))))
    assert read_picture(tmp_path / "a.png").profile == profile


def test_notes_that_a_jpeg_cannot_hold_are_named_and_the_picture_is_written(tmp_path):
    photo = Picture(PIXELS, dpi=(100_000, 100_000), notes=Notes(xmp=XMP + b" " * 70_000, iptc=IPTC + bytes(70_000)))
    said = write_picture(tmp_path / "a.jpg", photo)
    assert any("XMP" in word for word in said) and any("IPTC" in word for word in said)
    assert read_picture(tmp_path / "a.jpg").pixels.shape == PIXELS.shape
