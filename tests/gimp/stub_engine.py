#!/usr/bin/python3
"""An engine whose result is known in advance, or that misbehaves: what it does is the name it is called by.

"stub" enlarges by repeating pixels and halves their colours, so that every pixel of the result can be foretold. What it
was asked for is in job.json in the home folder, a kernel that came with it in given.f32.
Standard library only: it runs under the Python of the GIMP testbed.
"""

import json
import os
import signal
import sys
import tempfile
import time
from array import array
from pathlib import Path


def say(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def enlarge(job, directory):
    """Nearest neighbour; the same size where "reduce" is asked for. Colours are halved, alpha stays."""
    about, scale = job["input"], 1 if job["reduce"] else job["settings"]["scale"]
    width, height, channels = about["width"], about["height"], about["channels"]
    pixels = array("f", (directory / about["file"]).read_bytes())
    colours = channels - 1 if channels in (2, 4) else channels
    for start in range(0, len(pixels), channels):
        for index in range(start, start + colours):
            pixels[index] /= 2
    with open(directory / "result.f32", "wb") as file:
        for row in range(height):
            line = array("f")
            for column in range(width):
                start = (row * width + column) * channels
                line.extend(list(pixels[start : start + channels]) * scale)
            file.write(line.tobytes() * scale)
    size = 6 * scale
    taps = array("f", [0.0] * (size * size))
    taps[0], taps[size + 2] = 0.75, 0.25  # where it is can be seen in the layer
    (directory / "kernel.f32").write_bytes(taps.tobytes())
    report = {"kernel_source": "simple", "confidence": 0.72, "confidence_sentence": "The kernel is well supported."}
    image = {"file": "result.f32", "width": width * scale, "height": height * scale, "channels": channels}
    say(type="result", id=job["id"], image=image, kernel={"file": "kernel.f32", "size": size}, report=report)


def main():
    name = Path(sys.argv[0]).name
    if name == "stub-garbage":
        print("Segmentation fault or some other noise", flush=True)
        time.sleep(1)
    if name == "stub-dies":
        sys.exit(3)
    with tempfile.TemporaryDirectory(prefix="stub-") as folder:
        directory = Path("/tmp/full") if name == "stub-full" else Path(folder)
        protocol = 99 if name == "stub-newer" else 1
        say(type="hello", protocol=protocol, engine="0.1.0", pid=os.getpid(), directory=str(directory), log="")
        for line in sys.stdin:
            message = json.loads(line)
            if message["type"] == "job":
                answer(name, message, directory)
            elif message["type"] == "quit":
                return


def answer(name, job, directory):
    (Path.home() / "job.json").write_text(json.dumps(job))
    if "kernel" in job:
        (Path.home() / "given.f32").write_bytes((directory / job["kernel"]["file"]).read_bytes())
    say(type="progress", id=job["id"], phase="finish", step=1, total=2, fraction=0.5, seconds_left=1.0)
    if name == "stub-killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "stub-memory" or (name == "stub-second" and (directory / "second").exists()):
        hint = "Use a smaller part of the photo."
        say(type="error", id=job["id"], code="out_of_memory", message="The computer ran out of memory.", hint=hint)
    else:
        (directory / "second").touch()
        enlarge(job, directory)


main()
