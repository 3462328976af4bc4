"""A GIMP with a window: Xvfb shows it, xdotool presses the keys. Shared by the scripts that drive one."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

HOME = Path.home()
SIZE = (1200, 800)
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


@contextlib.contextmanager
def gimp_showing(photo):
    """A GIMP with that photo in a window as large as the screen; it ends with the block."""
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
        main_window()
        time.sleep(3)
        if welcome := window("Welcome to GIMP"):
            subprocess.run(["xdotool", "windowclose", welcome])
        subprocess.run(["xdotool", "windowsize", main_window(), str(SIZE[0]), str(SIZE[1] - 22)], check=True)
        subprocess.run(["xdotool", "windowmove", main_window(), "0", "0"], check=True)
        time.sleep(1)
        key("shift+ctrl+j")  # the image fills the window
        yield
    finally:
        for process in (gimp, desk, xvfb):
            process.terminate()
            process.wait(20)
