"""Priors from the Hub: the real client against a server on loopback, what goes wrong there, and what is left behind."""

import hashlib
import socket
import time

import pytest
import torch
from hub_server import OLD, REPO, folder, left_behind, use_hub

from kf_core.checkpoints import hub
from kf_core.checkpoints.file import WEIGHTS, WrongHash, save_prior
from kf_core.checkpoints.hub import OnHub
from kf_core.checkpoints.load import load_prior
from kf_core.denoisers.patch import PatchDiffusion
from kf_core.errors import BadInput, Cancelled, Unavailable
from kf_core.progress import Monitor

torch.set_num_threads(1)
CPU = torch.device("cpu")


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_pinned_prior_is_pulled_once_and_never_asked_for_again(fake_hub, hub_constants, weights):
    commit = fake_hub.publish(REPO, folder(weights))
    source = f"{REPO}@{commit}"
    network, about = load_prior(source, CPU)
    assert about["prior"] == source and (about["repo"], about["revision"]) == (REPO, commit)
    assert about["sha256"] == hashlib.sha256(weights).hexdigest() and about["channels"] == 8
    assert about["file"] == WEIGHTS and "note" not in about
    assert fake_hub.asked() and all("/resolve/" in path or "/cdn/" in path for path in fake_hub.asked())
    fake_hub.requests.clear()
    again, told = load_prior(source, CPU)
    assert fake_hub.requests == [] and told == about
    assert all(map(torch.equal, network.parameters(), again.parameters()))
    hub_constants.HF_HUB_OFFLINE = True
    assert load_prior(source, CPU)[1] == about and hub.pull(OnHub(REPO, commit)).parent.name == commit
    assert fake_hub.requests == []


def test_a_branch_is_reported_as_not_pinned_and_moves_only_when_pulled(fake_hub, hub_constants, weights, tmp_path):
    first = fake_hub.publish(REPO, folder(weights))
    about = load_prior(REPO, CPU)[1]
    assert about["revision"] == first and "'main' is not pinned" in about["note"]
    other = tmp_path / "other.safetensors"
    save_prior(PatchDiffusion(4), other, {})
    second = fake_hub.publish(REPO, folder(other.read_bytes()))
    fake_hub.requests.clear()
    assert load_prior(f"{REPO}@main", CPU)[1]["revision"] == first and fake_hub.requests == []
    assert hub.pull(OnHub(REPO)).parent.name == second
    assert load_prior(REPO, CPU)[1]["channels"] == 4
    assert sorted(hub.all_cached().values()) == sorted([f"{REPO}@{first}", f"{REPO}@{second}"])


def test_a_failed_look_at_a_branch_leaves_it_where_it_was(fake_hub, hub_constants, weights):
    first = fake_hub.publish(REPO, folder(weights))
    hub.pull(OnHub(REPO))
    fake_hub.publish(REPO, folder(weights[:-4] + b"abcd"))
    fake_hub.faults[REPO] = "other content"
    with pytest.raises(WrongHash):
        hub.pull(OnHub(REPO))
    assert load_prior(REPO, CPU)[1]["revision"] == first


FAULTS = [
    ("nobody/nothing", None, BadInput, "no repository 'nobody/nothing'"),
    (f"{REPO}@{OLD}", None, BadInput, "no revision"),
    (f"{REPO}@v9", None, BadInput, "no revision 'v9'"),
    ("anna/empty", None, BadInput, "holds no checkpoint"),
    (REPO, "gated", BadInput, "open only to"),
    (REPO, "private", BadInput, "or it is private"),
    (REPO, "forbidden", BadInput, "refused access"),
    (REPO, "credentials", BadInput, "refused access"),
    (REPO, "huge", BadInput, "MiB large"),
    (REPO, "no commit", Unavailable, "is not a Hugging Face Hub"),
    (REPO, 500, Unavailable, "error 500"),
    (REPO, 429, Unavailable, "error 429"),
]


@pytest.mark.parametrize(("source", "fault", "kind", "words"), FAULTS, ids=lambda value: str(value)[:20])
def test_what_the_hub_refuses_is_one_sentence(fake_hub, hub_constants, weights, tmp_path, source, fault, kind, words):
    fake_hub.publish(REPO, folder(weights))
    fake_hub.publish("anna/empty", {"README.md": b""})
    fake_hub.faults[REPO] = fault
    began = time.monotonic()
    with pytest.raises(kind, match=words) as caught:
        load_prior(source, CPU)
    assert caught.value.hint and time.monotonic() - began < 15
    assert left_behind(tmp_path) == []
    assert not any("/cdn/" in path for path in fake_hub.asked())


def test_a_wrong_hash_is_refused_and_mended_by_the_next_pull(fake_hub, hub_constants, weights, tmp_path):
    commit = fake_hub.publish(REPO, folder(weights))
    fake_hub.faults[REPO] = "other content"
    with pytest.raises(WrongHash, match="damaged"):
        load_prior(f"{REPO}@{commit}", CPU)
    assert left_behind(tmp_path) == []
    fake_hub.faults.clear()
    assert load_prior(f"{REPO}@{commit}", CPU)[1]["revision"] == commit


