"""The dialog."""

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from common import Failure  # noqa: E402 - after the versions are chosen
from estimator import Estimator  # noqa: E402
from gi.repository import GimpUi, GLib, GObject, Gtk  # noqa: E402
from guide import show_guide  # noqa: E402
from limits import (  # noqa: E402
    DEVICES,
    KERNELS,
    MOST,
    PRESETS,
    RESULTS,
    SCALES,
    TIMES,
    USES,
    largest_kernel,
    nearest_kernel,
    usual_kernel,
)
from options import Options  # noqa: E402
from preview import Preview  # noqa: E402
from run import duration  # noqa: E402
from source import areas  # noqa: E402
from talk import Talk  # noqa: E402

TITLE = "KernelFusion Super-Resolution"
CHOSEN_FROM = 60  # seconds from which on a run's time can be chosen
COLOURS = {"warning": "#cc6a00", "error": "#e03a2c"}  # to be read on light and dark themes
BOTH = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE


def ask(procedure, config, image, drawables, engines):
    """Shows the dialog. False: the user does not want to."""
    GimpUi.init("kernelfusion")
    return Dialog(procedure, config, image, drawables, engines).run()


class Dialog:
    def __init__(self, procedure, config, image, drawables, engines):
        self.procedure, self.config, self.image, self.drawables = procedure, config, image, drawables
        self.dialog = GimpUi.ProcedureDialog.new(procedure, config, TITLE)
        self.size = Gtk.Label(xalign=0.0)
        self.costs = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=52, width_chars=36)
        self.offer = Gtk.Button(no_show_all=True, halign=Gtk.Align.START, use_underline=True)
        self.offered = None
        self.offer.connect("clicked", self._take_offer)
        self.talk = Talk(engines)
        self.preview = Preview(self.talk, image, drawables, self._options, lambda: self.estimator.passes)
        self.estimator = Estimator(self.talk, self._show_costs, lambda: self.preview.busy)
        self.talk.parts = [self.preview, self.estimator]
        self.labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)  # of equal width
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, border_width=12)
        box.add(self._main())
        expander = Gtk.Expander(label="_Details", use_underline=True)
        expander.add(self._details())
        box.add(expander)
        self.time = self._time()
        below = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        for widget in (self.costs, self._table([("seconds", self.time)], self.labels), self.offer):
            below.add(widget)
        box.add(below)
        both = Gtk.Box(spacing=6)
        both.add(box)
        both.add(Gtk.Separator(orientation=Gtk.Orientation.VERTICAL))
        self.preview.widget.set_border_width(12)
        both.add(self.preview.widget)
        both.show_all()
        self.dialog.get_content_area().pack_start(both, True, True, 0)
        self._own_help()
        self._changed()
        config.connect("notify", self._changed)

    def run(self):
        try:
            return self.dialog.run()
        finally:
            self.talk.stop()
            self.dialog.destroy()

    # -- what is in it

    def _main(self):
        scale = self._numbers(
            "scale", {each: "The same size, sharper" if each == 1 else f"{each} times" for each in SCALES}
        )
        main = self._table(
            [
                ("scale", scale),
                ("preset", self._combo("preset", PRESETS)),
                ("use", self._combo("use", USES)),
                ("result", self._combo("result", RESULTS)),
                ("kernel", self._combo("kernel", KERNELS)),
                ("kernel-file", self._kernel_file()),
                ("strength", self._strength()),
            ],
            self.labels,
        )
        main.attach(self.size, 1, 7, 1, 1)
        for row, name in enumerate(("varying", "add-kernel"), start=8):
            box = Gtk.CheckButton(label=self.procedure.find_argument(name).nick, use_underline=True)
            box.set_tooltip_text(self.procedure.find_argument(name).blurb)
            self.config.bind_property(name, box, "active", BOTH)
            main.attach(box, 0, row, 2, 1)
        return main

    def _details(self):
        more = self._table(
            [
                ("kernel-size", self._kernel_size()),
                ("seed", self._number("seed", 0, MOST)),
                ("device", self._combo("device", DEVICES)),
                ("engine", self._entry("engine", "as installed")),
                ("advanced", self._entry("advanced", "NAME=VALUE …")),
            ]
        )
        more.set_margin_start(12)
        return more

    def _table(self, rows, labels=None):
        """Rows of (argument, widget). `labels`: a Gtk.SizeGroup that those of the rows are put into."""
        grid = Gtk.Grid(column_spacing=6, row_spacing=6)
        for row, (name, widget) in enumerate(rows):
            argument = self.procedure.find_argument(name)
            label = Gtk.Label(label=argument.nick, use_underline=True, xalign=0.0, mnemonic_widget=widget)
            widget.set_tooltip_text(argument.blurb)
            widget.set_hexpand(True)
            if widget.get_no_show_all():
                label.set_no_show_all(True)
                widget.bind_property("visible", label, "visible", GObject.BindingFlags.SYNC_CREATE)
            if labels is not None:
                labels.add_widget(label)
            grid.attach(label, 0, row, 1, 1)
            grid.attach(widget, 1, row, 1, 1)
        return grid

    def _combo(self, name, labels):
        widget = Gtk.ComboBoxText()
        for key, label in labels.items():
            widget.append(key, label)
        self.config.bind_property(name, widget, "active-id", BOTH)
        return widget

    def _numbers(self, name, labels):
        """As _combo, of an argument that is a number."""
        widget = Gtk.ComboBoxText()
        for value, label in labels.items():
            widget.append(str(value), label)
        usual = next(iter(labels))
        self.config.bind_property(
            name, widget, "active-id", BOTH, lambda _, value: str(value), lambda _, text: int(text or usual)
        )
        return widget

    def _time(self):
        """Shown only where a run takes long, or its time was chosen before."""
        chosen = self.config.get_property("seconds")
        widget = self._numbers("seconds", {**TIMES, chosen: TIMES.get(chosen) or duration(chosen).capitalize()})
        widget.set_no_show_all(True)
        return widget

    def _number(self, name, low, high, step=1):
        widget = Gtk.SpinButton.new_with_range(low, high, step)
        widget.set_activates_default(True)
        self.config.bind_property(name, widget, "value", BOTH)
        return widget

    def _entry(self, name, placeholder):
        widget = Gtk.Entry(width_chars=34, activates_default=True, placeholder_text=placeholder)
        self.config.bind_property(name, widget, "text", BOTH)
        return widget

    def _strength(self):
        widget = Gtk.Scale.new_with_range(Gtk.Orientation.HORIZONTAL, 0, 100, 5)
        widget.set_value_pos(Gtk.PositionType.RIGHT)
        self.config.bind_property("strength", widget.get_adjustment(), "value", BOTH)
        return widget

    def _kernel_file(self):
        """Shown only where the kernel is one from a file."""
        button = Gtk.FileChooserButton.new("A kernel, as 'kf kernel' writes it", Gtk.FileChooserAction.OPEN)
        button.set_no_show_all(True)
        only = Gtk.FileFilter()
        only.set_name("Kernels (.npy)")
        only.add_pattern("*.npy")
        button.add_filter(only)
        if chosen := self.config.get_property("kernel-file"):
            button.set_filename(chosen)
        button.connect("file-set", lambda _: self.config.set_property("kernel-file", button.get_filename() or ""))
        self.config.connect("notify::kernel", lambda *_: button.set_visible(self._from_file()))
        button.set_visible(self._from_file())
        return button

    def _from_file(self):
        return self.config.get_property("kernel") == "file"

    def _kernel_size(self):
        """A number that steps over what does not fit the scale."""
        widget = self._number("kernel-size", 0, largest_kernel(SCALES[-1]), 2)
        before = [self.config.get_property("kernel-size")]

        def fit(*_):
            scale, size = self.config.get_property("scale"), int(widget.get_value())
            widget.set_range(0, largest_kernel(scale))
            fitting = nearest_kernel(size, scale, before[0])
            before[0] = fitting
            if fitting != size:
                widget.set_value(fitting)
            widget.set_tooltip_text(
                f"0: automatic ({usual_kernel(scale)}); else {scale} to {largest_kernel(scale)}, "
                f"{'odd' if scale % 2 else 'even'}"
            )

        widget.connect("value-changed", fit)
        self.config.connect("notify::scale", fit)
        fit()
        return widget

    # -- what it says

    def _options(self):
        """What is chosen now. Raises Failure."""
        return Options(self.config, self.image)

    def _changed(self, *_):
        """Something was chosen: the size of the result, and what the run will take."""
        try:
            options = self._options()
            found = areas(self.image, self.drawables, options)
            self.preview.changed(options)
        except Failure as failure:
            self.estimator.forget()
            self.preview.impossible()
            self.size.set_text("")
            self._show_costs(str(failure), "error", None)
            return
        factor = 1 if options.result == "same-size" else options.scale
        _, (_, _, width, height), _ = found[-1]
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        self.size.set_text(f"{width} × {height} → {width * factor} × {height * factor} pixels{more}")
        self.estimator.ask([seen[2:] for _, _, seen in found], options)

    def _show_costs(self, text, kind, offer):
        safe = GLib.markup_escape_text(text)
        self.costs.set_markup(f'<span foreground="{COLOURS[kind]}">{safe}</span>' if kind else safe)
        self.time.set_visible(bool(self.config.get_property("seconds")) or self._takes_long())
        self.offered = offer
        if offer is not None:
            current = {name: self.config.get_property(name) for name in offer}
            words = [f"preset {PRESETS[offer['preset']]}"] if offer["preset"] != current["preset"] else []
            words += [f"scale {offer['scale']}"] if offer["scale"] != current["scale"] else []
            self.offer.set_label("S_witch to " + ", ".join(words))
        self.offer.set_visible(offer is not None)

    def _takes_long(self):
        return self.estimator.usual_seconds > CHOSEN_FROM and self.config.get_property("preset") != "paper"

    def _take_offer(self, _):
        for name, value in (self.offered or {}).items():
            self.config.set_property(name, value)

    def _own_help(self):
        """GIMP's Help button would look for a manual on the net; the filter's own lies beside it."""
        theirs = self.dialog.get_widget_for_response(Gtk.ResponseType.HELP)
        if theirs is None:
            return
        box = theirs.get_parent()
        box.remove(theirs)
        button = Gtk.Button(label="_Help", use_underline=True)
        button.connect("clicked", lambda _: show_guide(self.dialog))
        box.add(button)
        if isinstance(box, Gtk.ButtonBox):
            box.set_child_secondary(button, True)
        button.show()
