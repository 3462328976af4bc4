"""Errors on their way to the visitor: sentences, and never a trace."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from kf_core import Cancelled, KernelFusionError
from kf_core.errors import is_out_of_memory

log = logging.getLogger("web_demo")
UNREADABLE = "This cannot be read."


def verdict_of(check: Callable[[], Any]) -> tuple[bool, str]:
    """(whether the check passes, else the sentence that says why)."""
    try:
        check()
    except KernelFusionError as error:
        return False, str(error)
    except (OSError, ValueError, TypeError, OverflowError):
        return False, UNREADABLE
    return True, ""


@contextlib.contextmanager
def as_errors() -> Iterator[None]:
    """Errors as sentences on the page; what nobody expected goes to the log and not to the visitor."""
    try:
        yield
    except gr.Error:
        raise
    except Cancelled:
        raise gr.Error("You stopped this run.", title="Stopped", visible=False, print_exception=False) from None
    except KernelFusionError as error:
        raise gr.Error(
            f"{error.message} {error.hint}".strip(), title="That did not work", print_exception=False
        ) from None
    except Exception as error:
        log.exception("a handler failed")
        text = "Something went wrong here, not with your photo. Please try again later."
        if is_out_of_memory(error):
            text = "The memory of this page's computer did not suffice. Use a smaller part of the photo."
        raise gr.Error(text, title="Our fault", print_exception=False) from None
