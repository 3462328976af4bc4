"""The dialog's conversation with the engine, which never makes the dialog wait."""

import time

from common import Failure
from gi.repository import GLib
from limits import PROTOCOL

MILLISECONDS = 80  # between two looks at what the engine says
SECONDS_TO_STOP = 3  # that an engine has to end a job, before it is ended itself


class Talk:
    """Asks the engine and hands each answer to whoever asked.

    `parts` have tick(), called many times a second, and failed(sentence), called when the engine has ended.
    """

    def __init__(self, engines):
        self.parts, self.ending = [], False
        self._engines, self._handlers, self._number = engines, {}, 0
        self._timer = GLib.timeout_add(MILLISECONDS, self._tick)

    def stop(self):
        """Leaves an engine that is free for the run."""
        GLib.source_remove(self._timer)
        for part in self.parts:
            part.stop()
        end = time.monotonic() + SECONDS_TO_STOP
        try:
            while self.ending and time.monotonic() < end:
                self._listen()
                time.sleep(0.02)
        except Failure:
            pass
        if self.ending:
            self._engines.close()

    def engine(self, wanted):
        """The engine of that path, or None as long as it is starting. Raises Failure."""
        engine = self._engines.at(wanted)
        return None if engine.greet(0) is None else engine

    def ask(self, engine, kind, handler, **content):
        """Sends a message; `handler` gets all that comes back about it. The message's id."""
        self._number += 1
        self._handlers[self._number] = handler
        engine.say(type=kind, protocol=PROTOCOL, id=self._number, **content)
        return self._number

    def cancel(self, engine, number):
        """Ends the job under way; `ending` is true until it has ended, some seconds at most."""
        self.ending = True
        self._handlers[number] = self._ended
        engine.say(type="cancel")

    def _ended(self, message):
        self.ending = message["type"] not in ("result", "error")

    def _tick(self):
        try:
            for part in self.parts:
                part.tick()
            self._listen()
        except Failure as failure:
            self._handlers.clear()
            self.ending = False
            self._engines.close()
            for part in self.parts:
                part.failed(str(failure))
        return True

    def _listen(self):
        engine = self._engines.running
        if engine is None or engine.hello is None:
            return
        while (message := engine.hear(0)) is not None:
            handler = self._handlers.get(message.get("id"))
            if message["type"] in ("estimate", "result", "error"):
                self._handlers.pop(message.get("id"), None)
            if handler is not None:
                handler(message)