def test_a_file_that_was_damaged_in_the_cache_is_fetched_anew(fake_hub, hub_constants, weights):
    commit = fake_hub.publish(REPO, folder(weights))
    found = hub.pull(OnHub(REPO, commit))
    found.resolve().write_bytes(weights[:-8] + b"damaged!")
    with pytest.raises(WrongHash):
        load_prior(f"{REPO}@{commit}", CPU)
    assert not found.exists()
    assert load_prior(f"{REPO}@{commit}", CPU)[1]["sha256"] == hashlib.sha256(weights).hexdigest()


def test_a_damaged_file_goes_with_every_commit_that_has_it_and_others_stay(fake_hub, hub_constants, weights):
    fake_hub.publish("ben/pd", folder(weights))
    other = hub.pull(OnHub("ben/pd"))
    commits = [fake_hub.publish(REPO, folder(weights) | {"README.md": text}) for text in (b"one", b"two")]
    found = [hub.pull(OnHub(REPO, commit)) for commit in commits]
    found[0].resolve().write_bytes(b"nothing")
    with pytest.raises(WrongHash):
        load_prior(f"{REPO}@{commits[0]}", CPU)
    assert not any(path.exists() for path in found) and other.exists()
    assert load_prior(f"{REPO}@{commits[1]}", CPU)[1]["channels"] == 8


def test_where_the_cache_cannot_link_a_prior_is_checked_when_it_is_pulled(
    fake_hub, hub_constants, weights, tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.file_download.are_symlinks_supported", lambda *_: False)
    commit = fake_hub.publish(REPO, folder(weights))
    fake_hub.faults[REPO] = "other content"
    with pytest.raises(WrongHash):
        load_prior(f"{REPO}@{commit}", CPU)
    fake_hub.faults.clear()
    assert left_behind(tmp_path) == [] and load_prior(f"{REPO}@{commit}", CPU)[1]["revision"] == commit
    assert not hub.pull(OnHub(REPO, commit)).is_symlink()


def test_force_fetches_again(fake_hub, hub_constants, weights):
    commit = fake_hub.publish(REPO, folder(weights))
    found = hub.pull(OnHub(REPO, commit))
    found.resolve().write_bytes(b"nothing")
    assert hub.pull(OnHub(REPO, commit)).read_bytes() == b"nothing"
    assert hub.pull(OnHub(REPO, commit), force=True).read_bytes() == weights


@pytest.mark.parametrize("content", [b"PK\x03\x04 a pickle of torch", b"\x80\x04\x95 a pickle", b"", b"x" * 5000])
def test_no_pickle_and_no_rubbish_stays_in_the_cache(fake_hub, hub_constants, tmp_path, content):
    fake_hub.publish(REPO, folder(content))
    with pytest.raises(BadInput, match="pickle" if b"pickle" in content else "not a readable"):
        load_prior(REPO, CPU)
    assert left_behind(tmp_path) == []


def test_a_connection_that_breaks_off_leaves_nothing_behind(fake_hub, hub_constants, weights, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    commit = fake_hub.publish(REPO, folder(weights))
    fake_hub.dying = 100
    with pytest.raises(Unavailable, match="broke off"):
        load_prior(f"{REPO}@{commit}", CPU)
    assert fake_hub.dying < 100 and left_behind(tmp_path) == []
    fake_hub.dying = 1  # a short one mends itself
    assert load_prior(f"{REPO}@{commit}", CPU)[1]["revision"] == commit
    assert fake_hub.dying == 0


def test_a_hub_that_is_down_or_silent_is_told_soon(hub_constants, tmp_path, monkeypatch):
    use_hub(monkeypatch, hub_constants, closed_port())
    began = time.monotonic()
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        load_prior(f"{REPO}@{OLD}", CPU)
    assert caught.value.hint and time.monotonic() - began < 15
    monkeypatch.setattr(hub_constants, "HF_HUB_ETAG_TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_hub(monkeypatch, hub_constants, f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(Unavailable, match="cannot be reached"):
            load_prior(f"{REPO}@{OLD}", CPU)
        assert time.monotonic() - began < 15
    assert left_behind(tmp_path) == []


def test_offline_with_nothing_cached(fake_hub, hub_constants, weights, monkeypatch):
    fake_hub.publish(REPO, folder(weights))
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Unavailable, match="HF_HUB_OFFLINE") as caught:
        load_prior(REPO, CPU)
    assert caught.value.hint and fake_hub.requests == []


def test_a_download_is_told_and_can_be_cancelled(fake_hub, hub_constants, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(hub_constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    commit, reports = fake_hub.publish(REPO, folder(weights)), []
    monitor = Monitor(reports.append, should_stop=lambda: bool(reports))
    with pytest.raises(Cancelled):
        load_prior(f"{REPO}@{commit}", CPU, monitor)
    assert reports and {report.phase for report in reports} == {"fetch_prior"} and left_behind(tmp_path) == []
    load_prior(f"{REPO}@{commit}", CPU, Monitor(reports.append))
    assert reports[-1].step == reports[-1].total == len(weights) // 1024 + 1
