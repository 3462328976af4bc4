"""The folder that is pushed to a Hugging Face Space must run by itself, and say what the Space needs."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import gradio_client
import numpy as np
import pytest
from tiny import TINY

import kf_core
from web_demo.space.check import check

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("space") / "folder"
    subprocess.run([sys.executable, "web_demo/space", made], cwd=ROOT, check=True)
    return made


def front_matter(folder):
    _, matter, text = (folder / "README.md").read_text().split("---\n", 2)
    values = dict(line.split(": ", 1) for line in matter.splitlines() if re.match(r"[a-z_]+: ", line))
    return {key: value.strip('"') for key, value in values.items()}, text


def test_the_front_matter_says_what_a_space_needs(folder):
    values, text = front_matter(folder)
    assert values["sdk"] == "gradio" and values["app_file"] == "app.py" and (folder / "app.py").exists()
    assert values["python_version"] == "3.12" and values["license"] == "apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+", values["sdk_version"])  # exact
    low, high = re.search(r'"gradio\[mcp\]>=([\d.]+),<(\d+)"', (ROOT / "pyproject.toml").read_text()).groups()
    version = [int(part) for part in values["sdk_version"].split(".")]
    assert [int(part) for part in low.split(".")] <= version < [int(high)]
    assert len(values["short_description"]) <= 60 and "# KernelFusion" in text
    assert not (ROOT / "README.md").read_text().startswith("---")  # the project's own stays clean


def test_a_published_checkpoint_is_fetched_when_the_space_is_built(folder, tmp_path):
    assert "preload" not in (folder / "README.md").read_text()
    environment = {**os.environ, "KF_CHECKPOINTS": f"anna/pd@{'a' * 40}"}
    subprocess.run([sys.executable, "web_demo/space", tmp_path / "folder"], cwd=ROOT, check=True, env=environment)
    matter = (tmp_path / "folder" / "README.md").read_text().split("---\n")[1]
    assert f"\npreload_from_hub:\n  - anna/pd pd.safetensors {'a' * 40}\n" in matter
    assert "\nmodels:\n  - anna/pd\n" in matter and front_matter(tmp_path / "folder")[0]["sdk"] == "gradio"


CHANGES = [
    ("colorFrom: gray", "colorFrom: orange", "none of red"),
    ("sdk_version: 6.31.0", "sdk_version: 6.x", "one exact version"),
    ("suggested_hardware: zero-a10g", "suggested_hardware: h100", "no hardware of the Hub"),
    ('python_version: "3.12"', 'python_version: "3.11"', "ZeroGPU has Python"),
    ("license: apache-2.0", "licence: apache-2.0", "'licence' is not a key of a Space; 'license' is missing"),
    ("short_description: ", "short_description: Now with so many more words than fit, ", "longer than 60"),
]


@pytest.mark.parametrize(("old", "new", "words"), CHANGES, ids=[new for _, new, _ in CHANGES])
def test_what_the_hub_would_refuse_is_found_before_it_is_pushed(folder, old, new, words):
    readme, wanted = (folder / "README.md").read_text(), (folder / "requirements.txt").read_text()
    check(readme, wanted)
    assert old in readme
    with pytest.raises(ValueError, match=words):
        check(readme.replace(old, new), wanted)


@pytest.mark.parametrize("torch", ["torch>=2.6,<2.12", "torch>=2.8,<3", "torch>=2.13,<2.14", "torch"])
def test_only_torch_as_zero_gpu_has_it_is_asked_for(folder, torch):
    readme, wanted = (folder / "README.md").read_text(), (folder / "requirements.txt").read_text()
    with pytest.raises(ValueError, match="torch"):
        check(readme, wanted.replace("torch>=2.8,<2.12", torch))
    with pytest.raises(ValueError, match="comes with sdk_version"):
        check(readme, wanted + "gradio==6.31.0\n")


def test_the_requirements_are_the_engine_s_with_the_space_s_torch(folder):
    wanted = (folder / "requirements.txt").read_text()
    assert "torch>=2.8,<2.12" in wanted and "gradio" not in re.sub("#.*", "", wanted)
    project = (ROOT / "pyproject.toml").read_text().split("dependencies = [", 1)[1].split("]", 1)[0]
    for name in re.findall(r'"([A-Za-z0-9-]+)', project):
        assert re.search(rf"^{name}\b", wanted, re.MULTILINE), f"{name} is missing"


def test_the_folder_holds_nothing_it_does_not_need(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pyc", ".pyi") or "test" in path.name]
    assert sum(path.stat().st_size for path in files) < 20 * 2**20
    assert (folder / "kf_core" / "weights" / "pd-small.safetensors").exists()


def test_an_older_folder_is_replaced_and_a_strange_one_is_not(folder, tmp_path):
    (folder / "stale.txt").write_text("x")
    subprocess.run([sys.executable, "web_demo/space", folder], cwd=ROOT, check=True)
    assert not (folder / "stale.txt").exists()
    (tmp_path / "mine.txt").write_text("x")
    refused = subprocess.run([sys.executable, "web_demo/space", tmp_path], cwd=ROOT, capture_output=True)
    assert refused.returncode and (tmp_path / "mine.txt").exists()


def test_it_starts_from_the_folder_alone_and_serves(folder, photo, tmp_path):
    python = os.environ.get("KF_SPACE_PYTHON", sys.executable)  # make space-smoke: Python 3.12 and the Space's packages
    environment = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "KERNELFUSION_WEB_SET": ";".join((*TINY, "finish.steps=2")),
        "SPACE_ID": "someone/kernelfusion",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_TEMP_DIR": str(tmp_path / "served"),
        "PYTHONUNBUFFERED": "1",
    }
    where = "import kf_core, web_demo; print(kf_core.__file__, web_demo.__file__)"
    found = subprocess.run(
        [python, "-c", where], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert all(str(folder) in name for name in found.stdout.split())
    log = tmp_path / "log"
    with open(log, "w") as output:
        process = subprocess.Popen(
            [python, "app.py"], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + 120
        while not (ready := re.search(r"unning on.*(http://\S+)", log.read_text())):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        client = gradio_client.Client(ready[1], verbose=False, download_files=tmp_path / "downloads")
        sent = gradio_client.handle_file(str(photo()))
        outputs = client.predict(photo=sent, scale=2, api_name="/super_resolve")
        assert kf_core.read_picture(outputs[0]).pixels.shape == (80, 96, 3)
        assert np.load(outputs[1]).shape == (12, 12)
        sent = gradio_client.handle_file(str(photo("large.png", size=(200, 200))))
        assert "takes up to 160 x 160" in client.predict(photo=sent, api_name="/look")[1]
    finally:
        process.terminate()
        process.wait(30)


def test_a_lent_gpu_is_asked_for_by_the_size_of_the_photo(monkeypatch, tmp_path):
    (tmp_path / "spaces.py").write_text(
        "asked = []\n"
        "def GPU(duration):\n"
        "    def wrap(run):\n"
        "        def wrapped(job):\n"
        "            asked.append(duration(job))\n"
        "            yield from run(job)\n"
        "        return wrapped\n"
        "    return wrap\n"
    )
    from web_demo import runner

    assert runner.engine() is runner.frames  # no such Space: no wrapper
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    settings = kf_core.Settings.preset("fast", scale=2, device="cpu").with_overrides([*TINY, "finish.steps=2"])
    job = runner.Job(np.zeros((48, 40), np.uint8) + np.arange(40, dtype=np.uint8), settings, seconds=50)
    last = list(runner.engine()(job))[-1]
    import spaces

    assert last.result.image.shape == (96, 80) and spaces.asked == [runner.seconds_needed(job)]
