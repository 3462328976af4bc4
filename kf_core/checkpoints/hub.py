"""Checkpoints on the Hugging Face Hub: found in its cache, pulled, checked, listed.

huggingface_hub itself reads HF_ENDPOINT, HF_HUB_OFFLINE, HF_HOME, HF_HUB_CACHE and HF_TOKEN. It retries for half a
minute and more when the Hub is silent; so one bounded question goes first, and only then is anything fetched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kf_core.checkpoints.file import CONFIG, MAX_BYTES, MAX_CONFIG_BYTES, WEIGHTS, read_checkpoint
from kf_core.errors import BadInput, BadPrior, KernelFusionError, Unavailable
from kf_core.progress import Monitor

ANSWER_SECONDS = 5  # for the Hub's first answer; HF_HUB_ETAG_TIMEOUT changes it
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class OnHub:
    """A checkpoint on the Hub: repository OWNER/NAME, a commit, branch or tag, and its hash where that is known."""

    repo: str
    revision: str = "main"
    sha256: str | None = None

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit in full, which never means anything else."""
        return bool(re.fullmatch("[0-9a-f]{40}", self.revision))

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}"


@dataclass(frozen=True)
class Cached:
    """A checkpoint in the cache of the Hub."""

    repo: str
    commit: str
    path: Path


def cached(wanted: OnHub) -> Cached | None:
    """What was pulled before, without any request."""
    from_cache = {"revision": wanted.revision, "local_files_only": True}
    hub = client()
    try:
        path = Path(hub.hf_hub_download(wanted.repo, WEIGHTS, **from_cache))
    except hub.errors.LocalEntryNotFoundError:
        return None
    except Exception as error:
        raise explained(error, wanted) from error
    return Cached(wanted.repo, path.parent.name, path)


def pull(wanted: OnHub, force: bool = False, monitor: Monitor | None = None) -> Cached:
    """Fetches a checkpoint into the cache and checks it.

    A pinned one that is there already is left as it is; of a branch the newest is fetched.

    Args:
        force: fetch it in any case.
        monitor: told of every chunk; ends the download when the user wants to stop.

    Raises BadInput, WrongHash, Unavailable, Cancelled; then nothing half-fetched is left in the cache.
    """
    monitor = monitor or Monitor()
    here = cached(wanted) if wanted.pinned and not force else None
    if here:
        return here
    hub = client()
    commit = None
    try:
        commit = _ask(hub, wanted, WEIGHTS, wanted.revision, MAX_BYTES, monitor)
        fetch = {
            "revision": commit,
            "etag_timeout": ANSWER_SECONDS,
            "force_download": force,
            "tqdm_class": _bar(monitor),
        }
        # By commit, so that the cache's branch moves only after all is there; the weights last, so that where
        # they are the hash is too.
        if _has_config(hub, wanted, commit, monitor):
            hub.hf_hub_download(wanted.repo, CONFIG, **fetch)
        path = Path(hub.hf_hub_download(wanted.repo, WEIGHTS, **fetch))
        try:
            read_checkpoint(path, wanted.sha256)
        except BadInput:
            discard(path)
            raise
        if commit != wanted.revision:
            _remember(path.parents[2] / "refs" / wanted.revision, commit)
    except BaseException as error:
        if commit:
            _sweep(_folder(hub, wanted.repo), commit)
        if isinstance(error, KernelFusionError) or not isinstance(error, Exception):
            raise
        raise explained(error, wanted) from error
    return Cached(wanted.repo, commit, path)


def all_cached() -> list[Cached]:
    """Every pulled checkpoint, of any repository, by name. What is not ours may be among them."""
    hub = client()
    found = sorted(Path(hub.constants.HF_HUB_CACHE).glob(f"models--*--*/snapshots/*/{WEIGHTS}"))
    return [Cached("/".join(path.parents[2].name.split("--")[1:]), path.parent.name, path) for path in found]


def discard(path: Path) -> None:
    """Removes a pulled checkpoint, what its name links to, and the config.json beside it, as far as it may."""
    for name in (path, path.with_name(CONFIG)):
        cache = name.parents[2]  # of this repository; its blobs may lie one level higher, shared with others
        with contextlib.suppress(OSError):
            blob = name.resolve()
            name.unlink()
            if cache.parent.resolve() in blob.parents:
                for link in (cache / "blobs").iterdir():
                    if link.resolve() == blob:
                        link.unlink()
                blob.unlink(missing_ok=True)
    _sweep(path.parents[2], path.parent.name)


