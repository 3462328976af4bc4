"""Checkpoint files that come from anybody: what is refused, in which words, and at what cost."""

import hashlib
import json
import os
import pickle
import struct

import pytest
import torch
from safetensors.torch import save

from kf_core.checkpoints import file as checkpoints
from kf_core.checkpoints.file import PRIOR, WrongHash, read_checkpoint, save_prior
from kf_core.checkpoints.load import load_prior
from kf_core.checkpoints.networks import build
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.errors import BadInput

torch.set_num_threads(1)
CPU = torch.device("cpu")


@pytest.fixture
def good(tmp_path):
    save_prior(PatchDiffusion(4), tmp_path / "good.safetensors", {"seed": 1})
    return tmp_path / "good.safetensors"


def claiming(config, weights=None, about=PRIOR):
    """A checkpoint file that says of itself whatever it likes."""
    said = json.dumps({"format": about, "config": config, "training": {}})
    return save(PatchDiffusion(4).state_dict() if weights is None else weights, {"kernelfusion": said})


def refused(path, words, kind=BadInput):
    with pytest.raises(kind, match=words) as caught:
        load_prior(str(path), CPU)
    assert path.name in caught.value.message and caught.value.message.endswith(".") and caught.value.hint.endswith(".")
    return True


def test_a_good_one_says_all_about_itself(good):
    read = read_checkpoint(good)
    assert read.training == {"seed": 1} and read.format == PRIOR and build(read).config == read.config
    assert read.sha256 == hashlib.sha256(good.read_bytes()).hexdigest()
    assert read_checkpoint(good, read.sha256.upper()).sha256 == read.sha256
    with pytest.raises(WrongHash):
        read_checkpoint(good, "0" * 64)


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.ckpt", "x.bin", "x.PKL"])
def test_a_pickle_is_refused_by_its_name(good, name):
    assert refused(good.rename(good.with_name(name)), "is a pickle")


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_renamed_pickle_is_refused_unopened(tmp_path, protocol):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = tmp_path / "x.safetensors"
    path.write_bytes(pickle.dumps(Trap(), protocol))
    assert refused(path, "is a pickle")
    torch.save({"weights": Trap()}, path)
    assert refused(path, "is a pickle")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("length", [0x0280, 0x0480, 0x4B50])
def test_a_header_whose_length_looks_like_a_pickle_is_none(tmp_path, length):
    """A safetensors file begins with its header's length, whose bytes can be those that begin a pickle."""
    path = tmp_path / "x.safetensors"
    header = json.dumps({"__metadata__": {"kernelfusion": "{}"}}).encode().ljust(length)
    path.write_bytes(struct.pack("<Q", length) + header)
    assert refused(path, "is not a KernelFusion prior")


def test_torch_load_is_nowhere_in_the_package():
    for path in checkpoints.BUNDLED.parents[1].rglob("*.py"):
        assert "torch.load" not in path.read_text(encoding="utf-8"), path
        assert "import pickle" not in path.read_text(encoding="utf-8"), path


LIES = [
    {"channels": 2_500},
    {"channels": 10**9},
    {"channels": 10**30},
    {"channels": 0},
    {"channels": -4},
    {"channels": True},
    {"channels": 4.0},
    {"channels": "4"},
    {"channels": 8},
    {"channels": 4, "colours": 10**7},
    {"channels": 4, "colours": 1},
    {"channels": 4, "activation": "swish"},
    {"channels": 4, "depth": 9},
    {},
    [4],
    None,
]


@pytest.mark.parametrize("config", LIES, ids=str)
def test_an_architecture_that_is_not_the_weights_is_refused(tmp_path, config):
    resource = pytest.importorskip("resource")
    path = tmp_path / "x.safetensors"
    path.write_bytes(claiming(config))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(path, "does not fit this version's network")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB: a lie must not cost gigabytes


@pytest.mark.parametrize("fault", ["one missing", "one more", "not a number", "other shape"])
def test_weights_that_are_not_all_there_are_refused(tmp_path, fault):
    weights = PatchDiffusion(4).state_dict()
    first = next(iter(weights))
    if fault == "one missing":
        del weights[first]
    elif fault == "one more":
        weights["extra"] = torch.zeros(3)
    elif fault == "not a number":
        weights[first] = torch.full_like(weights[first], float("nan"))
    else:
        weights[first] = weights[first][:-1].clone()
    path = tmp_path / "x.safetensors"
    path.write_bytes(claiming({"channels": 4}, weights))
    assert refused(path, "does not fit")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a readable"),
        (b"\xff" * 8 + b"{", "not a readable"),
        (b"hello, I am a text", "not a readable"),
        (claiming({"channels": 4})[:-1], "not a readable"),
        (claiming({"channels": 4})[:30], "not a readable"),
        (claiming({"channels": 4}, about="another-format"), "not a KernelFusion prior"),
        (save(PatchDiffusion(4).state_dict()), "not a KernelFusion prior"),
        (save({"a": torch.zeros(1)}, {"kernelfusion": "[]"}), "does not fit"),
        (save({"a": torch.zeros(1)}, {"kernelfusion": "{" * 99}), "does not fit"),
    ],
    ids=str.split("empty endless text truncated header format plain list braces"),
)
def test_files_that_are_no_priors(tmp_path, content, words):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    assert refused(path, words)


def test_a_file_of_any_size_is_not_read(tmp_path):
    path = tmp_path / "x.safetensors"
    with open(path, "wb") as file:
        file.truncate(checkpoints.MAX_BYTES + 1)
    assert refused(path, "larger than 64 MiB")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are Unix's")
def test_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "x.safetensors"
    os.mkfifo(path)
    assert refused(path, "not an ordinary file")


def test_a_folder_is_not_looked_into(good, tmp_path):
    assert refused(tmp_path, "not an ordinary file")
