"""Forty visitors at once: does the web demo hold, and what do they wait? python -m benchmarks.web_load [--minutes 5]

Starts the page in a process of its own, on loopback, with an engine that takes a second (what is measured is the page,
not the method), and lets the visitors come back as soon as they are served: more of them than the line takes. Meanwhile
four bombs (140 kB that unpack to 49 million pixels) are thrown at it, again and again, and somebody who only looks at
a photo and an example is timed. Prints a table for docs/results.md. Linux only: the memory is read from /proc.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
TINY = (
    "estimator=algorithm1;"
    "recovery.first_iterations=2;recovery.iterations=1;recovery.timesteps=(100,50);recovery.unet_channels=4;"
    "recovery.unet_depth=2;recovery.inr_width=16;refine.rounds=1;refine.steps=1;finish.steps=2;kernel_crop=32;doubt=False"
)
PATIENT = {"timeout": 120}  # seconds: what is measured is how long an answer takes, not whether it comes in five


class Server:
    """app.py in a process of its own, its temporary files in a folder of its own."""

    def __init__(self, folder: Path):
        self.files = folder / "served"
        environment = {
            **os.environ,
            "KERNELFUSION_WEB_SET": TINY,
            "GRADIO_TEMP_DIR": str(self.files),
            "GRADIO_SERVER_NAME": "127.0.0.1",
        }
        self.log = open(folder / "log", "w+")  # noqa: SIM115 - open as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-u", "app.py"], cwd=ROOT, env=environment, stdout=self.log, stderr=subprocess.STDOUT
        )

    def url(self, seconds: float = 120) -> str:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            for line in Path(self.log.name).read_text().splitlines():
                if "running on" in line.lower():
                    return line.split()[-1]
            time.sleep(0.2)
        raise RuntimeError(f"the page did not start: {Path(self.log.name).read_text()[-2000:]}")

    def memory(self) -> float:
        """MiB of it that are in real memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def threads(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("Threads:")[1].split()[0])

    def highest_memory(self) -> float:
        """The most it ever had in real memory, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def bytes_kept(self) -> int:
        return sum(path.stat().st_size for path in self.files.rglob("*") if path.is_file())

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


def visitor(number: int, url: str, until: float, folder: Path, counts: Counter, seconds: list[float]) -> None:
    """Sends a photo of its own again and again, and looks whether what comes back is its own."""
    from gradio_client import Client, handle_file

    path = folder / f"visitor_{number}.png"
    pixels = np.random.default_rng(number).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    downloads = folder / f"downloads_{number}"
    client = Client(url, verbose=False, httpx_kwargs=PATIENT, download_files=downloads)
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            large = client.predict(photo=handle_file(str(path)), scale=2, seed=number, api_name="/super_resolve")[0]
        except Exception as error:
            refused = any(word in str(error).lower() for word in ("people are waiting", "still waiting or running"))
            counts["refused" if refused else f"failed: {str(error)[:200]}"] += 1
            time.sleep(5)  # as a visitor who reads the sentence
        else:
            counts["finished" if Path(large).name == f"visitor_{number}_x2.png" else "another's result"] += 1
            seconds.append(time.monotonic() - began)


def bomb(path: Path, side: int = 7000) -> Path:
    """A PNG of side x side white pixels."""
    Image.new("RGB", (side, side), "white").save(path, optimize=True)
    return path


def thrower(url: str, until: float, path: Path, folder: Path, counts: Counter) -> None:
    """Has a bomb cut, again and again; 'busy' is an answer, too."""
    from gradio_client import Client, handle_file

    client = Client(url, verbose=False, httpx_kwargs=PATIENT, download_files=folder / f"bombs_{threading.get_ident()}")
    while time.monotonic() < until:
        try:
            client.predict(photo=handle_file(str(path)), api_name="/crop")
            counts["bombs"] += 1
        except Exception as error:
            busy = "being read just now" in str(error)
            counts["bombs" if busy else f"bomb failed: {str(error)[:200]}"] += 1
        time.sleep(5)


def onlooker(url: str, until: float, path: Path, folder: Path, counts: Counter, seconds: list[float]) -> None:
    """Somebody who runs nothing: a photo is looked at, an example shown."""
    from gradio_client import Client, handle_file

    client = Client(url, verbose=False, httpx_kwargs=PATIENT, download_files=folder / "onlooker")
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    examples = [name for name in endpoints if name.startswith("/example_")]
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            assert "Good to go" in client.predict(photo=handle_file(str(path)), api_name="/look")[1]
            for name in examples[:1]:
                client.predict(api_name=name)
            seconds.append(time.monotonic() - began)
        except Exception as error:
            counts[f"onlooker failed: {str(error)[:200]}"] += 1
        time.sleep(2)


def measure(minutes: float, visitors: int) -> dict[str, float | int | str]:
    """Runs the load and returns the row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder)
        try:
            url = server.url()
            counts: Counter = Counter()
            warm_up = threading.Thread(
                target=visitor, args=(visitors, url, time.monotonic() + 1, folder, Counter(), []), daemon=True
            )
            warm_up.start()  # the memory at the start is that of a page that has served somebody
            warm_up.join()
            before, files_before = server.memory(), server.bytes_kept()
            until, seconds = time.monotonic() + 60 * minutes, []
            threads = [
                threading.Thread(target=visitor, args=(number, url, until, folder, counts, seconds), daemon=True)
                for number in range(visitors)
            ]
            photo, looked = folder / "looked_at.png", []
            Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(photo)
            path = bomb(folder / "bomb.png")
            threads += [
                threading.Thread(target=thrower, args=(url, until, path, folder, counts), daemon=True) for _ in range(4)
            ]
            threads.append(
                threading.Thread(target=onlooker, args=(url, until, photo, folder, counts, looked), daemon=True)
            )
            for thread in threads:
                thread.start()
            middle = before
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.5)
                if time.monotonic() < until - 30 * minutes:
                    middle = server.memory()
                if server.process.poll() is not None:
                    raise RuntimeError("the page died")
            time.sleep(2)
            after = server.memory()
            crashed = server.process.poll() is not None
            in_order = sorted(seconds) or [float("nan")]
            return {
                "visitors": visitors,
                "minutes": minutes,
                "finished": counts.pop("finished", 0),
                "refused": counts.pop("refused", 0),
                "bombs": counts.pop("bombs", 0),
                "failed": sum(counts.values()),
                "median s": round(statistics.median(in_order), 1),
                "95 % s": round(in_order[int(0.95 * (len(in_order) - 1))], 1),
                "longest s": round(in_order[-1], 1),
                "onlooker's longest s": round(max(looked, default=float("nan")), 1),
                "MiB at start": round(before),
                "MiB highest": round(server.highest_memory()),
                "MiB halfway": round(middle),
                "MiB at end": round(after),
                "MiB of files": round((server.bytes_kept() - files_before) / 2**20, 1),
                "threads at end": server.threads(),
                "alive": "no" if crashed else "yes",
                "_errors": dict(counts),
            }
        finally:
            server.close()


def table(row: dict) -> str:
    shown = {key: value for key, value in row.items() if not key.startswith("_")}
    return "\n".join(
        f"| {' | '.join(cells)} |"
        for cells in (list(shown), ["---"] * len(shown), [str(value) for value in shown.values()])
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--visitors", type=int, default=40)
    arguments = parser.parse_args()
    row = measure(arguments.minutes, arguments.visitors)
    print(table(row))
    for error, number in row["_errors"].items():
        print(f"{number} x {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
