"""What a run will take, asked of the engine while the dialog is open and without making the dialog wait."""

import time

from engine import in_words
from limits import PRESETS, SCALES
from run import duration

SECONDS_TO_SETTLE = 0.2  # a value that is being typed is not asked for at every key
LONG = 1800  # seconds from which on a run is warned of


class Estimator:
    """Asks for estimates and hands each to `show`, a function of (text, "" or "warning" or "error", offer).

    `offer` is None or {"preset": ..., "scale": ...}: a smaller run that would do.
    """

    def __init__(self, talk, show, hold):
        """`hold`: says whether the engine is busy with something else."""
        self._talk, self._show, self._hold = talk, show, hold
        self._wanted = self._since = self._failed = None
        self._asked, self._answers = [], {}
        self.usual_seconds = 0.0  # that the run takes without a limit to its time, as far as is known
        self.passes = None  # of the denoiser, that there is time for; None without a limit

    def ask(self, sizes, options):
        """For photos of these (width, height), one after the other; the answer comes later."""
        wanted = (sizes, options.engine, options.settings(), options.kernel_known, options.seconds)
        if wanted != self._wanted:
            self._wanted, self._since, self._failed = wanted, time.monotonic(), None
            self._asked, self._answers, self.passes = [], {}, None
            self._show("Estimating …", "", None)

    def forget(self):
        """There is nothing to estimate now."""
        self._wanted = None

    def stop(self):
        """What is still to come is for nobody; the run passes over it."""

    def failed(self, sentence):
        self._failed = self._wanted
        self._show(sentence, "error", None)

    def tick(self):
        if self._wanted is None or self._failed == self._wanted or self._hold():
            return
        if time.monotonic() - self._since < SECONDS_TO_SETTLE:
            return
        engine = self._talk.engine(self._wanted[1])
        if engine is None:
            return
        if not self._asked:
            self._asked = [self._send(engine, self._wanted[2])]
        if all(number in self._answers for number, _ in self._asked):
            self._conclude(engine)

    def _send(self, engine, settings):
        sizes, _, _, known, seconds = self._wanted
        width, height = max(sizes, key=lambda size: size[0] * size[1])
        answers, limit = self._answers, {"seconds": max(1, seconds / self._share())} if seconds else {}
        number = self._talk.ask(
            engine,
            "estimate",
            lambda message: answers.update({message["id"]: message}),
            width=width,
            height=height,
            settings=settings,
            kernel_known=known,
            **limit,
        )
        return number, settings

    def _conclude(self, engine):
        first = self._answers[self._asked[0][0]]
        if first["type"] == "error":
            if first.get("code") == "bad_message":  # of an older version: it does not know the question
                self._show("", "", None)
            else:
                self._show(in_words(first), "error", None)
            self._failed = self._wanted
            return
        text, kind = in_text(first, self._share(), bool(self._wanted[4]))
        self.usual_seconds = (first.get("usual_seconds") or first["seconds"] or 0.0) * self._share()
        self.passes = first.get("passes")
        if not kind or len(self._asked) > 1:
            self._show(text, kind, self._smaller() if kind else None)
            self._failed = self._wanted  # done, until something else is wanted
            return
        self._show(text, kind, None)
        settings = self._wanted[2]
        presets, scale = list(PRESETS), settings["scale"]
        faster = presets[: presets.index(settings["preset"])]
        tries = [(preset, scale) for preset in reversed(faster)]
        tries += [(presets[0], each) for each in reversed(SCALES) if 1 < each < scale]
        self._asked += [
            self._send(engine, {**settings, "preset": preset, "scale": each, "kernel_size": None})
            for preset, each in tries
        ]
        if not tries:
            self._failed = self._wanted

    def _share(self):
        """How many times as long as the largest photo all of them will take, roughly."""
        pixels = [width * height for width, height in self._wanted[0]]
        return sum(pixels) / max(pixels)

    def _smaller(self):
        """The first of the smaller runs that fits and takes not too long; else the quickest that fits."""
        found = [
            (self._answers[number], settings)
            for number, settings in self._asked[1:]
            if self._answers[number]["type"] == "estimate" and self._answers[number]["fits"]
        ]
        if not found:
            return None
        good = [settings for answer, settings in found if (answer["seconds"] or 0) < LONG]
        best = good[0] if good else min(found, key=lambda each: each[0]["seconds"])[1]
        return {"preset": best["preset"], "scale": best["scale"]}


def in_text(answer, times=1.0, limited=False):
    """(sentence, "" or "warning" or "error") of the engine's estimate.

    Args:
        times: how many times as long all layers take.
        limited: a time was chosen.
    """
    seconds, needed, free = (answer.get(name) for name in ("seconds", "memory_bytes", "free_bytes"))
    if not answer["fits"]:
        needs = f"Needs about {gib(needed)} of memory" if needed else "Needs more memory than there is"
        return f"{needs}, and {gib(free)} are free." if free is not None else f"{needs}.", "error"
    seconds *= times
    text = f"Takes {duration(seconds)} and {gib(needed)} of memory."
    if limited and "loss_db" not in answer:
        text += " This engine is too old to choose the time: run 'kf install-gimp' of the same version."
    elif limited and answer["loss_db"]:
        text += f" The picture loses about {max(0.1, answer['loss_db']):.1f} dB for the time."
    return text, "warning" if seconds > LONG else ""


def gib(count):
    if count < 0.05 * 2**30:
        return "less than 0.1 GiB"
    return f"{count / 2**30:.1f} GiB"
