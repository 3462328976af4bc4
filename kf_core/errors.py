"""Everything that can go wrong, as a sentence a photographer understands and a hint what to do."""

from __future__ import annotations


class KernelFusionError(Exception):
    """Base of all expected failures.

    Args:
        message: one sentence, what happened.
        hint: one sentence, what to do about it.
    """

    exit_status = 1

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInput(KernelFusionError):
    """The photo, kernel, checkpoint or a setting cannot be used as it is."""

    exit_status = 2


class Diverged(KernelFusionError):
    """The optimisation left the finite numbers: there is no result."""


class OutOfMemory(KernelFusionError):
    """The device has too little memory for this photo and these settings."""


class Cancelled(KernelFusionError):
    """The user asked to stop. Nothing was written."""

    exit_status = 130

    def __init__(self, message: str = "Stopped as you asked; nothing was written.", hint: str = ""):
        super().__init__(message, hint)


class Unavailable(KernelFusionError):
    """Something from the network cannot be had now: later, or on another network, it may be."""
