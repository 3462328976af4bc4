"""The engine as a process of its own (docs/engine-protocol.md): starting it, talking to it, ending it."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

from common import Failure, installed, log_path
from limits import PROTOCOL

SECONDS_TO_START = 60
# Isolated: no packages and modules of the user's own folders, nor of the folder it is started in.
COMMAND = ("-I", "-m", "kf_core.engine")

# What GIMP sets for its own Python and libraries would break those of the engine.
SCRUBBED = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "GI_TYPELIB_PATH")
SCRUBBED += ("GEGL_PATH", "BABL_PATH", "GIO_EXTRA_MODULES", "GDK_PIXBUF_MODULE_FILE", "GSETTINGS_SCHEMA_DIR")


def find_engine(wanted):
    """The Python that has the engine: `wanted`, a file or the folder of an environment, else the installer's."""
    text = wanted or installed().get("engine", "")
    if not text:
        raise Failure("KernelFusion's engine is not set up. Run 'kf install-gimp', or choose the engine in the dialog.")
    path = Path(text).expanduser()
    for inside in ("bin/python", "Scripts/python.exe"):
        if path.is_dir() and (path / inside).exists():
            path = path / inside
    if not path.is_file() or not os.access(path, os.X_OK):
        raise Failure(f"KernelFusion's engine is not at {path}. Run 'kf install-gimp' again, or choose another path.")
    return path


class Engine:
    """The engine process. `close` ends it; so does the end of this process, however it comes."""

    def __init__(self, path):
        self.path, self.log, self.hello = path, log_path(), None
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in SCRUBBED and not name.startswith(("PYTHON", "GIMP"))
        }
        # A session of its own: GIMP ends a cancelled plug-in and its group with SIGKILL, and nobody could tidy up.
        # Left alone the engine notices that its stdin closed, frees the device at once, and removes the pixels.
        options = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NO_WINDOW}
        self._log_start = self.log.stat().st_size
        try:
            with open(self.log, "ab") as log:
                self._process = subprocess.Popen(
                    [str(path), *COMMAND, "--log", str(self.log)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    cwd=str(Path.home()),
                    **options,
                )
        except OSError as error:
            raise Failure(f"The engine at {path} cannot be started: {error.strerror}.") from error
        self._began = time.monotonic()
        self._lines = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def say(self, **message):
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it died; hear() says so

    def hear(self, seconds):
        """The next message, or None if there is none for so long. Failure: it ended, or talks nonsense."""
        try:
            line = self._lines.get(timeout=seconds) if seconds else self._lines.get_nowait()
        except queue.Empty:
            return None
        if line is None:
            self._lines.put(None)  # for whoever asks again
            raise Failure(self._last_words())
        try:
            message = json.loads(line)
            message["type"]
        except (ValueError, TypeError, KeyError):
            raise Failure("The engine answered with something that is no message. Is its path right?") from None
        return message

    def greet(self, seconds=SECONDS_TO_START):
        """The engine's hello, once its version has been found to fit; None if it has not come after so long."""
        if self.hello is None:
            hello = self.hear(seconds)
            if hello is None:
                if time.monotonic() - self._began < SECONDS_TO_START:
                    return None
                raise Failure(f"The engine did not answer within {SECONDS_TO_START} seconds.")
            if hello["type"] == "error":
                raise Failure(in_words(hello))
            if hello["type"] != "hello" or hello.get("protocol") != PROTOCOL:
                raise Failure(
                    f"The engine is version {hello.get('engine', 'unknown')} and does not fit this plug-in (protocol "
                    f"{hello.get('protocol', 'unknown')} instead of {PROTOCOL}). Run 'kf install-gimp' of the same "
                    "version."
                )
            self.hello = hello
        return self.hello

    def _last_words(self):
        status = self._process.wait()
        if status < 0:
            return f"The engine was killed (signal {-status}), perhaps because the memory ran out."
        try:
            text = self.log.read_bytes()[self._log_start :]
        except OSError:
            text = b""
        if b"No module named" in text:
            return "That Python has no KernelFusion engine, or one that is too old. Run 'kf install-gimp' again."
        return f"The engine ended by itself (status {status})."


class Engines:
    """At most one engine, started when it is first asked for and kept: for the dialog's estimates and for the run."""

    def __init__(self):
        self._engine = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def running(self):
        """The one that was asked for last, or None."""
        return self._engine

    def close(self):
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def at(self, wanted):
        """The running engine of that path, as in the options. Raises Failure."""
        path = find_engine(wanted)
        if self._engine is None or self._engine.path != path:
            self.close()
            self._engine = Engine(path)
        return self._engine


def in_words(error):
    """The sentence and the hint of the engine's error message."""
    return f"{error.get('message', 'The engine failed.')} {error.get('hint', '')}".strip()
