"""A long run is never lost: what can be known is checked before it, and what fails after it is written elsewhere."""

import json
import os
import shutil
from collections import namedtuple

import numpy as np
import pytest
from PIL import Image, ImageCms

import kf_core
from kf_core.adjust import weaken
from kf_core.errors import CannotWrite
from kf_core.files import encode, outputs, picture
from kf_core.files.kernels import read_kernel
from kf_core.files.picture import Notes, Picture, read_picture, write_picture


def pixels(height=40, width=36, channels=3, seed=0):
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def photo(tmp_path):
    write_picture(tmp_path / "photo.png", Picture(pixels(), dpi=(72, 72)))
    return tmp_path / "photo.png"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Known before


@pytest.mark.parametrize(
    ("suffix", "width"), [(".webp", 4096), (".jpg", 16_376), (".jpeg", 16_376), (".avif", 4097)], ids=str
)
def test_sides_that_a_format_cannot_hold_are_refused_before_the_run(kf, tmp_path, suffix, width):
    photo, out = tmp_path / "wide.png", tmp_path / f"out{suffix}"
    write_picture(photo, Picture(np.full((32, width), 99, np.uint8)))
    assert kf("upscale", photo, "-o", out, "--scale", 4).status == 2
    assert f"{4 * width} x 128 pixels" in kf.err and "a side" in kf.err and ".png" in kf.err
    assert kf.engine.calls == 0 and names(tmp_path) == ["wide.png"]
    assert kf("upscale", photo, "--side-by-side", tmp_path / "sheet.webp", "--scale", 2).status == 2
    assert "sheet.webp" in kf.err and kf.engine.calls == 0


@pytest.mark.parametrize(("suffix", "side"), [(".webp", 16_383), (".jpg", 65_500), (".avif", 16_384)], ids=str)
def test_the_largest_side_that_is_allowed_can_be_written(tmp_path, suffix, side):
    write_picture(tmp_path / f"a{suffix}", Picture(np.full((32, side), 99, np.uint8)))
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.size == (side, 32)


@pytest.mark.parametrize("option", ["-o", "--save-kernel", "--side-by-side", "--report"])
def test_names_that_the_disk_does_not_take_are_refused_before_the_run(kf, photo, option):
    suffix = ".json" if option == "--report" else ".png"
    before = names(photo.parent)
    assert kf("upscale", photo, option, photo.with_name("a" * 256 + suffix)).status == 2
    assert "too long" in kf.err and kf.engine.calls == 0 and len(kf.err) < 300
    assert names(photo.parent) == before


@pytest.mark.parametrize("letter", ["a", "ä", "漢"])
def test_the_default_name_is_as_long_as_the_disk_allows(kf, tmp_path, letter):
    stem = letter * (250 // len(letter.encode()))
    photo = tmp_path / f"{stem}.png"
    write_picture(photo, Picture(pixels()))
    for ending in ("_x4.png", "_x4_2.png"):
        assert kf("upscale", photo, "-q").status == 0
        written = kf.out.strip()
        assert written.endswith(ending) and read_picture(written).pixels.shape == (160, 144, 3)


def test_a_disk_without_room_is_named_before_the_run(kf, photo, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 50_000, 50_000))
    assert kf("upscale", photo, "-q").status == 2  # 160 x 144 x 3 bytes
    assert "68 KB" in kf.err and "49 KB" in kf.err and kf.engine.calls == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 100_000, 100_000))
    assert kf("upscale", photo, "-q").status == 0
    assert kf("upscale", photo, "-q", "--side-by-side", photo.with_name("s.png")).status == 2  # both together
    assert kf.engine.calls == 1


def test_a_tiff_beyond_four_gigabytes_is_refused_before_the_run(tmp_path):
    planned = [outputs.Planned(tmp_path / "a.tif", (30_000, 50_000))]
    with pytest.raises(CannotWrite, match="4 GiB"):
        outputs.check_outputs([], planned=planned)


def test_transparency_and_quality_that_a_format_does_not_know_are_refused_before_the_run(kf, tmp_path, photo):
    alpha = np.full((40, 36), 255, np.uint8)
    alpha[3, 4] = 0
    write_picture(tmp_path / "hole.png", Picture(pixels(), alpha=alpha))
    assert kf("upscale", tmp_path / "hole.png", "-o", tmp_path / "o.jpg").status == 2
    assert "transparency" in kf.err and kf.engine.calls == 0
    assert kf("upscale", photo, "-o", tmp_path / "o.webp", "--dpi", 300).status == 2
    assert "resolution" in kf.err and kf.engine.calls == 0
    for name in ("o.png", "o.tif"):
        assert kf("upscale", photo, "-o", tmp_path / name, "--quality", 80).status == 2
        assert "quality" in kf.err and kf.engine.calls == 0


