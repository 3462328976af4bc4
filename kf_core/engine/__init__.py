"""The engine as a process of its own: hosts whose Python has no torch (GIMP, Krita, a script) talk to it over pipes.

    python -I -m kf_core.engine [--log FILE]

The process started is the *supervisor*: standard library only, so that it answers at once whatever torch is doing.
It owns the private directory the pixels travel in and starts the *worker*, which computes. When the host closes the
pipe or asks to cancel, the supervisor ends the worker and removes the directory. docs/engine-protocol.md has the rest.
"""

PROTOCOL = 1  # raised when a message changes its meaning; a new kind of message, or a new field, does not
