"""`kf checkpoints` and `--prior` as a user meets them: processes that read HF_ENDPOINT and HF_HOME themselves."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from kf_core.checkpoints import sources
from kf_core.checkpoints.file import BUNDLED, BUNDLED_FFDNET, WEIGHTS, save_prior
from kf_core.cli import main as cli
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.errors import BadInput

REPO = "anna/pd"
WALK = [
    "doubt=False",
    "recovery.first_iterations=1",
    "recovery.iterations=1",
    "recovery.timesteps=100,1",
    "recovery.unet_channels=8",
]
WALK += ["refine.rounds=0", "finish.method=none", "patches.steps=0"]


@pytest.fixture
def weights(tmp_path):
    save_prior(PatchDiffusion(8), tmp_path / "prior.safetensors", {"credits": [{"file": "a.png", "author": "Anna"}]})
    return (tmp_path / "prior.safetensors").read_bytes()


@pytest.fixture
def published(fake_hub, weights):
    return f"{REPO}@{fake_hub.publish(REPO, {WEIGHTS: weights})}"


@pytest.fixture
def start(fake_hub, tmp_path):
    """Starts `kf` with a Hub and a cache of its own."""
    dropped = {
        "KF_CHECKPOINTS",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "HF_HUB_DISABLE_TELEMETRY",
        "HF_TOKEN",
    }
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment |= {"HF_ENDPOINT": fake_hub.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1,localhost"}
    environment |= {"OMP_NUM_THREADS": "1", "AI_AGENT": "tester"}  # what telemetry would look at

    def go(*arguments, before=None, **more):
        line = [sys.executable, "-m", "kf_core", *(str(argument) for argument in arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(line, **pipes, env={**environment, **more}, preexec_fn=before)

    return go


def ended(process):
    """(exit status, stdout, stderr)"""
    try:
        stdout, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, stdout, stderr


def in_process(*arguments):
    return CliRunner().invoke(cli.app, ["checkpoints", *(str(argument) for argument in arguments)])


def left_behind(tmp_path):
    paths = [path for path in (tmp_path / "hf").rglob("*") if path.is_file() and ".locks" not in path.parts]
    return [path.name for path in paths if path.name != "CACHEDIR.TAG"]


@pytest.mark.slow
def test_pull_prints_the_path_and_nothing_else(start, fake_hub, published, weights):
    status, stdout, stderr = ended(start("checkpoints", "pull", published))
    assert (status, stderr) == (0, "")
    with open(stdout.strip(), "rb") as file:
        assert file.read() == weights
    assert all("/resolve/" in path or "/cdn/" in path for path in fake_hub.asked()), "no telemetry"
    assert not any("torch/" in headers.get("User-Agent", "") for _, _, headers in fake_hub.requests)
    fake_hub.requests.clear()
    assert ended(start("checkpoints", "pull", HF_HUB_OFFLINE="1", KF_CHECKPOINTS=published)) == (0, stdout, "")
    assert fake_hub.requests == []


@pytest.mark.slow
def test_two_at_once_both_succeed(start, published, tmp_path):
    ends = [ended(process) for process in [start("checkpoints", "pull", published) for _ in range(2)]]
    assert ends[0] == ends[1] and ends[0][0] == 0, ends
    assert sorted(left_behind(tmp_path))[-1] == WEIGHTS and not any("incomplete" in n for n in left_behind(tmp_path))


def test_a_full_disk(start, published, tmp_path):
    resource = pytest.importorskip("resource")

    def no_large_files():  # as near to a full disk as one comes without being root: writing beyond 4 kB fails
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    status, stdout, stderr = ended(start("checkpoints", "pull", published, before=no_large_files))
    assert (status, stdout) == (2, "") and "the disk is full" in stderr and "HF_HOME" in stderr
    assert stderr.count("\n") == 2 and left_behind(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are Unix's")
def test_ctrl_c_ends_a_slow_pull_at_once(start, fake_hub, published, tmp_path):
    asked, over, answer = threading.Event(), threading.Event(), fake_hub.cdn

    def slow(*arguments):
        asked.set()
        over.wait(100)
        return answer(*arguments)

    fake_hub.cdn = slow
    process = start("checkpoints", "pull", published)
    assert asked.wait(100)
    process.send_signal(signal.SIGINT)
    status, stdout, stderr = ended(process)
    over.set()
    assert (status, stdout, stderr) == (130, "", "Stopped as you asked.\n")
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_a_prior_of_the_hub_is_in_the_report(start, published, weights, tmp_path):
    photo, kernel, report = (tmp_path / name for name in ("photo.png", "k.npy", "r.json"))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(photo)
    settings = [part for setting in WALK for part in ("--set", setting)]
    arguments = ["kernel", photo, "-o", kernel, "--scale", 2, "--preset", "paper", "--report", report, "-q", *settings]
    assert ended(start(*arguments, "--prior", published)) == (0, f"{kernel}\n{report}\n", "")
    told = json.loads(report.read_text())
    assert told["settings"]["patches"]["prior"] == published
    assert told["patch_prior"].items() >= {"prior": published, "repo": REPO, "channels": 8}.items()
    assert published.endswith(told["patch_prior"]["revision"])
    assert told["patch_prior"]["sha256"] == hashlib.sha256(weights).hexdigest()
    status, _, stderr = ended(start(*arguments, "--force", "--prior", "anna/none"))
    assert status == 2 and stderr.startswith("error: There is no repository 'anna/none'") and "\nhint: " in stderr


# The same commands in this process


def test_list_shows_bundled_published_and_fetched(fake_hub, hub_constants, published, monkeypatch):
    monkeypatch.setattr(sources, "PUBLISHED_REPOSITORY", f"{REPO}@{'1' * 40}")
    assert in_process("pull", published).exit_code == 0
    fake_hub.requests.clear()
    lines = [line.split() for line in in_process("list").stdout.splitlines()]
    assert lines[0] == ["bundled", str(BUNDLED)]
    assert lines[1] == ["ffdnet", str(BUNDLED_FFDNET)]
    assert lines[2] == [f"{REPO}@{'1' * 40}", "not", "fetched", "yet"]
    assert lines[3][0] == published and lines[3][1].endswith(WEIGHTS) and len(lines) == 4
    monkeypatch.setattr(sources, "PUBLISHED_REPOSITORY", published)
    assert [line.split()[0] for line in in_process("list").stdout.splitlines()] == ["bundled", "ffdnet", published]
    assert fake_hub.requests == []


def test_pull_of_a_branch_says_what_to_pin(fake_hub, hub_constants, published):
    done = in_process("pull", REPO)
    assert done.exit_code == 0 and f"use {published}." in done.stderr and done.stdout.endswith(f"{WEIGHTS}\n")
    for nothing in (["bundled"], ["ffdnet"], ["auto"], ["./pd"], ["prior.safetensors"], []):
        assert isinstance(in_process("pull", *nothing).exception, BadInput)


def test_prior_stands_between_preset_and_set():
    def prior(preset, given, *overrides):
        return cli.make_settings(preset, 4, None, 0, "cpu", list(overrides), given).patches.prior

    assert prior("paper", None) == "none" and prior("fast", None) == "ffdnet"
    assert prior("paper", "a/b") == prior("fast", "a/b") == "a/b"
    assert prior("fast", "a/b", "patches.prior=none") == "none"
