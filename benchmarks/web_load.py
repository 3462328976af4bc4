"""Twenty visitors at once: does the web demo hold, and what do they wait? python -m benchmarks.web_load [--minutes 5]

Starts the page in a process of its own, on loopback, with an engine that takes a second (what is measured is the page,
not the method), and lets the visitors come back as soon as they are served. Prints a table for docs/results.md. Linux
only: the memory is read from /proc.
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
    "recovery.first_iterations=2;recovery.iterations=1;recovery.timesteps=(100,50);recovery.unet_channels=4;"
    "recovery.unet_depth=2;recovery.inr_width=16;refine.rounds=1;refine.steps=1;finish.steps=2;kernel_crop=32"
)


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
    client = Client(url, verbose=False, download_files=downloads)
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            large = client.predict(photo=handle_file(str(path)), scale=2, seed=number, api_name="/super_resolve")[0]
        except Exception as error:
            refused = any(word in str(error).lower() for word in ("queue", "full", "waiting"))
            counts["refused" if refused else f"failed: {str(error)[:200]}"] += 1
            time.sleep(1)
        else:
            counts["finished" if Path(large).name == f"visitor_{number}_x2.png" else "another's result"] += 1
            seconds.append(time.monotonic() - began)


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
                "failed": sum(counts.values()),
                "median s": round(statistics.median(in_order), 1),
                "95 % s": round(in_order[int(0.95 * (len(in_order) - 1))], 1),
                "longest s": round(in_order[-1], 1),
                "MiB at start": round(before),
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
    parser.add_argument("--visitors", type=int, default=20)
    arguments = parser.parse_args()
    row = measure(arguments.minutes, arguments.visitors)
    print(table(row))
    for error, number in row["_errors"].items():
        print(f"{number} x {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
