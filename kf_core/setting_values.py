"""Trees of frozen dataclasses whose fields say what they mean and what they can be: `settings.py` is one."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from dataclasses import field, fields, is_dataclass, replace
from functools import cache
from typing import Any, get_args, get_type_hints

from kf_core.errors import BadSetting


def setting(default: Any, meaning: str, low: float = -math.inf, high: float = math.inf, choices: tuple = ()) -> Any:
    """A field with its meaning and what values it can have: low..high for numbers, `choices` for words."""
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high, "choices": choices})


@cache
def kinds_of(branch: type) -> dict[str, Any]:
    """The types of a dataclass's fields."""
    return get_type_hints(branch)


def leaves(branch: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any, Any]]:
    """(dotted name, value, field, type) of every setting."""
    for entry in fields(branch):
        value = getattr(branch, entry.name)
        if is_dataclass(value):
            yield from leaves(value, f"{prefix}{entry.name}.")
        else:
            yield prefix + entry.name, value, entry, kinds_of(branch.__class__)[entry.name]


def check_value(name: str, value: Any, entry: Any, kind: Any) -> None:
    """Raises BadSetting unless `value` is of the type, the range and the choices of its field."""
    low, high, choices = (entry.metadata[key] for key in ("low", "high", "choices"))
    many, kinds = kind == tuple[int, ...], get_args(kind) or (kind,)
    fits = True
    if choices:
        hint, fits = f"There are: {', '.join(choices)}.", value in choices
    elif many:
        hint = "Give whole numbers, as in 400,200,100."
        fits = isinstance(value, tuple) and all(type(part) is int for part in value)
    elif kind is bool:
        hint, fits = "Use True or False.", isinstance(value, bool)
    elif int in kinds or float in kinds:
        what = "a number" if float in kinds else "a whole number"
        bound = f" from {low:g} to {high:g}" if math.isfinite(high) else f" of at least {low:g}"
        hint = f"Use {what}{bound if math.isfinite(low) else ''}{', or None' if type(None) in kinds else ''}."
        whole = type(value) is int or (float in kinds and type(value) is float)
        fits = (value is None and type(None) in kinds) or (whole and math.isfinite(value) and low <= value <= high)
    else:
        hint, fits = "Use a word.", isinstance(value, str)
    if not fits:
        raise BadSetting(f"'{value}' is not a value for {name}.", hint)


def overridden(branch: Any, path: list[str], text: str, name: str) -> Any:
    """The tree with the setting at `path` changed to what `text` says. Raises BadSetting that speaks of `name`."""
    entry = {entry.name: entry for entry in fields(branch)}.get(path[0])
    if entry is None:
        known = ", ".join(entry.name for entry in fields(branch))
        raise BadSetting(f"There is no setting called '{name}'.", f"At that place there are: {known}.")
    old = getattr(branch, path[0])
    if is_dataclass(old) != (len(path) > 1):
        raise BadSetting(
            f"'{name}' does not name one setting.", "Give the full dotted name, as in recovery.iterations=5."
        )
    if is_dataclass(old):
        return replace(branch, **{path[0]: overridden(old, path[1:], text, name)})
    kind = kinds_of(branch.__class__)[path[0]]
    try:
        new = text if kind is str else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        new = text
    if kind == tuple[int, ...] and type(new) is int:
        new = (new,)
    check_value(name, new, entry, kind)
    return replace(branch, **{path[0]: float(new) if float in (get_args(kind) or (kind,)) and new is not None else new})
