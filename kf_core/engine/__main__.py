"""The supervisor: what a host starts and talks to. It imports nothing that loads torch, which takes seconds."""

from __future__ import annotations

import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import kf_core
from kf_core.engine import PROTOCOL
from kf_core.engine.places import default_log, job_directory

SECONDS_TO_CANCEL = 1.5  # after that a worker inside a long step is killed
LONGEST_LINE = 1 << 20
# What a host set for itself and would break another Python, or another GTK than the host's.
SCRUBBED = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH"),
    *("GI_TYPELIB_PATH", "GEGL_PATH", "BABL_PATH"),
)


class Supervisor:
    """Passes messages between host and worker, and sees to it that the worker ends when it should."""

    def __init__(self, directory: Path, log: Path, out: Any) -> None:
        self._directory, self._log, self._out = directory, log, out
        self._worker: subprocess.Popen[bytes] | None = None
        self._job: tuple[Any, bool] | None = None  # id of the job under way, and whether it is the fast preset's
        self._pending: collections.deque[tuple[str, Any]] = collections.deque()  # (kind, id) the worker has to answer
        self._cancelled = False
        self._guard = threading.RLock()

    def say(self, kind: str, **content: Any) -> None:
        with self._guard:
            try:
                self._out.write(json.dumps({"type": kind, **content}).encode() + b"\n")
                self._out.flush()
            except OSError:
                pass  # the host is gone; its end of stdin is about to say so too

    def serve(self) -> None:
        """Answers the host until it says "quit" or closes the pipe."""
        self.say(
            "hello",
            protocol=PROTOCOL,
            engine=kf_core.__version__,
            pid=os.getpid(),
            directory=str(self._directory),
            log=str(self._log),
        )
        while line := sys.stdin.buffer.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                while (rest := sys.stdin.buffer.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
                told = f"That line is longer than {LONGEST_LINE >> 20} MiB."
                self._refuse(None, "bad_message", told, "Pass pixels in files, not in messages.")
                continue
            try:
                message = json.loads(line)
                kind = message["type"]
            except (ValueError, TypeError, KeyError, RecursionError):
                self._refuse(
                    None, "bad_message", "That was not a message of this protocol.", "Send one JSON object a line."
                )
                continue
            if kind == "quit":
                return
            if kind == "cancel":
                self._cancel()
            elif kind in ("job", "estimate"):
                self._start(kind, message)
            else:
                hint = "Send job, estimate, cancel or quit."
                self._refuse(message.get("id"), "bad_message", f"There is no message '{kind}'.", hint)

    def end_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            kill(worker)
            worker.wait()

    def _refuse(self, job: Any, code: str, message: str, hint: str) -> None:
        self.say("error", id=job, code=code, message=message, hint=hint)

    def _start(self, kind: str, message: dict[str, Any]) -> None:
        job = message.get("id")
        if message.get("protocol") != PROTOCOL:
            told = f"The host speaks version {message.get('protocol')} of the engine protocol, this engine {PROTOCOL}."
            self._refuse(job, "wrong_version", told, "Install engine and plug-in of the same version.")
            return
        with self._guard:
            if self._job is not None:
                self._refuse(job, "busy", "Another job is under way.", "Wait for its end, or cancel it.")
                return
            if kind == "job":
                settings = message.get("settings") or {}
                fast = isinstance(settings, dict) and settings.get("preset", "fast") == "fast"
                self._job, self._cancelled = (job, fast), False
            self._pending.append((kind, job))
            if self._worker is None:
                self._worker = start_worker(self._directory)
                threading.Thread(target=self._forward, args=(self._worker,), daemon=True).start()
            self._tell_worker(message)

    def _tell_worker(self, message: dict[str, Any]) -> None:
        assert self._worker is not None and self._worker.stdin is not None
        try:
            self._worker.stdin.write(json.dumps(message).encode() + b"\n")
            self._worker.stdin.flush()
        except OSError:
            pass  # it died; _forward tells the host

    def _cancel(self) -> None:
        with self._guard:
            if self._job is None or self._worker is None:
                return
            self._cancelled = True
            self._tell_worker({"type": "cancel"})
            timer = threading.Timer(SECONDS_TO_CANCEL, self._kill_if_running, (self._worker, self._job))
            timer.daemon = True
            timer.start()

    def _kill_if_running(self, worker: subprocess.Popen[bytes], job: Any) -> None:
        with self._guard:
            if self._job is job:
                kill(worker)

    def _forward(self, worker: subprocess.Popen[bytes]) -> None:
        """Passes on what the worker says, until it ends; if that was in the middle of a job, says so."""
        assert worker.stdout is not None
        for line in worker.stdout:
            with self._guard:
                # The worker answers in the order of the questions: this ends the oldest of them.
                if json.loads(line)["type"] in ("result", "estimate", "error") and self._pending.popleft()[0] == "job":
                    self._job = None
                try:
                    self._out.write(line)
                    self._out.flush()
                except OSError:
                    pass
        status = worker.wait()
        with self._guard:
            job, self._job = self._job, None
            if self._worker is worker:
                self._worker = None
            for kind, asked in self._pending:
                if kind == "estimate":
                    self._refuse(asked, "engine_died", "The engine ended before it could tell.", "Ask it again.")
            self._pending.clear()
            if job is None:
                return
            if self._cancelled:
                self._refuse(job[0], "cancelled", "Stopped as you asked; nothing was written.", "")
            elif status == -getattr(signal, "SIGKILL", 9):
                told = "The engine was killed while it computed, most likely because the memory ran out."
                hint = "Use a smaller part of the photo" + ("." if job[1] else ", or the 'fast' preset.")
                self._refuse(job[0], "engine_died", told, hint)
            else:
                told = f"The engine ended while it computed (status {status})."
                self._refuse(job[0], "engine_died", told, "Please report it together with the log.")


def start_worker(directory: Path) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in SCRUBBED}
    # Threads of torch that wait then sleep: on a busy machine they would slow each other down many times over.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NO_WINDOW}
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "kf_core.engine.worker", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        **options,
    )


def kill(worker: subprocess.Popen[bytes]) -> None:
    """Ends the worker and whatever it started, at once: the device is free when this process is gone."""
    try:
        if sys.platform == "win32":
            worker.kill()
        else:
            os.killpg(worker.pid, signal.SIGKILL)
    except (OSError, ProcessLookupError):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m kf_core.engine", description="Speaks JSON lines; see the docs.")
    parser.add_argument("--log", type=Path, help="where to write the log; default: a new file in the cache folder")
    asked = parser.parse_args().log
    # Nothing but messages may reach stdout: it moves to a descriptor of its own, and 1 and 2 become the log.
    out = os.fdopen(os.dup(1), "wb")
    try:
        log = asked or default_log()
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        serve(out, log)
    except OSError as error:
        from kf_core.engine.worker import disk_trouble

        trouble = disk_trouble(error, Path(tempfile.gettempdir()))
        out.write(json.dumps({"type": "error", "id": None, "code": "cannot_write", **trouble}).encode() + b"\n")
        out.flush()
        sys.exit(1)


def serve(out: Any, log: Path) -> None:
    """From the hello to the end of the host. Raises OSError where no directory can be made."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    with job_directory() as directory:
        supervisor = Supervisor(directory, log, out)
        try:
            supervisor.serve()
        finally:
            supervisor.end_worker()


if __name__ == "__main__":
    main()
