"""Drives the filter in a GIMP with a window. Runs under the testbed's python3.

    window.py PHOTO SECONDS NAME=VALUE…     the last are typed into the dialog's "Advanced" field

Writes pictures and window.json, {step: what was seen}, into the home folder.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from screen import (
    choose,
    differs,
    engines,
    gimp_showing,
    has_colour,
    key,
    main_window,
    open_dialog,
    output,
    picture,
    tell,
    title,
    titles,
    type_into,
    wait,
    window,
)

WARNING = "#cc6a00"
CANCEL_BUTTON = (919, 781)  # of a window as large as the screen


def main():
    photo, seconds, advanced = Path(sys.argv[1]), float(sys.argv[2]), " ".join(sys.argv[3:])
    with gimp_showing(photo):
        drive(seconds, advanced)


def drive(seconds, advanced):
    before = title()

    # What it will take is said before OK: in colour where that is long, with a smaller run to switch to.
    dialog = open_dialog()
    key("alt+y")
    time.sleep(0.5)
    picture("asking.png", dialog)
    wait(lambda: len(engines()) >= 2, 20, "the start of the engine for the estimate")
    wait(lambda: differs("asking.png", dialog), 60, "the estimate")
    picture("dialog.png")
    picture("dialog_alone.png", dialog)
    key("alt+p", "Down", "Down")  # the slowest preset
    wait(lambda: has_colour(dialog, WARNING), 20, "the warning")
    time.sleep(0.5)
    picture("warned.png", dialog)
    key("alt+w")
    wait(lambda: not has_colour(dialog, WARNING), 20, "the smaller run")
    time.sleep(0.5)
    picture("smaller.png", dialog)
    key("alt+p", "Home")
    key("alt+h")
    guide = wait(lambda: window("guide to the filter"), 10, "the guide")
    time.sleep(0.5)
    picture("guide.png", guide)
    subprocess.run(["xdotool", "windowactivate", "--sync", guide], check=True)
    key("Escape")
    wait(lambda: window("guide to the filter") is None, 10, "the end of the guide")
    subprocess.run(["xdotool", "windowactivate", "--sync", dialog], check=True)
    tell(guide="shown")

    # A run with the kernel as a layer: the result is a new image.
    if advanced:
        key("alt+d")
        time.sleep(0.7)
        # More passes than anybody waits for: then the time can be chosen, and the runs below keep to it.
        type_into("n", f"{advanced} finish.steps=100000")
        wait(lambda: has_colour(dialog, WARNING), 20, "the warning of so many passes")
        time.sleep(0.5)
        picture("endless.png", dialog)
        choose("m", 1)
        wait(lambda: not has_colour(dialog, WARNING), 20, "the estimate for the chosen time")
        time.sleep(0.5)
        picture("details.png", dialog)
    tell(dialog="shown", title=before)
    key("alt+o")
    wait(lambda: window("KernelFusion Super-Resolution") is None, 10, "the end of the dialog")
    wait(engines, 20, "the start of the engine")
    texts = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end and "2 layers" not in title():
        time.sleep(0.5)
        texts += 1
        if texts == 12 or (texts > 12 and texts % 60 == 0):
            picture("progress.png")
    wait(lambda: "2 layers" in title(), 1, "the result")
    wait(lambda: window("KernelFusion notice"), 5, "the notice over the new image")
    time.sleep(1)
    key("shift+ctrl+j")
    time.sleep(1.5)
    picture("result.png")
    tell(result=title(), windows=titles())
    wait(lambda: not engines(), 5, "the end of the engine")
    wait(lambda: window("KernelFusion notice") is None, 12, "the end of the notice by itself")
    tell(windows_later=titles())
    if os.environ.get("KF_PICTURES_ONLY"):  # for the documentation: a longer run, and nothing after it
        return

    # It is not saved yet, so it is not closed without a question.
    key("ctrl+w")
    question = wait(lambda: window("^Close "), 10, "the question before closing")
    picture("close.png")
    tell(question=output("xdotool", "getwindowname", question).strip())
    key("Escape")
    wait(lambda: window("^Close ") is None, 10, "the end of the question")

    # Repeat Last, on the first image: the same arguments without a dialog, and a third image.
    subprocess.run(["xdotool", "windowactivate", "--sync", main_window()], check=True)
    key("alt+1")
    wait(lambda: title() == before, 10, "the first image")
    key("ctrl+f")
    wait(engines, 20, "the start of the engine by Repeat Last")
    tell(dialog_at_repeat=window("KernelFusion Super-Resolution") is not None)
    wait(lambda: "-3.0" in title() and "2 layers" in title(), seconds, "the result of Repeat Last")
    wait(lambda: window("KernelFusion notice"), 5, "the notice over the next image")
    wait(lambda: window("KernelFusion notice") is None, 12, "the end of that notice")
    tell(repeated=title())

    # A new layer and the kernel in the same image are one step for Undo.
    subprocess.run(["xdotool", "windowactivate", "--sync", main_window()], check=True)
    key("alt+1")
    wait(lambda: title() == before, 10, "the first image")
    open_dialog()
    choose("t", 1)
    key("alt+o")
    wait(lambda: "3 layers" in title(), seconds, "the new layer")
    wait(lambda: not engines(), 5, "the end of the engine")
    time.sleep(1.5)  # the title changes before the filter has closed its undo group, and GIMP refuses Undo until then
    changed = title()
    for _ in range(5):  # on a busy machine GIMP may refuse it for longer
        key("ctrl+z")
        time.sleep(1)
        if "3 layers" not in title():
            break
    wait(lambda: "3 layers" not in title(), 10, "Undo")
    tell(changed=changed, undone=title())

    # Cancel in the middle, with the button in the status bar.
    subprocess.run(["xdotool", "windowactivate", "--sync", main_window()], check=True)
    key("ctrl+f")
    wait(lambda: len(engines()) >= 2, 20, "the start of the engine and its worker")
    time.sleep(1.5)
    picture("cancel.png")
    subprocess.run(["xdotool", "mousemove", *map(str, CANCEL_BUTTON), "click", "1"], check=True)
    began = time.monotonic()
    wait(lambda: not engines(), 3, "the end of the engine after Cancel")
    tell(cancelled_within=time.monotonic() - began, after_cancel=title())
    tell(pixels_left=[str(path) for path in Path("/tmp").glob("kernelfusion-job-*")])


main()
