"""What the command `kf` refuses: one sentence and a hint, status 2, and nothing is written."""

import numpy as np
import pytest
from kf_process import ENDLESS, QUICK, kf, make_photo

pytestmark = pytest.mark.slow  # nearly every test starts a process


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
