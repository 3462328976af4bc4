"""What goes to the Hub: the folder, its card, and that what was pushed can be pulled again."""

import hashlib
import json
import re

import pytest
import torch
from hub_server import HubServer

from kf_core import publish
from kf_core.checkpoints import CONFIG, FORMAT, WEIGHTS, load_prior, save_prior
from kf_core.errors import BadInput, Unavailable
from kf_core.model_card import NO_CREDITS, model_card
from kf_core.networks.patch_diffusion import PatchDiffusion

torch.set_num_threads(1)
REPO = "anna/pd"
TRAINING = {
    "recipe": {"steps": 5, "ema": 0.999},
    "diffusion": {"schedule": "linear"},
    "seed": 7,
    "trained_on": ["one.png", "two.png"],
    "held_out": ["three.png"],
    "loss_first": 0.51234,
    "loss_last": 0.123,
    "loss_held_out": 0.147,
    "seconds": 61.5,
    "machine": "a fast one",
    "command": "kf train-prior photos -o pd.safetensors --seed 7",
    "credits": [
        {"file": "one.png", "author": "Anna", "license": "CC0-1.0", "source": "https://a.example/1"},
        {"file": "two.png", "author": "B | <b>Ob</b>", "license": "CC-BY-4.0", "source": "x\ny"},
    ],
    "curve": [{"step": i, "loss": 1 / i, "held_out": None} for i in range(1, 101)],
    "errors": [{"t": 10, "prior": 0.01, "other": 0.02}, {"t": 100, "prior": 0.1, "blur": 0.3}],
}


@pytest.fixture
def checkpoint(tmp_path):
    save_prior(PatchDiffusion(4), tmp_path / "mine.safetensors", TRAINING)
    return tmp_path / "mine.safetensors"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def card(training):
    return model_card(WEIGHTS, REPO, "cc0-1.0", "abc", {"channels": 4}, training)


def test_the_folder_holds_the_very_bytes_and_their_hash(checkpoint, folder):
    prepared = publish.prepare(checkpoint, folder, REPO, "apache-2.0")
    assert sorted(path.name for path in folder.iterdir()) == sorted([WEIGHTS, CONFIG, "README.md"])
    assert (folder / WEIGHTS).read_bytes() == checkpoint.read_bytes()
    about = json.loads((folder / CONFIG).read_text())
    assert about["format"] == FORMAT and about["architecture"]["channels"] == 4
    assert about["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert about["training"]["seed"] == 7 and not {"curve", "credits"} & about["training"].keys()
    for name, size, digest in prepared.files:
        content = (folder / name).read_bytes()
        assert (size, digest) == (len(content), hashlib.sha256(content).hexdigest())
    assert prepared.warnings == []
    assert load_prior(str(folder), torch.device("cpu"))[1]["sha256"] == about["sha256"]


def test_the_card_tells_all_there_is():
    text = card(TRAINING)
    front = text.split("---\n")[1]
    assert "license: cc0-1.0\nlibrary_name: kernelfusion\npipeline_tag: image-to-image\ntags:\n- " in front
    for told in ("abc", "0.5123", "0.147", "a fast one", TRAINING["command"], "| seed | 7 |", "| recipe.steps | 5 |"):
        assert told in text
    assert "| one.png | Anna | CC0-1.0 | https://a.example/1 |" in text and "three.png" in text
    assert "| two.png | B \\| &lt;b&gt;Ob&lt;/b&gt; | CC-BY-4.0 | x y |" in text
    assert "| t | prior | other | blur |" in text and "- blur: " in text and "- mean: " not in text
    assert "| 100 | 0.1 |  | 0.3 |" in text
    rows = [int(step) for step in re.findall(r"^\| (\d+) \| [\d.]+ \|  \|$", text, re.M)]
    assert 5 <= len(rows) <= 12 and rows[-1] == 100 and rows == sorted(rows)
    assert NO_CREDITS not in text and "must be added" not in text


@pytest.mark.parametrize("missing", TRAINING)
def test_the_card_does_without_any_one_of_them(missing):
    text = card({key: value for key, value in TRAINING.items() if key != missing})
    assert text.startswith("---\n") and (missing != "credits" or NO_CREDITS in text)


@pytest.mark.parametrize("value", [None, "text", 3, [], {}, [1, None], [{}], [[]]], ids=str)
def test_the_card_survives_whatever_a_checkpoint_says(value):
    assert NO_CREDITS in card({}) and card(dict.fromkeys(TRAINING, value)).startswith("---\n")


def test_missing_credits_are_warned_of(tmp_path, folder):
    path = tmp_path / "x.safetensors"
    some, unknown = TRAINING["credits"][:1], [TRAINING["credits"][0], {"file": "two.png", "license": "unknown"}]
    lacking = "1 of the photographs"
    for credits, words in ((None, "names no authors"), (some, lacking), (unknown, lacking)):
        save_prior(PatchDiffusion(4), path, {**TRAINING, "credits": credits})
        (warning,) = publish.prepare(path, folder, REPO, "apache-2.0").warnings
        assert words in warning
        assert "must" in (folder / "README.md").read_text() and "two.png" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("repo", "licence"), [("pd", "mit"), ("a/b@main", "mit"), ("a/../b", "mit"), (REPO, "MIT\nx: y"), (REPO, "")]
)
def test_names_that_cannot_be(checkpoint, folder, repo, licence):
    with pytest.raises(BadInput):
        publish.prepare(checkpoint, folder, repo, licence)
    assert list(folder.iterdir()) == []


def test_only_a_prior_is_published(tmp_path, folder):
    (tmp_path / "x.safetensors").write_bytes(b"something else")
    with pytest.raises(BadInput):
        publish.prepare(tmp_path / "x.safetensors", folder, REPO, "mit")
    assert list(folder.iterdir()) == []


def test_what_was_pushed_can_be_pulled(checkpoint, folder, fake_hub, hub_constants, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", fake_hub.token)
    prepared = publish.prepare(checkpoint, folder, REPO, "apache-2.0")
    assert fake_hub.requests == []
    commit = publish.push(prepared, REPO, private=True)
    assert len(fake_hub.commits) == 1 and "private" in json.dumps(fake_hub.created[0])
    assert fake_hub.revisions[REPO][commit] == {name: (folder / name).read_bytes() for name, _, _ in prepared.files}
    about = load_prior(f"{REPO}@{commit}", torch.device("cpu"))[1]
    assert about["sha256"] == prepared.files[0][2] and about["revision"] == commit


def test_what_the_hub_does_not_take(checkpoint, folder, fake_hub, hub_constants, monkeypatch):
    prepared = publish.prepare(checkpoint, folder, REPO, "apache-2.0")
    with pytest.raises(BadInput, match="Without a token"):
        publish.push(prepared, REPO)
    assert fake_hub.requests == []
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(BadInput, match="does not let you write"):
        publish.push(prepared, REPO)
    with HubServer() as gone:
        pass
    monkeypatch.setattr(hub_constants, "ENDPOINT", gone.url)
    with pytest.raises(Unavailable, match="cannot be reached"):
        publish.push(prepared, REPO)
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match="HF_HUB_OFFLINE"):
        publish.push(prepared, REPO)
    assert fake_hub.commits == []
