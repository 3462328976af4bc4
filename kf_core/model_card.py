"""The README.md of a published prior, written from what its checkpoint says of itself; what is missing is left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kf_core.networks.patch_diffusion import RECEPTIVE_FIELD

LIBRARY = "kernelfusion"
TAGS = (LIBRARY, "super-resolution", "blind-super-resolution", "image-restoration", "diffusion")
MOST_ROWS = 12  # of the training curve
FIGURES = {
    "loss_first": "velocity error (MSE), first hundred steps",
    "loss_last": "velocity error (MSE), last hundred steps",
    "loss_held_out": "velocity error (MSE), held-out photographs, without augmentation",
    "seconds": "seconds of training",
    "machine": "machine",
    "torch": "version of torch",
}
ERRORS = """\
How far the clean image, as estimated in one pass from a held-out photograph noised to timestep t, is from the true one
(root mean square, grey levels of 0 to 255), beside guesses that have learned nothing:
"""
COLUMNS = {
    "unchanged": "the noised image itself, its signal scaled back to full",
    "mean": "the mean colour of the photographs learned from",
    "blur": "the Gaussian blur that serves best at that timestep",
    "from_scratch": "networks that learned one half of a photograph; prior_there: this prior on the other halves",
}
NO_CREDITS = """\
**The checkpoint names no author, licence or source of the photographs it learned from. Whoever publishes it must add
them here first.**"""


def model_card(name: str, repo: str, licence: str, sha256: str, config: dict, training: dict) -> str:
    """The card: front matter as the Hub reads it, then what the prior is, how it came about, and from what.

    Args:
        name: the file of the weights.
        config: the architecture.
        training: as in the checkpoint; any key may be missing.
    """
    tags = "".join(f"- {tag}\n" for tag in TAGS)
    front = f"---\nlicense: {licence}\nlibrary_name: {LIBRARY}\npipeline_tag: image-to-image\ntags:\n{tags}---\n"
    parts = [front, _what_it_is(name, repo, licence, sha256, config), _how_it_was_trained(training)]
    parts += [_figures(training), _photographs(training)]
    return "\n".join(part for part in parts if part)


def uncredited(training: dict) -> list[str]:
    """The training photographs of which the checkpoint states no licence. An author may be unknown."""
    stated = [row for row in _rows(training, "credits") if row.get("license") not in (None, "", "unknown")]
    credited = {str(row.get("file")) for row in stated}
    return [name for name in _names(training, "trained_on") if name not in credited]


def _what_it_is(name: str, repo: str, licence: str, sha256: str, config: dict) -> str:
    architecture = ", ".join(f"{key} {_text(value)}" for key, value in config.items())
    side = f"{RECEPTIVE_FIELD}x{RECEPTIVE_FIELD}"
    return f"""\
# {repo.split("/")[-1]}: a patch prior for KernelFusion

A small diffusion network that has seen only little patches ({side} pixels) of photographs and knows their looks.
The command `kf` starts from it to recover a large photo, and the kernel that shrank it, from the small photo alone; it
makes no pictures by itself. The method is *KernelFusion* by Heinimann, Shocher, Zimbalist and Irani (ICLR 2026,
[arXiv:2503.21907](https://arxiv.org/abs/2503.21907)); program and prior are an independent implementation, not theirs.

```sh
kf upscale photo.jpg --prior {repo}@REVISION   # the commit in full: then it is always the same prior
```

| | |
| --- | --- |
| file | `{name}`, sha256 `{sha256}` |
| architecture | `PatchDiffusion`: {architecture} |
| licence | {licence}; the photographs' own terms are below |
"""


def _how_it_was_trained(training: dict) -> str:
    lines = ["## How it was trained\n"]
    if training.get("command"):
        lines.append(
            f"To reproduce it, with the photographs below in one folder:\n\n```sh\n{_line(training['command'])}\n```\n"
        )
    rows = [("seed", training["seed"])] if "seed" in training else []
    for part in ("recipe", "diffusion"):
        if isinstance(training.get(part), dict):
            rows += [(f"{part}.{key}", value) for key, value in training[part].items()]
    for key, label in (("trained_on", "photographs learned from"), ("held_out", "photographs held out")):
        if isinstance(training.get(key), list):
            rows.append((label, len(training[key])))
    lines.append(_table(("setting", "value"), rows) if rows else "The checkpoint does not say.\n")
    return "\n".join(lines)


def _figures(training: dict) -> str:
    figures = [(label, training[key]) for key, label in FIGURES.items() if training.get(key) is not None]
    lines = [_table(("figure", "value"), figures)] if figures else []
    errors = _rows(training, "errors")
    if errors:
        lines += [ERRORS, _table_of(errors)]
        lines.append(
            "".join(f"- {key}: {said}\n" for key, said in COLUMNS.items() if any(key in row for row in errors))
        )
    curve = _rows(training, "curve")
    if curve:
        step = -(-len(curve) // MOST_ROWS)
        lines += ["The course of training:\n", _table_of(curve[::-1][::step][::-1])]  # the last row always among them
    return "\n".join(["## Figures\n", *lines]) if lines else ""


def _photographs(training: dict) -> str:
    lines = ["## Photographs it learned from\n"]
    credits = _rows(training, "credits")
    missing = uncredited(training)
    if not credits:
        lines.append(NO_CREDITS + "\n")
    else:
        rows = [[row.get(key, "unknown") for key in ("file", "author", "license", "source")] for row in credits]
        lines.append(_table(("file", "author", "licence", "source"), rows))
        if missing:
            lines.append("**The licences of these are missing and must be added:**\n")
    if missing:
        lines.append(_list(missing))
    held_out = _names(training, "held_out")
    if held_out:
        lines.append("Held out, never learned from:\n\n" + _list(held_out))
    return "\n".join(lines)


def _rows(training: dict, key: str) -> list[dict]:
    rows = training.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _names(training: dict, key: str) -> list[str]:
    names = training.get(key)
    return [str(name) for name in names] if isinstance(names, list) else []


def _list(names: Iterable[str]) -> str:
    return ", ".join(_text(name) for name in names) + "\n"


def _table_of(rows: list[dict]) -> str:
    columns = list(dict.fromkeys(str(key) for row in rows for key in row))
    return _table(columns, [[row.get(column, "") for column in columns] for row in rows])


def _table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [[_text(cell) for cell in columns]]
    lines += [["---"] * len(lines[0])] + [[_text(cell) for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _line(value: Any) -> str:
    """As one line of code, which cannot end the block it stands in."""
    return " ".join(str(value).split()).replace("```", "")


def _text(value: Any) -> str:
    """As plain text in a table: whoever wrote the checkpoint writes neither mark-up nor HTML into the card."""
    if isinstance(value, float):
        value = f"{value:.4g}"
    text = " ".join(str("" if value is None else value).split())
    for mark, plain in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "\\|"),
        ("`", "\\`"),
        ("*", "\\*"),
        ("[", "\\["),
    ):
        text = text.replace(mark, plain)
    return text
