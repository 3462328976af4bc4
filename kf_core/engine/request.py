"""What a host may ask for. Wrong JSON types are found here, before anything is done, and are the host's to mend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kf_core.errors import BadInput

TASKS = ("super_resolve", "recover_kernel", "preview")

# JSON's name of each type, and what Python makes of it. bool is an int to Python and not to JSON.
WHOLE, NUMBER, TEXT, YES_NO = "a whole number", "a number", "a string", "true or false"
LIST_OF_TEXT, OBJECT = "a list of strings", "an object"

PICTURE = {"file": TEXT, "width": WHOLE, "height": WHOLE, "channels": WHOLE}
KERNEL = {"file": TEXT, "size": WHOLE, "scale": WHOLE}
SPOT = {"x": WHOLE, "y": WHOLE, "width": WHOLE, "height": WHOLE}
SETTINGS = {
    "preset": TEXT,
    "scale": WHOLE,
    "kernel_size": WHOLE,
    "seed": WHOLE,
    "device": TEXT,
    "overrides": LIST_OF_TEXT,
}
JOB = {
    "input": OBJECT,
    "settings": OBJECT,
    "kernel": OBJECT,
    "task": TEXT,
    "spot": OBJECT,
    "reduce": YES_NO,
    "preview": YES_NO,
    "strength": NUMBER,
    "seconds": NUMBER,
}
ESTIMATE = {"width": WHOLE, "height": WHOLE, "settings": OBJECT, "kernel_known": YES_NO, "seconds": NUMBER}


class BadRequest(BadInput):
    """A message whose fields are not of the kinds that the protocol says."""

    code = "bad_request"


def check_job(message: Mapping[str, Any]) -> None:
    """Raises BadRequest for a job whose fields are missing, or of another JSON type than the protocol says."""
    check(message, JOB, needed=("input",))
    check(message["input"], PICTURE, "input.", needed=tuple(PICTURE))
    check(message.get("settings") or {}, SETTINGS, "settings.")
    if (kernel := message.get("kernel")) is not None:
        check(kernel, KERNEL, "kernel.", needed=("file", "size"))
    if (task := message.get("task", "super_resolve")) not in TASKS:
        raise BadRequest(f"There is no task '{task}'.", f"There are: {', '.join(TASKS)}.")
    spot = message.get("spot")
    if (spot is None) == (task == "preview"):
        raise BadRequest("A preview needs a spot, and nothing else has one.", "Give both, or none of them.")
    if spot is not None:
        check(spot, SPOT, "spot.", needed=tuple(SPOT))
    if message.get("seconds") is not None and task != "super_resolve":
        raise BadRequest(f"The task '{task}' has no time to choose.", "Leave the field seconds out.")
    strength = message.get("strength")
    if strength is not None and not 0 <= strength <= 1:
        raise BadRequest(f"A strength of {strength} is not possible.", "Use a number from 0 to 1.")


def check_estimate(message: Mapping[str, Any]) -> None:
    """The same for a message that asks for an estimate."""
    check(message, ESTIMATE, needed=("width", "height"))
    check(message.get("settings") or {}, SETTINGS, "settings.")


def check(found: Mapping[str, Any], wanted: Mapping[str, str], where: str = "", needed: tuple[str, ...] = ()) -> None:
    """Raises BadRequest unless every field of `wanted` that is there, and not null, is of its type."""
    for name, what in wanted.items():
        value = found.get(name)
        if value is None and name in needed:
            raise BadRequest(f"The field {where}{name} is missing.", f"It has to be {what}.")
        if value is not None and not _is(value, what):
            raise BadRequest(f"The field {where}{name} is not {what}.", f"It is {value!r:.80}.")


def _is(value: Any, what: str) -> bool:
    if what == LIST_OF_TEXT:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if what == NUMBER:
        return type(value) in (int, float)
    return type(value) is {WHOLE: int, TEXT: str, YES_NO: bool, OBJECT: dict}[what]
