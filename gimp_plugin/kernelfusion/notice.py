"""What is said of a new image: a notice over it that takes no click and goes by itself.

GIMP would show a message in the status bar of the image that the filter was started from, which the new one hides.
"""

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from gi.repository import Gdk, GimpUi, GLib, Gtk  # noqa: E402 - after the versions are chosen

SECONDS = 7
TITLE = "KernelFusion notice"


def show_notice(display, text):
    """Returns when it has gone. A click takes it away sooner."""
    GimpUi.init("kernelfusion")
    window = Gtk.Window(title=TITLE, decorated=False, resizable=False, accept_focus=False, focus_on_map=False)
    window.set_type_hint(Gdk.WindowTypeHint.DIALOG)  # window managers put these over the middle of their parent
    window.set_skip_taskbar_hint(True)
    label = Gtk.Label(label=text, wrap=True, max_width_chars=56, margin=12)
    frame = Gtk.Frame()
    frame.add(label)
    window.add(frame)
    window.add_events(Gdk.EventMask.BUTTON_PRESS_MASK)
    window.connect("button-press-event", lambda *_: Gtk.main_quit())
    GLib.timeout_add_seconds(SECONDS, Gtk.main_quit)
    GimpUi.window_set_transient_for_display(window, display)
    window.show_all()
    Gtk.main()
    window.destroy()
