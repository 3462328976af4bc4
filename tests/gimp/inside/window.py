"""Drives the filter in a GIMP with a window: Xvfb shows it, xdotool presses the keys. Runs under the testbed's python3.

    window.py PHOTO SECONDS NAME=VALUE…     the last are typed into the dialog's "Advanced" field

Writes pictures and window.json, {step: what was seen}, into the home folder.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

HOME = Path.home()
SIZE = (1200, 800)
WARNING = "#cc6a00"
CANCEL_BUTTON = (919, 781)  # of a window as large as the screen
NO_DISTRACTIONS = '(show-welcome-dialog no)\n(check-updates no)\n(last-release-timestamp 0)\n(theme "Default")\n'
seen, known = {}, {}


def output(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout


def key(*names):
    for name in names:
        subprocess.run(["xdotool", "key", "--clearmodifiers", name], check=True)
        time.sleep(0.25)


def titles():
    """The titles of all windows of GIMP."""
    return [
        title
        for title in output("xdotool", "search", "--onlyvisible", "--name", ".", "getwindowname", "%@").split("\n")
    ]


def window(word):
    found = output("xdotool", "search", "--onlyvisible", "--name", word).split()
    return found[-1] if found else None


def wait(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.1)
    picture("failed.png")
    raise SystemExit(f"{what} did not happen within {seconds} s; windows: {titles()}")


def picture(name, of="root"):
    subprocess.run(["import", "-window", of, str(HOME / name)], check=True)


def differs(name, of):
    """Whether the window looks otherwise than in that picture."""
    picture("now.png", of)
    found = subprocess.run(
        ["compare", "-metric", "AE", str(HOME / name), str(HOME / "now.png"), "null:"], capture_output=True
    )
    return found.returncode != 0


def has_colour(of, colour):
    picture("now.png", of)
    return colour in output("convert", str(HOME / "now.png"), "-depth", "8", "-unique-colors", "txt:").lower()


def tell(**what):
    seen.update(what)
    (HOME / "window.json").write_text(json.dumps(seen, indent=1))


def engines():
    """The processes of the engine, of this run alone: other runs have mounts of their own."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            mine = os.readlink(entry / "ns/mnt") == os.readlink("/proc/self/ns/mnt")
        except OSError:
            continue
        if mine and "kf_core.engine" in line:
            lines.append(line)
    return lines


def main_window():
    """One X window for the whole session, so it is looked for once: a search may fail when any window closes in it."""
    if "main" not in known:
        stem = re.escape(Path(sys.argv[1]).stem)
        known["main"] = wait(lambda: window(f"{stem}.*layer.*GIMP$"), 120, "the start of GIMP")
    return known["main"]


def title():
    return output("xdotool", "getwindowname", main_window()).strip()


def open_dialog():
    """By the search for commands, as a user would who does not know the menu."""
    subprocess.run(["xdotool", "windowactivate", "--sync", main_window()], check=True)
    key("slash")
    wait(lambda: window("Search Actions"), 10, "the search for commands")
    time.sleep(0.5)
    subprocess.run(["xdotool", "type", "--delay", "20", "KernelFusion Super"], check=True)
    time.sleep(1.5)
    key("Return")
    dialog = wait(lambda: window("KernelFusion Super-Resolution"), 20, "the dialog")
    subprocess.run(["xdotool", "windowactivate", "--sync", dialog], check=True)
    time.sleep(0.7)
    return dialog


def choose(mnemonic, downs):
    """Picks an entry of a combo box, counted from the one that is chosen."""
    key(f"alt+{mnemonic}", *["Down"] * downs)  # the mnemonic gives it the focus, and the list stays closed


def type_into(mnemonic, text):
    key(f"alt+{mnemonic}", "ctrl+a")
    subprocess.run(["xdotool", "type", "--delay", "3", text], check=True)


def main():
    photo, seconds, advanced = Path(sys.argv[1]), float(sys.argv[2]), " ".join(sys.argv[3:])
    read, write = os.pipe()
    size = f"{SIZE[0]}x{SIZE[1]}x24"
    xvfb = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", size, "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.environ["DISPLAY"] = ":" + os.read(read, 16).decode().strip()
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = "disabled:"
    desk = subprocess.Popen(["openbox"], stderr=subprocess.DEVNULL)
    folder = HOME / ".config/GIMP/3.0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gimprc").write_text(NO_DISTRACTIONS)
    with open(HOME / "gimp-window.log", "w") as log:
        gimp = subprocess.Popen(["gimp", str(photo)], stdout=log, stderr=subprocess.STDOUT)
    try:
        drive(seconds, advanced)
    finally:
        for process in (gimp, desk, xvfb):
            process.terminate()
            process.wait(20)


def drive(seconds, advanced):
    main_window()
    time.sleep(3)
    if welcome := window("Welcome to GIMP"):
        subprocess.run(["xdotool", "windowclose", welcome])
    subprocess.run(["xdotool", "windowsize", main_window(), str(SIZE[0]), str(SIZE[1] - 22)], check=True)
    subprocess.run(["xdotool", "windowmove", main_window(), "0", "0"], check=True)
    time.sleep(1)
    key("shift+ctrl+j")  # the image fills the window
    before = title()

    # What it will take is said before OK: in colour where that is long, with a smaller run to switch to.
    dialog = open_dialog()
    key("alt+e")
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
        type_into("n", advanced)
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
    time.sleep(1)
    key("shift+ctrl+j")
    time.sleep(1.5)
    picture("result.png")
    tell(result=title(), windows=titles())
    wait(lambda: not engines(), 5, "the end of the engine")
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
    key("ctrl+z")
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
