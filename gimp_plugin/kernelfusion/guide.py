"""The guide to the filter, docs/gimp.md, in a window of its own."""

import re

from common import FOLDER
from gi.repository import Gdk, Gtk


def show_guide(parent):
    """Opens the window; the dialog does not wait for it."""
    try:
        text = readable((FOLDER / "gimp.md").read_text(encoding="utf-8"))
    except OSError:
        text = "The guide is missing: run 'kf install-gimp' again."
    window = Gtk.Window(title="KernelFusion: guide to the filter", transient_for=parent)
    window.set_default_size(720, 560)
    view = Gtk.TextView(
        editable=False,
        cursor_visible=False,
        wrap_mode=Gtk.WrapMode.WORD,
        left_margin=16,
        right_margin=16,
        top_margin=12,
    )
    view.get_buffer().set_text(text)
    inside = Gtk.ScrolledWindow()
    inside.add(view)
    window.add(inside)
    window.connect("key-press-event", lambda _, event: event.keyval == Gdk.KEY_Escape and not window.destroy())
    window.show_all()


def readable(markdown):
    """Markdown as plain text: what is only for a browser left out, paragraphs unwrapped, tables as lists."""
    shown = []
    for block in re.split(r"\n{2,}", markdown.strip()):
        lines = block.splitlines()
        if block.startswith("!["):
            continue
        if block.startswith("```"):
            shown.append("\n".join("    " + line for line in lines if not line.startswith("```")))
            continue
        if block.startswith("|"):
            rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if "---" not in line]
            lines = ["- " + ": ".join(cell for cell in row if cell) for row in rows[1:]]
        text = re.sub(r"\n(?!- )\s*", " ", "\n".join(lines))
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
        text = re.sub(r"[*`]", "", text)
        shown.append(text.lstrip("# ").upper() if block.startswith("#") else text.replace("\n- ", "\n• "))
    return "\n\n".join("• " + text[2:] if text.startswith("- ") else text for text in shown)
