#!/usr/bin/env python3
"""Filters > Enhance > KernelFusion Super-Resolution, a plug-in for GIMP 3.

GIMP's own Python has neither torch nor numpy. The files of this folder need the standard library and gi alone: they
write the pixels to a file, let KernelFusion's engine (a process of its own; docs/engine-protocol.md) compute, and read
the result. The installer leaves kernelfusion.json beside them, which says where the engine is.
"""

import contextlib
import os
import sys

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from choices import forget_choices, keep_choices, restore_choices  # noqa: E402 - after the versions are chosen
from common import PROCEDURE, Failure, log_path  # noqa: E402
from engine import Engines  # noqa: E402
from gi.repository import Gimp, GLib, GObject  # noqa: E402
from limits import DEVICES, KERNELS, MOST, PRESETS  # noqa: E402
from options import Options  # noqa: E402
from run import enlarge  # noqa: E402


class KernelFusion(Gimp.PlugIn):
    def do_set_i18n(self, name):
        return False

    def do_query_procedures(self):
        return [PROCEDURE]

    def do_create_procedure(self, name):
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, self.run, None)
        procedure.set_image_types("*")
        # With no layer or several the visible image is still there, and the rest is better said than greyed out.
        kinds = Gimp.ProcedureSensitivityMask
        procedure.set_sensitivity_mask(kinds.DRAWABLE | kinds.DRAWABLES | kinds.NO_DRAWABLES)
        procedure.set_menu_label("KernelFusion _Super-Resolution…")
        procedure.add_menu_path("<Image>/Filters/Enhance")
        procedure.set_documentation(
            "Enlarge a photo and recover the kernel that shrank it",
            "Blind super-resolution: recovers the large image and the kernel that once blurred and shrank it, from the "
            "photo alone. The engine runs as a process of its own; 'kf install-gimp' sets it up.",
            name,
        )
        procedure.set_attribution("KernelFusion", "KernelFusion", "2026")
        flags = GObject.ParamFlags.READWRITE
        add_int, add_text = procedure.add_int_argument, procedure.add_string_argument
        # The ranges are wide on purpose: GIMP replaces a value outside without a word, Options refuses it with one.
        add_int("scale", "Sc_ale", "How many times larger: 2, 3 or 4; 1: the same size, sharper", -MOST, MOST, 4, flags)
        add_text("preset", "_Preset", f"How much work to put in: {', '.join(PRESETS)}", "fast", flags)
        add_int(
            "kernel-size",
            "Kernel si_ze (0: auto)",
            "Taps per side of the kernel, scale to 16 times it, odd at scales 1 and 3, else even; 0: automatic",
            -MOST,
            MOST,
            0,
            flags,
        )
        add_text(
            "use",
            "_Use",
            "What to enlarge: layer, selection (of the layer), visible (image), or auto: the selection where there is "
            "one, and else the layer",
            "auto",
            flags,
        )
        add_text(
            "result",
            "Resul_t",
            "What becomes of it: new-image, new-layer (in this image, larger) or same-size (into the layer where it is "
            "selected: enlarged and reduced again)",
            "new-image",
            flags,
        )
        add_text(
            "kernel",
            "_Kernel",
            f"Where the kernel comes from: {', '.join(KERNELS)}; a known one can be used for many photos",
            "photo",
            flags,
        )
        add_text("kernel-file", "Kernel _file", "The .npy file with the kernel, where it comes from a file", "", flags)
        add_int(
            "strength",
            "Stren_gth",
            "Per cent of the result; the rest is the plain enlargement",
            -MOST,
            MOST,
            100,
            flags,
        )
        procedure.add_boolean_argument(
            "add-kernel",
            "Add the kernel as a la_yer",
            "Also add the kernel as a hidden layer, which can be painted on and used again",
            False,
            flags,
        )
        procedure.add_boolean_argument(
            "varying",
            "_Blur varies over the photo",
            "Look for blur that varies over the photo, as of a camera that was turned; takes longer",
            False,
            flags,
        )
        add_int(
            "seconds",
            "Ti_me",
            "About how many seconds it may take: a large photo gets fewer passes, and loses a little; 0: as long as it "
            "needs",
            -MOST,
            MOST,
            0,
            flags,
        )
        add_int("seed", "Seed", "The same seed, 0 or larger, gives the same result again", -MOST, MOST, 0, flags)
        add_text("device", "De_vice", f"Where to compute: {', '.join(DEVICES)}", "auto", flags)
        add_text(
            "engine",
            "_Engine",
            "The Python that has KernelFusion, or the folder of its environment; empty: as installed",
            "",
            flags,
        )
        add_text(
            "advanced",
            "Adva_nced",
            "Other settings as NAME=VALUE, separated by spaces; see KernelFusion's docs",
            "",
            flags,
        )
        procedure.add_image_return_value("result-image", "Image", "The image that has the result", False, flags)
        procedure.add_layer_return_value("result-layer", "Layer", "The layer that has the result", False, flags)
        return procedure

    def run(self, procedure, run_mode, image, drawables, config, data):
        """Whatever happens, GIMP gets a status and a sentence: an uncaught exception would be an empty message."""
        if hasattr(os, "setpgid"):
            with contextlib.suppress(OSError):
                os.setpgid(0, 0)  # so that GIMP's Cancel reaches whatever this process started
        chosen = False
        try:
            with Engines() as engines:
                if run_mode != Gimp.RunMode.NONINTERACTIVE:
                    restore_choices(config)
                if run_mode == Gimp.RunMode.INTERACTIVE:
                    from dialog import ask

                    if not ask(procedure, config, image, drawables, engines):
                        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
                    chosen = True
                shown = run_mode != Gimp.RunMode.NONINTERACTIVE
                found, layer, notice = enlarge(image, drawables, Options(config, image), engines, shown)
            if shown:
                forget_choices()
            if notice is not None:
                from notice import show_notice

                show_notice(*notice)
        except Failure as failure:
            if chosen:
                keep_choices(config)
            return self._failed(procedure, failure.status, str(failure))
        except Exception as error:
            import traceback

            log = log_path()
            with open(log, "a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
            sentence = f"Something went wrong that should not: {error!r}. Please report it with {log}."
            return self._failed(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, sentence)
        values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
        for position, (kind, value) in enumerate(((Gimp.Image, found), (Gimp.Layer, layer)), start=1):
            values.remove(position)
            values.insert(position, GObject.Value(kind, value))
        return values

    def _failed(self, procedure, status, sentence):
        return procedure.new_return_values(status, GLib.Error.new_literal(Gimp.PlugIn.error_quark(), sentence, 0))


Gimp.main(KernelFusion.__gtype__, sys.argv)
