"""The command `kf` as a user meets it: a process with arguments, files, streams and an exit status."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import kf_core

pytestmark = pytest.mark.slow  # nearly every test starts a process

# The least work that still goes through every phase, whatever the presets say.
PATCHES = ["patches.prior=none", "patches.channels=8", "patches.steps=2", "recovery.unet_channels=8"]
WALK = [
    "doubt=False",
    "recovery.first_iterations=2",
    "recovery.iterations=1",
    "recovery.timesteps=100,1",
    "finish.steps=2",
]
QUICK = PATCHES + WALK
ENDLESS = [*PATCHES, "estimator=algorithm1", "recovery.first_iterations=1000000"]


def command(*arguments, settings=()):
    chosen = [part for setting in settings for part in ("--set", setting)]
    return [sys.executable, "-m", "kf_core", *(str(argument) for argument in arguments), *chosen]


# One thread each: on a busy machine two that wait for each other are many times slower with so little to do.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def kf(*arguments, settings=()):
    line = command(*arguments, settings=settings)
    return subprocess.run(line, capture_output=True, text=True, env=ENVIRONMENT, timeout=60)


def make_photo(path, width=40, height=34, mode="RGB", **options):
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([128 + 90 * np.sin(x / 3), 128 + 90 * np.cos(y / 4), 128 + 90 * np.sin((x + y) / 5)], axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(path, **options)
    return path


@pytest.fixture
def photo(tmp_path):
    return make_photo(tmp_path / "photo.png", dpi=(72, 72))


def refused(done, *words):
    """The process ended with status 2, one error and one hint on stderr, no trace, and nothing on stdout."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: ") and lines[0].endswith(".")
    assert lines[1].startswith("hint: ") and len(lines) == 2
    for word in words:
        assert word in done.stderr
    return True


# What can be asked without work


def test_help_names_every_command():
    done = kf("--help")
    assert done.returncode == 0 and done.stderr == ""
    for name in ("upscale", "kernel", "train-prior", "checkpoints", "--version"):
        assert name in done.stdout


def test_without_arguments_it_helps():
    assert kf().stdout == kf("--help").stdout


@pytest.mark.parametrize("name", ["upscale", "kernel", "train-prior"])
def test_every_command_has_help(name):
    done = kf(name, "--help")
    assert done.returncode == 0 and "--seed" in done.stdout


def test_version():
    done = kf("--version")
    assert (done.returncode, done.stdout) == (0, f"kf {kf_core.__version__}\n")


# What cannot be used


def test_missing_photo(tmp_path):
    assert refused(kf("upscale", tmp_path / "nowhere.png"), "nowhere.png")