# Not known before


def broken(*_, **__):
    raise OSError("the disk has gone")


def test_a_format_that_fails_at_the_end_leaves_a_png_kernel_and_report(kf, photo, monkeypatch):
    monkeypatch.setattr(encode, "_by_pillow", broken)
    out, kernel, report = (photo.with_name(name) for name in ("large.webp", "k.npy", "r.json"))
    assert kf("upscale", photo, "-o", out, "--save-kernel", kernel, "--report", report, "-q").status != 0
    png = photo.with_name("large.png")
    assert kf.out.splitlines() == [str(png), str(kernel), str(report)]
    assert np.array_equal(read_picture(png).pixels, pixels().repeat(4, 0).repeat(4, 1))
    assert read_kernel(kernel).shape == (24, 24) and "kernel" in json.loads(report.read_text())
    assert "large.webp" in kf.err and f"written to '{png}' instead" in kf.err


def test_the_png_in_its_place_replaces_nothing(kf, photo, monkeypatch):
    monkeypatch.setattr(encode, "_by_pillow", broken)
    photo.with_name("large.png").write_bytes(b"mine")
    assert kf("upscale", photo, "-o", photo.with_name("large.webp"), "-q").status != 0
    assert photo.with_name("large.png").read_bytes() == b"mine"
    assert read_picture(photo.with_name("large_2.png")).pixels.shape == (160, 144, 3)


def test_notes_that_break_the_file_do_not_cost_the_picture(kf, photo, monkeypatch):
    real = encode._png
    monkeypatch.setattr(encode, "_png", lambda picture, *rest: broken() if picture.dpi else real(picture, *rest))
    assert kf("upscale", photo, "-o", photo.with_name("large.png"), "-q").status != 0
    assert read_picture(photo.with_name("large.png")).dpi is None


def test_a_folder_that_went_away_sends_the_result_elsewhere(kf, photo, tmp_path, monkeypatch):
    away, here = tmp_path / "away", tmp_path / "here"
    away.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    engine = kf.engine

    def run(*args, **kwargs):
        result = engine(*args, **kwargs)
        shutil.rmtree(away)
        return result

    monkeypatch.setattr(kf_core, "super_resolve", run)
    assert kf("upscale", photo, "-o", away / "o.tif", "--save-kernel", away / "k.npy", "-q").status != 0
    assert names(here) == ["k.npy", "o.png"]
    assert kf.out.splitlines() == [str(here / "o.png"), str(here / "k.npy")]
    assert "no folder" in kf.err and "instead" in kf.err


def test_where_nothing_helps_the_reason_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "write_picture", broken)
    jobs = outputs.Jobs()
    jobs.picture(tmp_path / "a.png", Picture(pixels()))
    assert isinstance(jobs.failed, OSError) and jobs.written == {} and names(tmp_path) == []


