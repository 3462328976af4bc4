"""Everything that can go wrong, as a sentence a photographer understands and a hint what to do.

Each class also has a stable `code`, by which the command line, GIMP or the page can add a hint of its own. Hints here
name no option of any of them.
"""

from __future__ import annotations

import errno

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


class KernelFusionError(Exception):
    """Base of all expected failures.

    Attributes:
        message: one sentence, what happened.
        hint: one sentence, what to do about it; "" where there is nothing to do.
        code: a word that stays the same in all versions, such as "too_small".
        exit_status: what the command `kf` ends with.

    >>> import kf_core
    >>> try:
    ...     kf_core.Settings.preset("quick")
    ... except kf_core.KernelFusionError as error:
    ...     print(error.code, error.message, sep=": ")
    bad_setting: There is no preset 'quick'.
    """

    code = "failed"
    exit_status = 1

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInput(KernelFusionError):
    """The photo, kernel, prior, a setting or a file name cannot be used as it is."""

    code = "bad_input"
    exit_status = 2


class BadPicture(BadInput):
    """Not a picture, or one of a kind that cannot be used."""

    code = "bad_picture"


class TooSmall(BadPicture):
    """A picture with too few pixels to learn from."""

    code = "too_small"


class TooLarge(BadPicture):
    """A picture with more pixels than the device can take."""

    code = "too_large"


class BadKernel(BadInput):
    """Not a kernel, or of a size that does not fit the scale."""

    code = "bad_kernel"


class BadPrior(BadInput):
    """Not a checkpoint of the patch network, or one that does not fit."""

    code = "bad_prior"


class BadSetting(BadInput, ValueError):
    """A setting that does not exist, or a value it cannot have."""

    code = "bad_setting"


class NoDevice(BadInput):
    """A processor that is not there."""

    code = "no_device"


class CannotWrite(BadInput):
    """A file that cannot be written where it should."""

    code = "cannot_write"


class AlreadyThere(CannotWrite):
    """A file that would be replaced without having been asked for."""

    code = "already_there"


class Diverged(KernelFusionError):
    """A number of the computation became infinite or undefined: there is no result."""

    code = "diverged"

    def __init__(
        self,
        message: str = "The computation ran away and has no result.",
        hint: str = "Try another seed or preset; please report the photo if it happens again.",
    ):
        super().__init__(message, hint)


class OutOfMemory(KernelFusionError):
    """The device has too little memory for this photo and these settings."""

    code = "out_of_memory"


class Cancelled(KernelFusionError):
    """The user asked to stop. Nothing was written."""

    code = "cancelled"
    exit_status = 130

    def __init__(self, message: str = "Stopped as you asked; nothing was written.", hint: str = ""):
        super().__init__(message, hint)


class Unavailable(KernelFusionError):
    """Something from the network cannot be had now. Trying again later, or on another network, may help."""

    code = "unavailable"


def reason(error: OSError) -> str:
    """Why the system refused, as a sentence goes on after a colon: "permission denied"."""
    return (error.strerror or str(error)).lower()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory ran out, of whatever device; what torch raises on a CPU has no class of its own."""
    if isinstance(error, (MemoryError, OutOfMemory)) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("allocate memory", "out of memory")
    )
