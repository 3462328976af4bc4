"""Photos on their way in: parts of large ones, bombs, transparency, phones."""

import json
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kf_core
from kf_core import BadInput
from web_demo import decode, photos
from web_demo.limits import Limits, check_photo_file

LIMITS = Limits(pixels=64 * 64, decoded_pixels=70_000_000, file_bytes=2**26)
LOOK_AND_LOAD = """
import json, resource, sys
from web_demo import photos
from web_demo.limits import Limits
limits = Limits(pixels=64 * 64, decoded_pixels=70_000_000, file_bytes=2**26)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seen = photos.look(sys.argv[1], limits, sys.argv[2], 64 * 64)
photos.load(sys.argv[1], "best", limits)
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"size": [seen.width, seen.height], "own": own, "others": others}))
"""  # in a process of its own: what other tests started before does not count


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize(
    ("part", "size"),
    [("", (100, 80)), ("best", (64, 64)), ("shrink", (71, 57)), ("shrink:60", (60, 48)), ("10,20,40,50", (40, 50))],
)
def test_every_way_to_choose_a_part_has_the_size_it_says(tmp_path, part, size):
    Image.fromarray(noise(80, 100)).save(tmp_path / "p.png")
    limits = LIMITS if part else Limits(pixels=100 * 100)
    assert photos.check_part(tmp_path / "p.png", part, limits) == size
    assert photos.load(tmp_path / "p.png", part, limits).pixels.shape == (size[1], size[0], 3)


def test_a_framed_part_is_that_part_with_all_its_bits(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 65535, (90, 120, 3)).astype(np.uint16)
    kf_core.write_picture(tmp_path / "deep.png", kf_core.Picture(pixels))
    part = photos.load(tmp_path / "deep.png", "30,10,50,60", LIMITS)
    assert np.array_equal(part.pixels, pixels[10:70, 30:80])


def test_a_photo_that_is_shrunk_keeps_its_looks_and_its_bits():
    y, x = np.mgrid[:200, :300]
    pixels = (30000 + 20000 * np.sin(x / 40) * np.cos(y / 30)).astype(np.uint16)
    small = decode.cut(kf_core.Picture(pixels), "shrink", 60 * 40).pixels
    assert small.shape == (40, 60) and small.dtype == np.uint16
    assert np.abs(small.astype(float) - pixels[2::5, 2::5]).max() < 400


@pytest.mark.parametrize(
    ("part", "sentence"),
    [("90,0,64,64", "reaches beyond"), ("0,0,10,40", "too few"), ("all", "is not a part"), ("shrink:20", "too few")],
)  # fmt: skip
def test_parts_that_are_none_are_refused(tmp_path, part, sentence):
    Image.fromarray(noise(80, 100)).save(tmp_path / "p.png")
    with pytest.raises(BadInput, match=sentence):
        photos.check_part(tmp_path / "p.png", part, LIMITS)


def test_the_best_part_is_not_wood_grain():
    pixels = np.full((200, 200), 128, np.uint8)
    pixels[:, :100] = 128 + 100 * (np.arange(200)[:, None] // 2 % 2)  # the steepest edges, all of them parallel
    y, x = np.mgrid[:60, :60]
    pixels[20:80, 130:190] = 128 + 60 * np.sin(x / 2) * np.sin(y / 2)
    left, top, columns, rows = decode.best_box(pixels, 64, 64)
    assert left >= 100 and top < 80 and (columns, rows) == (64, 64)


def test_a_phone_photo_is_measured_as_it_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(60, 90)).save(tmp_path / "phone.jpg", exif=exif)
    assert check_photo_file(tmp_path / "phone.jpg", LIMITS) == (60, 90)
    assert photos.check_part(tmp_path / "phone.jpg", "20,40,40,50", LIMITS) == (40, 50)
    assert photos.load(tmp_path / "phone.jpg", "20,40,40,50", LIMITS).pixels.shape == (50, 40, 3)


def test_a_look_says_size_and_best_part_and_shows_it(tmp_path):
    Image.fromarray(noise(1500, 2000)).save(tmp_path / "large.jpg", quality=70)
    seen = photos.look(tmp_path / "large.jpg", LIMITS, tmp_path / "seen.jpg", 64 * 64)
    assert (seen.width, seen.height) == (2000, 1500) and seen.box[2:] == (64, 64)
    with Image.open(tmp_path / "seen.jpg") as image:
        assert max(image.size) <= decode.OVERVIEW and image.width / image.height == pytest.approx(4 / 3, abs=0.01)


