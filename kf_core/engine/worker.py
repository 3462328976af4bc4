"""The half of the engine that computes. It is started by the supervisor (__main__.py), never by a host."""

from __future__ import annotations

import errno
import json
import os
import queue
import shutil
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from kf_core.engine.places import device_lock
from kf_core.errors import DISK_FULL, NOT_ALLOWED, reason

SECONDS_BETWEEN_PROGRESS = 0.1
SECONDS_BETWEEN_PREVIEWS = 2.0
FILES = {"image": "result.f32", "plain": "plain.f32"}


class Stopper:
    """Reads stdin in a thread: jobs go into a queue, "cancel" raises a flag, the end of stdin ends the process."""

    def __init__(self) -> None:
        self.jobs: queue.Queue[dict[str, Any]] = queue.Queue()
        self.asked = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if message["type"] == "cancel":
                self.asked.set()
            else:
                self.asked.clear()
                self.jobs.put(message)
        os._exit(0)  # the supervisor is gone: nobody waits for what is being computed


class Job:
    """One job: what it says to the host carries its id."""

    def __init__(
        self, message: dict[str, Any], directory: Path, stopper: Stopper, out: Any, kept: dict[str, Any]
    ) -> None:
        self.message, self.directory, self._stopper, self._out = message, directory, stopper, out
        self._kept = kept  # from job to job
        self._phase, self._told, self._shown = "", 0.0, 0.0

    def say(self, kind: str, **content: Any) -> None:
        line = json.dumps({"type": kind, "id": self.message.get("id"), **content}) + "\n"
        self._out.write(line.encode())
        self._out.flush()

    def run(self) -> None:
        from kf_core.errors import KernelFusionError, is_out_of_memory

        try:
            self._run()
        except KernelFusionError as error:
            self.say("error", code=error.code, message=error.message, hint=error.hint)
        except OSError as error:
            traceback.print_exc()
            self.say("error", code="cannot_write", **disk_trouble(error, self.directory.parent))
        except Exception as error:
            traceback.print_exc()
            if is_out_of_memory(error):
                hint = "Use a smaller part of the photo."
                return self.say("error", code="out_of_memory", message="The memory did not suffice.", hint=hint)
            cause = " ".join(str(error).split())[:300] or type(error).__name__
            self.say(
                "error",
                code="internal",
                message=f"Something went wrong that should not: {cause}",
                hint="Please report it together with the log.",
            )

    def _run(self) -> None:
        if self.message["type"] == "estimate":
            return self._estimate()
        import kf_core
        from kf_core.adjust import weaken
        from kf_core.engine import pixels, request
        from kf_core.engine.spot import Spots, pictures
        from kf_core.kept import kept

        message = self.message
        request.check_job(message)
        settings = make_settings(message.get("settings") or {})
        kernel = self._kernel(settings.scale)
        about = message["input"]
        raw = pixels.read_raw(self._inside(about["file"]), about)
        layer = pixels.prepare(raw)
        for warning in layer.warnings:
            self.say("warning", message=warning)
        said: tuple[str, ...] = ()
        if message.get("seconds") is not None:
            from kf_core.pace import within

            height, width = layer.colour.shape[:2]
            pace = within(message["seconds"], width, height, settings, kernel is not None)
            settings, said = pace.settings, pace.sentences
        spot = message["spot"] if message.get("task") == "preview" else None
        self._check_room(raw.size * 4 * settings.scale**2)

        with self._device(settings.device):
            told: dict[str, Any] = {"progress": self._progress, "should_stop": self._stopper.asked.is_set}
            if spot is not None:
                result = self._kept.setdefault("spots", Spots()).make(layer, spot, settings, kernel, **told)
            elif message.get("task") == "recover_kernel":
                result = kf_core.recover_kernel(layer.colour, settings, **told)
            else:
                with kept(layer.colour, settings, kernel) as folder:
                    result = kf_core.super_resolve(layer.colour, settings, kernel=kernel, unfinished=folder, **told)
        answer: dict[str, Any] = {"report": result.report | ({"warnings": list(said)} if said else {})}
        if spot is not None:
            answer["approximate"] = result.approximate
            made = pictures(result, layer, spot, settings.scale, message.get("strength"), bool(message.get("reduce")))
            for name, image in made.items():
                answer[name] = self._write(FILES[name], image)
        elif result.image is not None:
            strength = message.get("strength")
            colour = result.image if strength is None else weaken(result.image, layer.colour, strength)
            image = pixels.restore(colour, layer, settings.scale)
            if message.get("reduce"):
                image = pixels.reduce(image, settings.scale)
            answer["image"] = self._write(FILES["image"], image)
        pixels.write_raw(self.directory / "kernel.f32", result.kernel)
        answer["kernel"] = {"file": "kernel.f32", "size": result.kernel.shape[0]}
        self.say("result", **answer)

    def _write(self, name: str, image: Any) -> dict[str, Any]:
        """Puts (H, W, C) into the job directory; what a message says of it."""
        from kf_core.engine import pixels

        pixels.write_raw(self.directory / name, image)
        height, width, channels = image.shape
        return {"file": name, "width": width, "height": height, "channels": channels}

    def _estimate(self) -> None:
        from kf_core.engine import request
        from kf_core.estimate import estimate
        from kf_core.pace import within

        message = self.message
        request.check_estimate(message)
        settings = make_settings(message.get("settings") or {})
        size, known = (message["width"], message["height"]), bool(message.get("kernel_known"))
        found: dict[str, Any] = {}
        if message.get("seconds") is not None:
            pace = within(message["seconds"], *size, settings, known)
            settings = pace.settings
            found = {"usual_seconds": pace.usual_seconds, "passes": pace.passes, "loss_db": abs(pace.loss)}
        self.say("estimate", **estimate(*size, settings, known), **found)

    def _kernel(self, scale: int) -> Any:
        """The kernel that came with the job, on the grid of its scale; None without one. Raises BadInput."""
        from kf_core.engine import pixels, request

        about = self.message.get("kernel")
        if about is None:
            return None
        if self.message.get("task") == "recover_kernel":
            raise request.BadRequest("A kernel is given, and one is to be recovered.", "Leave one of the two out.")
        own = scale if about.get("scale") is None else about["scale"]
        return pixels.read_kernel(self._inside(about["file"]), about["size"], own, scale)

    def _inside(self, name: Any) -> Path:
        """The file of that name in the job directory, and nowhere else. Raises BadInput."""
        from kf_core import BadInput

        if not isinstance(name, str) or not name or Path(name).name != name:
            raise BadInput(f"{name!r} is not a file in the job directory.", "Give the name alone, without a folder.")
        return self.directory / name

    def _check_room(self, needed: int) -> None:
        """Before the long run: the result must find room afterwards."""
        free = shutil.disk_usage(self.directory).free
        if free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _device(self, name: str) -> DeviceTurn:
        from kf_core.device import choose_device

        return DeviceTurn(self, choose_device(name).type, self._stopper)

    def _progress(self, event: Any) -> None:
        now = time.monotonic()
        if event.phase == self._phase and event.step < event.total and now - self._told < SECONDS_BETWEEN_PROGRESS:
            return
        self._phase, self._told = event.phase, now
        self.say(
            "progress",
            phase=event.phase,
            label=event.label,
            step=event.step,
            total=event.total,
            fraction=round(event.fraction, 5),
            seconds_left=None if event.seconds_left is None else round(event.seconds_left, 1),
        )
        if self.message.get("preview") and event.preview and now - self._shown > SECONDS_BETWEEN_PREVIEWS:
            self._shown = now
            kernel = event.preview()["kernel"]
            self.say("preview", kernel={"size": len(kernel), "taps": [round(float(t), 6) for t in kernel.ravel()]})


