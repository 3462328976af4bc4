"""Drives the preview in the dialog of a GIMP with a window. Runs under the testbed's python3.

    spot.py PHOTO SECONDS NAME=VALUE…     as window.py; without any, only the pictures for the documentation

Writes pictures and window.json, {step: what was seen}, into the home folder.
"""

import subprocess
import sys
import time
from pathlib import Path

from screen import (
    HOME,
    choose,
    differs,
    engines,
    gimp_showing,
    has_colour,
    key,
    open_dialog,
    output,
    picture,
    tell,
    title,
    type_into,
    wait,
    window,
)

FAILED = "#e03a2c"
SIDE, TOP, RIGHT, GAP = 192, 220, 24, 6  # of the pictures before and after, in the dialog


def main():
    photo, seconds, advanced = Path(sys.argv[1]), float(sys.argv[2]), " ".join(sys.argv[3:])
    with gimp_showing(photo):
        drive(seconds, advanced)


def width(dialog):
    return int(output("xdotool", "getwindowgeometry", "--shell", dialog).split("WIDTH=")[1].split()[0])


def pane(dialog, after):
    """The picture before or after, as the colours of its pixels."""
    picture("now.png", dialog)
    left = width(dialog) - RIGHT - SIDE - (0 if after else SIDE + GAP)
    return output("convert", str(HOME / "now.png"), "-crop", f"{SIDE}x{SIDE}+{left}+{TOP}", "-depth", "8", "txt:-")


def both(dialog):
    return [[line.split(" ")[-2:] for line in pane(dialog, after).splitlines()[1:]] for after in (False, True)]


def steady(dialog):
    """Both pictures, once they are drawn."""
    seen = []

    def same_again():
        seen.append(both(dialog))
        return seen[-2:] == [seen[-1]] * 2 and seen[-1]

    return wait(same_again, 30, "an end of the drawing")


def shown(dialog):
    return len({str(pixel) for pixel in both(dialog)[1]}) > 50


def click(dialog, x, y):
    subprocess.run(["xdotool", "mousemove", "--window", dialog, str(x), str(y), "click", "1"], check=True)
    time.sleep(0.5)


def drive(seconds, advanced):
    before = title()
    dialog = open_dialog()
    picture("first.png", dialog)
    wait(lambda: len(engines()) >= 2, 30, "the start of the engine for the estimate")
    wait(lambda: differs("first.png", dialog), 60, "the estimate")

    # The preset as it is: an answer in seconds, the dialog meanwhile as quick as ever.
    if not advanced:
        click(dialog, width(dialog) - RIGHT - SIDE + 27, 55)  # a spot of "dam" with detail
    began = time.monotonic()
    key("alt+i")
    time.sleep(1.5)
    picture("looking.png", dialog)
    key("alt+y")
    wait(lambda: differs("looking.png", dialog), 3, "an answer of the dialog")
    wait(lambda: shown(dialog), seconds, "the preview")
    tell(seconds=time.monotonic() - began)
    time.sleep(1)
    picture("previewed.png", dialog)
    picture("preview.png")
    if not advanced:
        return
    full = steady(dialog)
    tell(changes=full[0] != full[1])

    # The strength is followed at once.
    key("alt+g", "Home")
    wait(lambda: both(dialog)[1] == full[0], 5, "the plain enlargement at a strength of 0")
    key("End")
    wait(lambda: both(dialog) == full, 5, "the full strength")

    # Another spot: the frame follows the mouse, the kernel is known.
    type_details(advanced, dialog)
    click(dialog, width(dialog) - RIGHT - SIDE - 60, 40)
    picture("moved.png", dialog)
    tell(kept=both(dialog) == full)
    key("alt+i")
    wait(lambda: both(dialog)[0] != full[0], seconds, "the preview of another spot")
    other = steady(dialog)
    picture("another.png", dialog)
    tell(another=other[1] != full[1])

    # Stopped, the engine stays for the next. On a quick machine there is nothing left to stop, and it is made again,
    # with as many passes as there is time for then.
    running = engines()
    key("alt+i")
    time.sleep(0.3)
    key("alt+i")
    wait(lambda: steady(dialog)[0] == other[0] and shown(dialog), seconds, "the same spot as before")
    picture("stopped.png", dialog)
    tell(kept_engine=len(engines()) == len(running), kept_after_stop=True)

    # What is wrong is said in the dialog.
    choose("k", 1)
    key("alt+i")
    wait(lambda: has_colour(dialog, FAILED), 20, "a sentence about the kernel that is not there")
    picture("failed_preview.png", dialog)
    choose("k", 0)
    key("Up")
    wait(lambda: not has_colour(dialog, FAILED), 20, "the sentence to go")
    tell(recovered=True)

    # OK in the middle of a preview: the run follows.
    key("alt+i")
    time.sleep(0.5)
    key("alt+o")
    wait(lambda: window("KernelFusion Super-Resolution") is None, 10, "the end of the dialog")
    wait(lambda: title() != before and "2 layers" in title(), seconds, "the result")
    tell(result=title())


def type_details(advanced, dialog):
    key("alt+d")
    time.sleep(0.7)
    type_into("n", advanced)
    time.sleep(0.5)
    picture("details.png", dialog)


main()
