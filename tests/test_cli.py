"""The command `kf` as a user meets it: a process with arguments, files, streams and an exit status."""

import json
import os
import signal
import subprocess

import numpy as np
import pytest
from kf_process import ENDLESS, ENVIRONMENT, QUICK, WALK, command, kf, make_photo
from PIL import Image

import kf_core

pytestmark = pytest.mark.slow  # nearly every test starts a process


@pytest.fixture
def photo(tmp_path):
    return make_photo(tmp_path / "photo.png", dpi=(72, 72))


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