@pytest.mark.parametrize("turned", [False, True], ids=["level", "on its side"])
def test_a_large_jpeg_is_looked_at_from_a_draft_and_the_same_part_is_found(tmp_path, monkeypatch, turned):
    pixels = np.full((1801, 2403, 3), 128, np.uint8)
    pixels[1203:1301, 1500:1602] = noise(98, 102)
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    Image.fromarray(pixels).save(tmp_path / "l.jpg", quality=90, exif=exif)
    request = {"photo": str(tmp_path / "l.jpg"), "overview": str(tmp_path / "seen.jpg"), "pixels": 128**2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "draft", lambda path: None)
        whole = decode.answer(request)
    monkeypatch.setattr(decode, "read", lambda path: pytest.fail("the whole photo was unpacked"))
    said = decode.answer(request)
    assert said["size"] == whole["size"] == ([1801, 2403] if turned else [2403, 1801])
    assert said["box"][2:] == whole["box"][2:] == (128, 128)
    left, top = (1801 - 1301, 1500) if turned else (1500, 1203)
    for box in (said["box"], whole["box"]):  # all of the detail is in it
        assert box[0] <= left + 8 and box[0] + 128 >= left + 94 and box[1] <= top + 8 and box[1] + 128 >= top + 94
    with Image.open(tmp_path / "seen.jpg") as image:
        assert max(image.size) <= decode.OVERVIEW and (image.height > image.width) == turned


def test_a_damaged_jpeg_is_refused_although_a_draft_would_do(tmp_path):
    Image.fromarray(noise(2100, 2200)).save(tmp_path / "l.jpg")
    content = (tmp_path / "l.jpg").read_bytes()
    (tmp_path / "l.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match="damaged or incomplete"):
        photos.look(tmp_path / "l.jpg", LIMITS, tmp_path / "seen.jpg", 64 * 64)


def bomb(path, side):
    """A PNG of side x side pixels, all of them white, that is some ten kilobytes."""
    import struct

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * (3 * side)
    body = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    return path


@pytest.mark.slow
def test_a_bomb_takes_bounded_memory_of_another_process(tmp_path):
    path = bomb(tmp_path / "bomb.png", 7000)
    assert path.stat().st_size < 200_000
    done = subprocess.run(
        [sys.executable, "-c", LOOK_AND_LOAD, path, tmp_path / "seen.jpg"], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["size"] == [7000, 7000]
    assert told["own"] < 50 * 1024  # KiB; the pixels alone are 140 MiB
    assert told["others"] < 1.2 * 2**20  # KiB


@pytest.mark.slow
def test_photos_are_unpacked_one_at_a_time(tmp_path):
    import threading

    path, running, most = bomb(tmp_path / "bomb.png", 4000), [], []
    plain = subprocess.run

    def counted(*arguments, **options):
        running.append(1)
        most.append(len(running))
        try:
            return plain(*arguments, **options)
        finally:
            running.pop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photos.subprocess, "run", counted)
        threads = [threading.Thread(target=photos.load, args=(path, "best", LIMITS)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert most == [1, 1, 1]


@pytest.mark.slow
def test_60_megapixels_from_a_camera_are_looked_at_and_cut(tmp_path):
    tile = noise(500, 600)
    Image.fromarray(np.tile(tile, (12, 16, 1))).save(tmp_path / "camera.jpg", quality=60)
    began = time.monotonic()
    seen = photos.look(tmp_path / "camera.jpg", LIMITS, tmp_path / "seen.jpg", 64 * 64)
    part = photos.load(tmp_path / "camera.jpg", "5000,3000,60,60", LIMITS)
    assert (seen.width, seen.height) == (9600, 6000) and part.pixels.shape == (60, 60, 3)
    assert time.monotonic() - began < 60


def test_a_decoder_that_dies_is_a_sentence(tmp_path, monkeypatch):
    Image.fromarray(noise(200, 200)).save(tmp_path / "p.png")
    died = subprocess.CompletedProcess([], -9, stdout=b"")
    monkeypatch.setattr(photos.subprocess, "run", lambda *_, **__: died)
    with pytest.raises(BadInput, match="cannot be unpacked here"):
        photos.load(tmp_path / "p.png", "best", LIMITS)


def test_the_decoder_loads_neither_torch_nor_the_page(tmp_path):
    code = "import sys, web_demo.decode; print([m for m in ('torch', 'gradio') if m in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(photos.ROOT), capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[]"


def test_a_damaged_large_photo_is_refused_with_the_engine_s_sentence(tmp_path):
    Image.fromarray(noise(300, 300)).save(tmp_path / "p.png")
    content = (tmp_path / "p.png").read_bytes()
    (tmp_path / "p.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match="damaged or incomplete"):
        photos.load(tmp_path / "p.png", "best", LIMITS)


def test_what_a_frame_on_the_page_says_becomes_a_part():
    from web_demo.widgets import Frame

    frame = Frame(render=False)
    state = {"mode": "part", "box": [1, 2, 40, 50], "shrunk": [60, 40]}
    assert frame.preprocess(json.dumps(state)) == "1,2,40,50"
    assert frame.preprocess(json.dumps({**state, "mode": "shrink"})) == "shrink:60"
    assert frame.preprocess(json.dumps({**state, "mode": "whole"})) == "" == frame.preprocess(None)
    assert frame.preprocess("best") == "best"