class DeviceTurn:
    """Waits until no other engine computes on the device, and keeps it while inside."""

    def __init__(self, job: Job, kind: str, stopper: Stopper) -> None:
        self._job, self._kind, self._stopper, self._lock = job, kind, stopper, device_lock(kind)

    def __enter__(self) -> None:
        from kf_core import Cancelled

        began = told = time.monotonic()
        while not self._taken():
            if self._stopper.asked.is_set():
                raise Cancelled()
            now = time.monotonic()
            if told == began or now - told >= 1:
                told = now
                self._job.say("waiting", reason="device_busy", device=self._kind, seconds=round(now - began, 1))
            time.sleep(0.1)

    def _taken(self) -> bool:
        try:
            self._lock.acquire()
        except TimeoutError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._kind == "cuda":
            import torch

            torch.cuda.empty_cache()  # an engine that waits for its next job holds no memory others could use


def make_settings(wanted: dict[str, Any]) -> Any:
    """Settings from a job's "settings". Raises BadInput."""
    import kf_core
    from kf_core.engine.request import SETTINGS

    if unknown := sorted(set(wanted) - set(SETTINGS)):
        raise kf_core.BadInput(
            f"There is no setting {', '.join(unknown)}.", f"There are: {', '.join(sorted(SETTINGS))}."
        )
    fields = {name: wanted[name] for name in ("scale", "kernel_size", "seed", "device") if wanted.get(name) is not None}
    settings = kf_core.Settings.preset(wanted.get("preset") or "fast", **fields)
    return settings.with_overrides(wanted.get("overrides") or []).checked()


def disk_trouble(error: OSError, folder: Path) -> dict[str, str]:
    """Message and hint for a file that could not be read or written; `folder` where the error names no file."""
    where = Path(error.filename).parent if isinstance(error.filename, str) else folder
    if error.errno in DISK_FULL:
        return {"message": "The disk is full.", "hint": f"Make room in {where}."}
    if error.errno in NOT_ALLOWED:
        return {"message": f"The folder {where} may not be written to.", "hint": "Change its permissions."}
    message = f"The pixels could not be passed on in {where}: {reason(error)}."
    return {"message": message, "hint": "Look at that folder."}


def die_with_parent() -> None:
    """On Linux the system ends this process with the supervisor, even if that one was killed."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main() -> None:
    die_with_parent()
    # Only messages may reach the pipe: whatever a library prints goes to the log, as stderr does.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    directory = Path(sys.argv[1])
    stopper, kept = Stopper(), dict[str, Any]()
    while True:
        job = Job(stopper.jobs.get(), directory, stopper, out, kept)
        job.run()


if __name__ == "__main__":
    main()
