"""What the command `kf` says when the engine fails, in a process of its own with an engine made to fail."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.arange(40 * 40, dtype=np.uint32).astype(np.uint8).reshape(40, 40)).save(path)
    return path


def run_with_engine(body, photo, **environment):
    """The command with an engine that does `body`."""
    code = f"import kf_core, kf_core.cli.main\ndef broken(*a, **k):\n    {body}\nkf_core.super_resolve = broken\n"
    code += f"import sys; sys.argv = ['kf', 'upscale', {str(photo)!r}]; kf_core.cli.main.main()"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=60
    )


def test_an_unexpected_failure_is_one_sentence(photo):
    done = run_with_engine("raise RuntimeError('the moon is\\nfull')", photo, KF_DEBUG="")
    assert done.returncode == 1 and done.stdout == ""
    assert "the moon is full" in done.stderr and "KF_DEBUG=1" in done.stderr and "Traceback" not in done.stderr
    done = run_with_engine("raise RuntimeError('the moon is full')", photo, KF_DEBUG="1")
    assert done.returncode == 1 and "Traceback" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "raise MemoryError()",
        "import torch; raise torch.OutOfMemoryError('CUDA out of memory')",
        "raise RuntimeError('DefaultCPUAllocator: can\\'t allocate memory: you tried to allocate 9e12 bytes')",
    ],
)
def test_lack_of_memory_is_one_sentence(photo, body):
    done = run_with_engine(body, photo)
    assert done.returncode == 1 and "memory" in done.stderr and "Traceback" not in done.stderr


def test_expected_failures_keep_their_words_and_status(photo):
    done = run_with_engine("raise kf_core.Diverged('It ran away.', 'Try another seed.')", photo)
    assert (done.returncode, done.stderr) == (
        1,
        "error: It ran away.\nhint: Try another seed. (options: --seed, --preset)\n",
    )