def test_without_a_limit_the_sheet_size_is_that_of_the_sheet():
    from kf_core.files.figure import sheet_size, side_by_side

    for height, width in ((160, 144), (400, 900)):
        result = pixels(height, width)
        sheet = side_by_side(pixels(height // 4, width // 4), result, result, np.ones((24, 24)))
        assert sheet.shape[1] == sheet_size(height, width)[1] and sheet.shape[0] == sheet_size(height, width)[0]


# What the result carries


def test_dpi_and_quality_are_what_was_asked_for(kf, photo):
    sizes = []
    for quality in (30, 95):
        out = photo.with_name(f"q{quality}.jpg")
        assert kf("upscale", photo, "-o", out, "--quality", quality, "--dpi", 300, "-q").status == 0
        assert read_picture(out).dpi == (300, 300)
        sizes.append(out.stat().st_size)
    assert sizes[0] < 0.6 * sizes[1]
    lossless, lossy = photo.with_name("a.webp"), photo.with_name("b.webp")
    assert kf("upscale", photo, "-o", lossless, "-q").status == 0
    assert kf("upscale", photo, "-o", lossy, "-q", "--quality", 50).status == 0
    wanted = pixels().repeat(4, 0).repeat(4, 1)
    assert np.array_equal(read_picture(lossless).pixels, wanted)
    assert not np.array_equal(read_picture(lossy).pixels, wanted)


def test_everything_beside_the_pixels_reaches_the_result(kf, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "Zeiss"
    notes = Notes(text=(("Title", "Mein Bild"),), colour=((b"gAMA", b"\0\1\x86\xa0"),))
    photo = tmp_path / "a.png"
    write_picture(photo, Picture(pixels(), profile, (100, 100), exif.tobytes(), notes=notes))
    assert kf("upscale", photo, "-o", tmp_path / "b.png", "--scale", 2, "-q").status == 0
    result = read_picture(tmp_path / "b.png")
    assert result.profile == profile and result.dpi == pytest.approx((200, 200), abs=0.1) and b"Zeiss" in result.exif
    assert result.notes == notes


@pytest.mark.parametrize("deep", [False, True])
def test_transparency_is_enlarged_and_what_it_hides_does_not_bleed(kf, tmp_path, deep):
    """A red disc on a hidden green ground: the engine never sees the green."""
    factor, kind = (257, np.uint16) if deep else (1, np.uint8)
    y, x = np.mgrid[:48, :48]
    alpha = np.where((y - 24) ** 2 + (x - 24) ** 2 < 200, 255, 0)
    colour = np.where(alpha[..., None] > 0, [200, 30, 20], [0, 255, 0])
    photo = tmp_path / "disc.png"
    write_picture(photo, Picture((colour * factor).astype(kind), alpha=(alpha * factor).astype(kind)))
    assert kf("upscale", photo, "-o", tmp_path / "o.png", "-q").status == 0
    assert kf.engine.pixels[..., 1].max() <= 31 * factor
    result = read_picture(tmp_path / "o.png", transparency=True)
    assert result.pixels.dtype == kind and result.alpha.shape == (192, 192)
    assert result.alpha[96, 96] == 255 * factor and result.alpha[2, 2] == 0
    assert result.pixels[result.alpha > 0][:, 1].max() <= 31 * factor
    hidden = Picture((colour * factor).astype(kind), alpha=np.zeros((48, 48), kind))
    write_picture(tmp_path / "none.png", hidden)
    assert kf("upscale", tmp_path / "none.png").status == 2 and "transparent everywhere" in kf.err


def test_strength_mixes_with_the_plain_enlargement(kf, tmp_path):
    photo = tmp_path / "photo.png"
    y, x = np.mgrid[:40, :36]
    ramp = np.clip(3 * y + 2 * x + 20, 0, 255).astype(np.uint8)
    write_picture(photo, Picture(ramp))
    plain = np.array(Image.fromarray(ramp).resize((144, 160), Image.Resampling.BICUBIC)).astype(int)
    sharp = ramp.repeat(4, 0).repeat(4, 1).astype(int)
    for strength in (0, 0.25, 1):
        out = tmp_path / f"{strength}.png"
        report = tmp_path / f"{strength}.json"
        assert kf("upscale", photo, "-o", out, "--strength", strength, "--report", report, "-q").status == 0
        wanted = strength * sharp + (1 - strength) * plain
        assert np.abs(read_picture(out).pixels - wanted).max() <= 1
        assert json.loads(report.read_text()).get("strength", 1) == strength
    assert kf("upscale", photo, "--strength", 1.5).status == 2


def test_mix_gives_the_same_without_a_new_run(kf, photo):
    large, half, mixed_file = (photo.with_name(f"{name}.png") for name in ("large", "half", "mixed"))
    assert kf("upscale", photo, "-o", large, "-q").status == 0
    assert kf("upscale", photo, "-o", half, "--strength", 0.5, "-q").status == 0
    calls = kf.engine.calls
    assert kf("mix", photo, large, "-o", mixed_file, "--strength", 0.5).status == 0
    assert kf.engine.calls == calls and np.array_equal(read_picture(mixed_file).pixels, read_picture(half).pixels)
    assert read_picture(mixed_file).dpi == pytest.approx((288, 288), rel=1e-2)
    assert kf("mix", large, photo, "-o", photo.with_name("x.png")).status == 2 and "not 'large.png' enlarged" in kf.err
    assert np.array_equal(weaken(pixels(160, 144), pixels(), 1.0), pixels(160, 144))


def test_a_name_is_only_tried_and_not_left_behind(tmp_path):
    picture.check_writable(tmp_path / "a.png")
    assert names(tmp_path) == []
    (tmp_path / "a.png").write_bytes(b"mine")
    picture.check_writable(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"mine"
    os.symlink(tmp_path / "target.png", tmp_path / "link.png")
    picture.check_writable(tmp_path / "link.png")
    assert names(tmp_path) == ["a.png", "link.png"]
    with pytest.raises(CannotWrite, match="ends at 16383"):
        picture.check_writable(tmp_path / "a.webp", size=(32, 16384))