def client() -> Any:
    """The module huggingface_hub, sending no telemetry. What it logs is for the running program to show."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when it is imported
    import huggingface_hub
    import huggingface_hub.constants
    import huggingface_hub.errors
    import huggingface_hub.utils

    return huggingface_hub


def _bar(monitor: Monitor) -> type:
    """The class of what the client takes for its progress bar: it draws nothing and tells the monitor."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **{**options, "disable": True})
            self.bytes, self.bytes_in_all = options.get("initial") or 0, options.get("total") or 0

        def update(self, n: float | None = 1) -> None:
            self.bytes += int(n or 0)
            done, total = -(-self.bytes // 1024), max(1, -(-self.bytes_in_all // 1024))
            monitor.step("fetch_prior", max(1, min(done, total)), total)

    return Bar


def within(seconds: float, call: Callable[[], Answer], monitor: Monitor) -> Answer:
    """What `call` returns or raises, TimeoutError after `seconds`, or Cancelled as soon as the user wants to stop.

    A timeout of sockets is not enough: it counts for each address of a host anew and not at all for its name.
    """
    outcome: queue.SimpleQueue = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:
            outcome.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        monitor.check()
        with contextlib.suppress(queue.Empty):
            answer, error = outcome.get(timeout=max(0.0, min(0.1, end - time.monotonic())))
            if error:
                raise error
            return answer
    raise TimeoutError(f"no answer within {seconds:g} seconds")


def explained(error: Exception, wanted: OnHub) -> KernelFusionError:
    """What went wrong at the Hub, as a sentence and a hint."""
    from huggingface_hub import constants, errors

    repo, status = wanted.repo, getattr(getattr(error, "response", None), "status_code", None)
    log_in = "Log in with `hf auth login`, or put a token that may read it into HF_TOKEN."
    if isinstance(error, errors.OfflineModeIsEnabled):
        hint = "Pull it once without HF_HUB_OFFLINE, or use 'bundled'."
        return Unavailable(f"'{wanted}' is not on this computer, and HF_HUB_OFFLINE forbids to fetch it.", hint)
    if isinstance(error, errors.GatedRepoError):
        return BadPrior(f"The repository '{repo}' is open only to whom its owner admits.", f"Ask there. {log_in}")
    if isinstance(error, errors.RepositoryNotFoundError):
        hint = f"Check the name. If it is private: {log_in[0].lower()}{log_in[1:]}"
        return BadPrior(f"There is no repository '{repo}' on the Hub, or it is private.", hint)
    if isinstance(error, errors.RevisionNotFoundError):
        return BadPrior(f"The repository '{repo}' has no revision '{wanted.revision}'.", "Look at its commits there.")
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
        return BadPrior(f"'{wanted}' holds no checkpoint: it has no file {WEIGHTS}.", "Check repository and revision.")
    if status in (401, 403):
        return BadPrior(f"The Hub refused access to '{repo}'.", log_in)
    if status:
        return Unavailable(f"The Hub answered with the error {status} when asked for '{wanted}'.", "Try again later.")
    if isinstance(error, errors.HFValidationError):
        return BadPrior(f"'{repo}' is not the name of a repository.", "It has the form OWNER/NAME.")
    cache, number = constants.HF_HUB_CACHE, getattr(error, "errno", None)
    elsewhere = "or let HF_HOME name another folder for the cache."
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return BadPrior(f"'{wanted}' could not be stored in '{cache}': the disk is full.", f"Make room, {elsewhere}")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return BadPrior(f"The cache '{cache}' may not be written to.", f"Change its permissions, {elsewhere}")
    if isinstance(error, errors.FileMetadataError):
        hint = "Check HF_ENDPOINT, and whether this network asks you to log in first."
        return Unavailable(f"What answers at {constants.ENDPOINT} is not a Hugging Face Hub.", hint)
    return Unavailable(
        f"'{wanted}' could not be fetched: {constants.ENDPOINT} cannot be reached, or the connection broke off.",
        "Check the network and try again, or use 'bundled'.",
    )


def _ask(hub: Any, wanted: OnHub, name: str, revision: str, limit: int, monitor: Monitor) -> str:
    """The commit that `revision` stands for. Raises what the Hub says, and BadInput if the file is too large."""
    asked = hub.constants.HF_HUB_ETAG_TIMEOUT
    seconds = ANSWER_SECONDS if asked == hub.constants.DEFAULT_ETAG_TIMEOUT else asked
    url = hub.hf_hub_url(wanted.repo, name, revision=revision)
    told = within(2 * seconds, lambda: hub.get_hf_file_metadata(url, timeout=seconds), monitor)
    commit = told.commit_hash or ""
    if not re.fullmatch("[0-9a-f]{40}", commit) or (wanted.pinned and commit != wanted.revision):
        raise hub.errors.FileMetadataError("no commit, or another one")
    if told.size is None or told.size > limit:
        size = "of unknown size" if told.size is None else f"{told.size / 2**20:.0f} MiB large"
        raise BadPrior(f"{name} of '{wanted}' is {size}; priors have at most {MAX_BYTES >> 20} MiB.", "Check its name.")
    return commit


def _has_config(hub: Any, wanted: OnHub, commit: str, monitor: Monitor) -> bool:
    try:
        return bool(_ask(hub, wanted, CONFIG, commit, MAX_CONFIG_BYTES, monitor))
    except hub.errors.EntryNotFoundError:
        return False


def _folder(hub: Any, repo: str) -> Path:
    """Where the cache keeps a repository, as documented for huggingface_hub."""
    return Path(hub.constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def _remember(ref: Path, commit: str) -> None:
    """That a branch or tag stands for `commit`, as huggingface_hub notes it; best effort."""
    with contextlib.suppress(OSError):
        ref.parent.mkdir(parents=True, exist_ok=True)
        temporary = ref.with_name(f"{ref.name}.{os.getpid()}.tmp")
        temporary.write_text(commit)
        os.replace(temporary, ref)


def _sweep(folder: Path, commit: str) -> None:
    """Takes away what a failed pull of `commit` left in a repository's folder of the cache."""
    snapshot = folder / "snapshots" / commit
    if (snapshot / WEIGHTS).exists() or any(folder.glob("blobs/*.incomplete")):
        return  # whole, or being fetched by somebody else just now
    with contextlib.suppress(OSError):
        blob = (snapshot / CONFIG).resolve()
        (snapshot / CONFIG).unlink()
        if not any(other.resolve() == blob for other in folder.glob(f"snapshots/*/{CONFIG}")):
            blob.unlink(missing_ok=True)
    for ref in [path for path in folder.glob("refs/**/*") if path.is_file()]:
        with contextlib.suppress(OSError):
            if ref.read_text().strip() == commit:
                ref.unlink()
    for empty in (snapshot, snapshot.parent, folder / "refs", folder / "blobs", folder):
        with contextlib.suppress(OSError):
            empty.rmdir()
