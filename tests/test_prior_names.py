"""What the name of a prior means: "auto", a repository on the Hub, or a path."""

import pytest
import torch
from hub_server import OLD, REPO, folder, left_behind

from kf_core.checkpoints import sources
from kf_core.checkpoints.load import load_prior
from kf_core.errors import BadInput, Cancelled, KernelFusionError
from kf_core.progress import Monitor

torch.set_num_threads(1)
CPU = torch.device("cpu")


# "auto" and the published repository


def test_auto_without_anything_published_is_the_bundled_prior(hub_constants, fake_hub):
    about = load_prior("auto", CPU)[1]
    assert about["prior"] == "auto" and about["file"] == "pd-small.safetensors" and "bundled" in about["note"]
    assert fake_hub.requests == [] and "note" not in load_prior("bundled", CPU)[1]


def test_auto_takes_the_published_one(fake_hub, hub_constants, weights, monkeypatch):
    commit = fake_hub.publish(REPO, folder(weights))
    monkeypatch.setattr(sources, "PUBLISHED_REPOSITORY", "nobody/nothing@" + OLD)
    monkeypatch.setenv(sources.VARIABLE, f"{REPO}@{commit}")
    about = load_prior("auto", CPU)[1]
    assert (about["prior"], about["repo"], about["revision"]) == ("auto", REPO, commit) and "note" not in about
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    assert load_prior("auto", CPU)[1]["repo"] == REPO
    monkeypatch.setenv(sources.VARIABLE, "")
    assert "published yet" in load_prior("auto", CPU)[1]["note"]


@pytest.mark.parametrize(
    ("published", "fault", "words"),
    [
        (REPO, "other content", "damaged"),
        (REPO, 503, "error 503"),
        ("nobody/nothing", None, "no repository"),
        ("nonsense", None, "no prior"),
    ],
)
def test_auto_falls_back_where_a_named_prior_does_not(
    fake_hub, hub_constants, weights, tmp_path, monkeypatch, published, fault, words
):
    fake_hub.publish(REPO, folder(weights))
    fake_hub.faults[REPO] = fault
    monkeypatch.setattr(sources, "PUBLISHED_REPOSITORY", published)
    with pytest.raises(KernelFusionError):
        load_prior(published, CPU)
    about = load_prior("auto", CPU)[1]
    assert about["file"] == "pd-small.safetensors" and words in about["note"] and "repo" not in about
    assert left_behind(tmp_path) == []


def test_auto_stops_when_the_user_wants_to(fake_hub, hub_constants, weights, monkeypatch):
    monkeypatch.setattr(sources, "PUBLISHED_REPOSITORY", f"{REPO}@{fake_hub.publish(REPO, folder(weights))}")
    with pytest.raises(Cancelled):
        load_prior("auto", CPU, Monitor(should_stop=lambda: True))


# What a name means


@pytest.mark.parametrize(
    ("source", "repo", "revision"),
    [
        ("anna/pd", "anna/pd", "main"),
        ("anna/pd@v1.0", "anna/pd", "v1.0"),
        ("anna/pd@refs/pr/1", "anna/pd", "refs/pr/1"),
        (f"anna/pd@{'A' * 40}", "anna/pd", "a" * 40),
    ],
)
def test_names_on_the_hub(source, repo, revision):
    wanted = sources.on_hub(source)
    assert (wanted.repo, wanted.revision, wanted.pinned) == (repo, revision, revision == "a" * 40)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "pd",
        "a/b/c",
        "a/b@",
        "a/b@../../x",
        "../b@main",
        "a/..",
        "a b/c",
        "a/b@x y",
        "http://x/y",
        "a/b@é",
        "a/b.",
        "a-/b",
        "a/" + "b" * 97,
    ],
)
def test_names_that_mean_nothing(source, hub_constants, fake_hub):
    with pytest.raises(BadInput) as caught:
        load_prior(source, CPU)
    assert caught.value.hint and fake_hub.requests == []


@pytest.mark.parametrize("source", ["./anna/pd", "~/pd", "anna/pd.safetensors", "C:/pd", "anna\\pd", "anna/pd.ckpt"])
def test_what_can_only_be_a_path_is_never_looked_up(source, hub_constants, fake_hub):
    with pytest.raises(BadInput, match="no prior checkpoint at"):
        load_prior(source, CPU)
    assert fake_hub.requests == []


def test_an_existing_path_wins(fake_hub, hub_constants, weights, tmp_path, monkeypatch):
    (tmp_path / "anna").mkdir()
    (tmp_path / REPO).write_bytes(weights)
    monkeypatch.chdir(tmp_path)
    about = load_prior(REPO, CPU)[1]
    assert about["file"] == "pd" and "repo" not in about and fake_hub.requests == []
