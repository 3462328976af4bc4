"""The command line in this process, with an engine that enlarges plainly: for tests of everything around the engine."""

import numpy as np
import typer

import kf_core
from kf_core.cli import console
from kf_core.cli.main import app
from kf_core.result import SuperResolution


class PlainEngine:
    """Takes the engine's place: repeats pixels, and remembers what it was given."""

    def __init__(self):
        self.pixels = self.kernel = self.settings = None
        self.calls = 0

    def __call__(self, pixels, settings, kernel=None, **_):
        self.pixels, self.kernel, self.settings, self.calls = pixels, kernel, settings, self.calls + 1
        image = pixels.repeat(settings.scale, 0).repeat(settings.scale, 1)
        size = 6 * settings.scale
        taps = np.full((size, size), 1 / size**2, np.float32) if kernel is None else kernel.astype(np.float32)
        return SuperResolution(image, taps, {"kernel": taps.tolist()})


class Kf:
    """Calls `kf ARGUMENTS`; .status, .out and .err are what came of it."""

    def __init__(self, capsys, monkeypatch):
        self._capsys, self.engine = capsys, PlainEngine()
        monkeypatch.setattr(console.stop, "asked", False)
        monkeypatch.setattr(kf_core, "super_resolve", self.engine, raising=False)

    def __call__(self, *arguments):
        self._capsys.readouterr()
        try:
            words = [str(argument) for argument in arguments]
            status = typer.main.get_command(app).main(words, prog_name="kf", standalone_mode=False)
        except Exception as error:
            status = console.complain(error)
        self.status = status or 0
        self.out, self.err = self._capsys.readouterr()
        return self