@pytest.mark.parametrize(
    ("name", "data"),
    [("empty.png", b""), ("text.png", b"not a picture at all, just a text"), ("notes.txt", b"hello" * 50)],
)
def test_files_that_are_no_photos(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert refused(kf("upscale", tmp_path / name), name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_corrupt_photo(tmp_path, photo):
    photo.write_bytes(photo.read_bytes()[:200])
    assert refused(kf("upscale", photo), "photo.png")


def test_too_small_photo(tmp_path):
    assert refused(kf("upscale", make_photo(tmp_path / "tiny.png", 12, 12)), "tiny.png")


NONSENSE = ["--bogus", "--scale 5", "--scale two", "--preset psychic", "--device abacus", "--kernel-size 7"]
NONSENSE += ["--kernel-size 0", "--set recovery.nothing=1", "--set recovery.iterations=many", "--set recovery"]


@pytest.mark.parametrize("command_name", ["upscale", "kernel"])
@pytest.mark.parametrize("arguments", NONSENSE)
def test_options_that_make_no_sense(photo, command_name, arguments):
    assert refused(kf(command_name, photo, "-o", photo.with_name("out.png"), *arguments.split(), settings=QUICK))
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]


def test_unknown_command():
    assert refused(kf("enhance"), "enhance")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.npy", b"no numbers here"),
        ("empty.npy", b""),
        ("line.npy", np.ones(24)),
        ("oblong.npy", np.ones((24, 22))),
        ("nan.npy", np.full((24, 24), np.nan)),
        ("zero.npy", np.zeros((24, 24))),
        ("large.npy", np.ones((70, 70))),
        ("complex.npy", np.ones((24, 24), dtype=complex)),
        ("pickle.npy", np.array([[None]])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kernel_files_that_cannot_be_used(photo, name, content):
    path = photo.with_name(name)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    assert refused(kf("upscale", photo, "--kernel", path, settings=QUICK))
    assert not photo.with_name("photo_x4.png").exists()


def test_missing_kernel_file(photo):
    assert refused(kf("upscale", photo, "--kernel", photo.with_name("none.npy")), "none.npy")


def test_the_photo_is_never_overwritten(photo):
    before = photo.read_bytes()
    assert refused(kf("upscale", photo, "-o", photo), "photo.png")
    link = photo.with_name("link.png")
    link.symlink_to(photo)
    assert refused(kf("upscale", photo, "-o", link), "link.png")
    assert refused(kf("upscale", photo, "--save-kernel", photo.parent / "." / "photo.png"))
    assert photo.read_bytes() == before


def test_two_outputs_of_one_name(photo):
    out = photo.with_name("out.png")
    assert refused(kf("upscale", photo, "-o", out, "--side-by-side", out), "two outputs")


UNWRITABLE = ["-o out.xyz", "-o out", "-o no/such/folder/out.png", "--save-kernel k.txt", "--save-kernel no/k.npy"]
UNWRITABLE += ["--side-by-side sheet.doc", "--report report.txt", "--report no/report.json"]


@pytest.mark.parametrize("arguments", UNWRITABLE)
def test_outputs_that_cannot_be_written_are_refused_at_once(photo, arguments):
    option, name = arguments.split()
    assert refused(kf("upscale", photo, option, photo.parent / name, settings=ENDLESS))
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]


def test_training_a_prior_refuses_bad_names(tmp_path):
    assert refused(kf("train-prior", tmp_path, "-o", tmp_path / "prior.pt"), ".safetensors")
    assert refused(kf("train-prior", tmp_path / "nowhere", "-o", tmp_path / "prior.safetensors"), "nowhere")
    assert list(tmp_path.iterdir()) == []


# Real runs


def test_upscale_says_how_far_the_result_can_be_believed(photo):
    done = kf("upscale", photo, "--report", photo.with_name("report.json"), settings=[*QUICK, "doubt=True"])
    assert done.returncode == 0, done.stderr
    report = json.loads(photo.with_name("report.json").read_text())
    assert f"Confidence {report['confidence']:.0%}. {report['confidence_sentence']}" in done.stderr
    quiet = kf("upscale", photo, "--quiet", settings=[*QUICK, "doubt=True"])
    assert quiet.returncode == 0 and "Confidence" not in quiet.stderr


def test_upscale_writes_all_it_was_asked_for(photo):
    names = ["large.png", "kernel.npy", "sheet.png", "report.json"]
    out, kernel, sheet, report = (photo.with_name(name) for name in names)
    done = kf(
        *("upscale", photo, "-o", out, "--save-kernel", kernel, "--side-by-side", sheet, "--report", report),
        settings=QUICK,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(out), str(kernel), str(sheet), str(report)]
    assert "recovering the kernel" in done.stderr and "error" not in done.stderr
    with Image.open(out) as image:
        assert (image.size, image.mode) == ((160, 136), "RGB")
        assert image.info["dpi"] == pytest.approx((288, 288), rel=1e-3)
    taps = np.load(kernel)
    assert taps.shape == (24, 24) and taps.sum() == pytest.approx(1, abs=1e-4)
    with Image.open(sheet) as image:
        assert image.width > 3 * 160 and image.height > 136
    told = json.loads(report.read_text(encoding="utf-8"))
    assert {"settings", "seconds"} <= told.keys()
    assert sorted(path.name for path in photo.parent.iterdir()) == sorted([*names, "photo.png"])


def test_grey_photo_default_name_and_kernel_as_picture(tmp_path):
    photo = make_photo(tmp_path / "grey.jpg", 32, 36, "L")
    kernel = tmp_path / "kernel.png"
    done = kf("upscale", photo, "--scale", 2, "--save-kernel", kernel, "--quiet", settings=QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines() == [str(tmp_path / "grey_x2.png"), str(kernel)]
    with Image.open(tmp_path / "grey_x2.png") as image:
        assert (image.size, image.mode) == ((64, 72), "L")
    with Image.open(kernel) as image:
        assert image.width == image.height and image.width % 12 == 0 and image.mode == "L"


def test_known_kernel_comes_back_as_it_was(photo):
    known, saved = photo.with_name("known.npy"), photo.with_name("saved.npy")
    offset = np.arange(16) - 7.5
    blur = np.exp(-(offset[:, None] ** 2 + offset**2) / 8)
    np.save(known, blur)
    done = kf("upscale", photo, "--kernel", known, "--save-kernel", saved, settings=QUICK)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(saved), blur / blur.sum(), atol=1e-5)
    with Image.open(photo.with_name("photo_x4.png")) as image:
        assert image.size == (160, 136)


def test_kernel_command_recovers_only_the_kernel(photo):
    kernel = photo.with_name("k.npy")
    done = kf("kernel", photo, "-o", kernel, "--scale", 2, "-q", settings=QUICK)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{kernel}\n", "")
    assert np.load(kernel).shape == (12, 12)
    assert sorted(path.name for path in photo.parent.iterdir()) == ["k.npy", "photo.png"]


def test_kernel_command_with_the_bundled_prior(photo):
    kernel = photo.with_name("k.npy")
    done = kf("kernel", photo, "-o", kernel, settings=["patches.prior=bundled", "patches.steps=0", *WALK])
    assert (done.returncode, done.stdout) == (0, f"{kernel}\n"), done.stderr


def test_train_prior_writes_a_prior(tmp_path):
    make_photo(tmp_path / "one.png", 80, 72)
    out = tmp_path / "prior.safetensors"
    done = kf("train-prior", tmp_path, "-o", out, "--steps", 2, "--channels", 8, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{out}\n", "")
    assert out.stat().st_size > 0


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are Unix's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_no_file_and_the_old_result(photo, number):
    out = photo.with_name("photo_x4.png")
    out.write_bytes(b"the result of last time")
    process = subprocess.Popen(
        command("upscale", photo, "--save-kernel", photo.with_name("k.npy"), settings=ENDLESS),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        line = process.stderr.readline()
        while line and "recovering the kernel" not in line:
            line = process.stderr.readline()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert stdout == "" and "Traceback" not in stderr and "nothing was written" in stderr
    assert out.read_bytes() == b"the result of last time"
    assert sorted(path.name for path in photo.parent.iterdir()) == ["photo.png", "photo_x4.png"]


def test_a_folder_is_no_photo_and_an_old_result_stays(photo):
    for folder in (".", ".."):
        done = kf("upscale", folder)
        assert done.returncode == 2 and "is a folder" in done.stderr and "Traceback" not in done.stderr
    old = photo.with_name("photo_x2.png")
    old.write_bytes(b"the result of last time")
    done = kf("upscale", photo, "--scale", 2, "-q", settings=QUICK)
    assert (done.returncode, done.stdout) == (0, f"{photo.with_name('photo_x2_2.png')}\n")
    assert old.read_bytes() == b"the result of last time"
    done = kf("upscale", photo, "--scale", 2, "-q", "-o", old, settings=QUICK)
    assert done.returncode == 2 and "there already" in done.stderr and "--force" in done.stderr
    assert kf("upscale", photo, "--scale", 2, "-q", "-o", old, "--force", settings=QUICK).returncode == 0
    assert old.read_bytes() != b"the result of last time"
