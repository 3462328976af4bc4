"""What several test files need: the Hub in miniature, and huggingface_hub pointed at it."""

import pytest
from hub_server import HubServer, use_hub


@pytest.fixture
def fake_hub():
    with HubServer() as running:
        yield running


@pytest.fixture
def hub_constants(fake_hub, tmp_path, monkeypatch):
    """huggingface_hub as if it had been imported with HF_ENDPOINT and HF_HOME set."""
    from kf_core.checkpoints import hub

    constants = hub.client().constants
    from huggingface_hub.utils import close_session

    use_hub(monkeypatch, constants, fake_hub.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    for name in (
        "KF_CHECKPOINTS",
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    close_session()
    return constants


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small prior, as the bytes of its file."""
    from kf_core.checkpoints.file import save_prior
    from kf_core.denoisers.patch import PatchDiffusion

    path = tmp_path_factory.mktemp("prior") / "a.safetensors"
    save_prior(PatchDiffusion(8), path, {"seed": 3})
    return path.read_bytes()


@pytest.fixture
def kf(capsys, monkeypatch):
    """`kf ...` in this process, around an engine that enlarges plainly."""
    from in_process import Kf

    return Kf(capsys, monkeypatch)
