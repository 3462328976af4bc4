"""Checkpoints on the Hugging Face Hub: found in its cache, pulled and checked. All by the library huggingface_hub.

It reads HF_ENDPOINT, HF_HUB_OFFLINE, HF_HOME, HF_HUB_CACHE, HF_HUB_ETAG_TIMEOUT and HF_TOKEN.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kf_core.checkpoints.file import MAX_BYTES, WEIGHTS, read_checkpoint
from kf_core.errors import DISK_FULL, BadInput, BadPrior, KernelFusionError, Unavailable, reason
from kf_core.progress import Monitor


@dataclass(frozen=True)
class OnHub:
    """A file on the Hub: repository OWNER/NAME, a commit, branch or tag, and the file's name there."""

    repo: str
    revision: str = "main"
    file: str = WEIGHTS

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit in full, which never means anything else."""
        return bool(re.fullmatch("[0-9a-f]{40}", self.revision))

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}"


def cached(wanted: OnHub) -> Path | None:
    """The file as it was pulled before, without any request; its folder has the name of its commit."""
    path = client().try_to_load_from_cache(wanted.repo, wanted.file, revision=wanted.revision)
    return Path(path) if isinstance(path, str) else None


def pull(wanted: OnHub, force: bool = False, monitor: Monitor | None = None) -> Path:
    """Fetches a checkpoint into the cache and checks it; what does not pass is discarded.

    A pinned one that is there already is left as it is, unless `force`; of a branch the newest is fetched.

    Raises BadPrior, WrongHash, Unavailable, and Cancelled when `monitor`, told of every chunk, wants to stop.
    """
    if wanted.pinned and not force and (path := cached(wanted)):
        return path
    hub, monitor = client(), monitor or Monitor()
    try:
        commit, sha256 = _ask(hub, wanted)
        options = {"force_download": force, "tqdm_class": _bar(monitor)}
        path = Path(hub.hf_hub_download(wanted.repo, wanted.file, revision=commit, **options))
        try:
            read_checkpoint(path, sha256)
        except BadInput:
            discard(path)
            raise
        monitor.check()
        if not wanted.pinned:  # only now does the branch move in the cache: what it stood for before may be better
            hub.hf_hub_download(wanted.repo, wanted.file, revision=wanted.revision)
    except KernelFusionError:
        raise
    except Exception as error:
        raise explained(error, wanted) from error
    return path


def announced_hash(path: Path) -> str | None:
    """The sha256 the Hub stated, by which the cache stores a large file and links to it; None where it cannot link."""
    return _sha256(os.path.basename(os.readlink(path))) if path.is_symlink() else None


def all_cached() -> dict[Path, str]:
    """Every file of a model in the cache of the Hub, and the OWNER/NAME@COMMIT it belongs to."""
    hub = client()
    try:
        repos = hub.scan_cache_dir(hub.constants.HF_HUB_CACHE).repos
    except hub.errors.CacheNotFound:
        return {}
    revisions = [(repo.repo_id, revision) for repo in repos if repo.repo_type == "model" for revision in repo.revisions]
    return {file.file_path: f"{repo}@{each.commit_hash}" for repo, each in revisions for file in each.files}


def discard(path: Path) -> None:
    """Removes a file from the cache, with every commit that has it."""
    hub, stored = client(), path.resolve()
    commits = {source.rpartition("@")[2] for other, source in all_cached().items() if other.resolve() == stored}
    hub.scan_cache_dir(hub.constants.HF_HUB_CACHE).delete_revisions(*commits).execute()


def client() -> Any:
    """The module huggingface_hub, sending no telemetry. What it logs is for the running program to show."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when it is imported
    import huggingface_hub.constants
    import huggingface_hub.errors

    return huggingface_hub


def explained(error: Exception, wanted: OnHub) -> KernelFusionError:
    """What went wrong at the Hub, as a sentence and a hint."""
    from huggingface_hub import constants, errors

    repo, hub = wanted.repo, constants.ENDPOINT
    status = getattr(getattr(error, "response", None), "status_code", None)
    log_in = "log in with `hf auth login`, or put a token that may read it into HF_TOKEN."
    if isinstance(error, errors.OfflineModeIsEnabled):
        message = f"'{wanted}' is not on this computer, and HF_HUB_OFFLINE forbids to fetch it."
        return Unavailable(message, "Pull it once without HF_HUB_OFFLINE, or use 'bundled'.")
    if isinstance(error, errors.RepositoryNotFoundError) and not isinstance(error, errors.GatedRepoError):
        message = f"There is no repository '{repo}' on the Hub, or it is private."
        return BadPrior(message, f"Check the name. If it is private: {log_in}")
    if isinstance(error, errors.RevisionNotFoundError):
        return BadPrior(f"The repository '{repo}' has no revision '{wanted.revision}'.", "Look at its commits there.")
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return BadPrior(f"'{wanted}' holds no checkpoint: it has no file {wanted.file}.", "Check its name.")
    if status in (401, 403):
        message = f"The Hub refused access to '{repo}': it may be open only to whom its owner admits."
        return BadPrior(message, f"Ask for access there, then {log_in}")
    if status:
        return Unavailable(f"The Hub answered with the error {status} when asked for '{wanted}'.", "Try again later.")
    if isinstance(error, OSError) and error.errno:
        why = "the disk is full" if error.errno in (*DISK_FULL, errno.EFBIG) else reason(error)
        message = f"'{wanted}' could not be stored in '{constants.HF_HUB_CACHE}': {why}."
        return BadPrior(message, "Make room, check its permissions, or let HF_HOME name another folder for the cache.")
    if isinstance(error, errors.FileMetadataError):
        hint = "Check HF_ENDPOINT, and whether this network asks you to log in first."
        return Unavailable(f"What answers at {hub} is not a Hugging Face Hub.", hint)
    message = f"'{wanted}' could not be fetched: {hub} cannot be reached, or the connection broke off."
    return Unavailable(message, "Check the network and try again, or use 'bundled'.")


def _sha256(etag: str | None) -> str | None:
    """What the Hub names a file by, if that is its sha256: a small one has another kind of hash."""
    return etag if etag and re.fullmatch("[0-9a-f]{64}", etag) else None


def _ask(hub: Any, wanted: OnHub) -> tuple[str, str | None]:
    """The commit that the revision stands for, and the file's sha256. Raises what the Hub says; BadPrior if too large.

    The Hub is asked once, where the library's download would try again for minutes if it is silent.
    """
    url = hub.hf_hub_url(wanted.repo, wanted.file, revision=wanted.revision)
    told = hub.get_hf_file_metadata(url, timeout=hub.constants.HF_HUB_ETAG_TIMEOUT)
    commit, size = told.commit_hash or "", told.size
    if not re.fullmatch("[0-9a-f]{40}", commit) or size is None or (wanted.pinned and commit != wanted.revision):
        raise hub.errors.FileMetadataError("no commit or another one, or no size")
    if size > MAX_BYTES:
        message = f"{wanted.file} of '{wanted}' is {size >> 20} MiB large; priors have at most {MAX_BYTES >> 20} MiB."
        raise BadPrior(message, "Check its name.")
    return commit, _sha256(told.etag)


def _bar(monitor: Monitor) -> type:
    """The class of what the library takes for its progress bar: it draws nothing and tells the monitor."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            done, total = int(self.n) // 1024 + 1, int(self.total or 0) // 1024 + 1
            monitor.step("fetch_prior", min(done, total), total)

    return Bar
