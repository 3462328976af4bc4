"""How far to trust a result, in words: for the page, as HTML."""

from __future__ import annotations

import html
from typing import Any

LOW = 0.35  # below this confidence the page says what to try
WELL, MOSTLY = 2.0, 5.0  # grey levels of 255 that kernel and image may leave unexplained


def verdict(report: dict[str, Any], timed: bool = True) -> str:
    """A plain sentence with the number behind it, what to try where it is low, what the engine noted, the time."""
    seconds = sum((report.get("seconds") or {}).values()) if timed else 0
    lines = [_confidence(report), _advice(report), *map(_note, notes(report))]
    lines.append(f"Time taken: {in_words(seconds)}." if seconds else "")
    return "<div class='kf-verdict' role='status'>" + "".join(f"<p>{line}</p>" for line in lines if line) + "</div>"


def notes(report: dict[str, Any]) -> list[str]:
    """The sentences that the engine and the readers of files left in the report."""
    regions = (report.get("regions") or {}).get("sentence")
    said = [*([regions] if regions else []), *(report.get("warnings") or ()), *(report.get("notes") or ())]
    return list(dict.fromkeys(str(sentence) for sentence in said))


def _confidence(report: dict[str, Any]) -> str:
    sentence, confidence = report.get("confidence_sentence"), report.get("confidence")
    if isinstance(confidence, (int, float)):
        number = f"<strong>Confidence {confidence:.0%}.</strong> "
        return number + html.escape(str(sentence or ""))
    if sentence:
        return html.escape(str(sentence))
    given = report.get("kernel_source") == "given"
    judged = report.get("given_kernel")
    if given and judged:
        return f"<strong>{html.escape(judged['words'])}</strong> {html.escape(judged['sentence'])}"
    error = report.get("consistency_rms_grey_levels")
    if error is None:
        return ""
    source = "the kernel you gave" if given else "the recovered kernel"
    if error < WELL:
        words = "Image and kernel explain your photo well"
    elif error < MOSTLY:
        words = "Image and kernel explain most of your photo"
    else:
        words = "Image and kernel do not explain your photo well: look twice before you believe the details"
    return (
        f"<strong>{words}.</strong> The result, blurred with {source} and shrunk again, differs from what "
        f"you uploaded by {error:.1f} of 255 grey levels on average."
    )


def _advice(report: dict[str, Any]) -> str:
    confidence = report.get("confidence")
    if not isinstance(confidence, (int, float)) or confidence >= LOW:
        return ""
    settings = report.get("settings") or {}
    tries = ["a part with sharp edges in several directions and little noise"]
    if settings.get("estimator") != "learned":  # a search may end elsewhere
        tries.append("another seed (under Advanced)")
    if settings.get("preset_name") == "fast":
        tries.append("the Balanced quality")
    if settings.get("scale", 2) > 2:
        tries.append("a smaller enlargement")
    tries.append("drawing the kernel yourself, further down")
    return f"What may help: {', '.join(tries[:-1])}, or {tries[-1]}."


def _note(sentence: str) -> str:
    return f"<span class='kf-note'>Note: {html.escape(sentence)}</span>"


def in_words(seconds: float) -> str:
    """Never more exact than an estimate can be."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def roughly(seconds: float) -> str:
    """Of an estimate, in steps that do not promise too much."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {10 * round(seconds / 10)} seconds"
    if seconds < 600:
        minutes = max(2, round(seconds / 60))
        return f"about {minutes} minutes"
    if seconds < 5400:
        return f"about {5 * round(seconds / 300)} minutes"
    return f"about {max(2, round(seconds / 3600))} hours"
