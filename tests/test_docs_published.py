"""What strangers read first: the citation, the list of changes, and the cards of the bundled networks."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from safetensors import safe_open

import kf_core

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "kf_core" / "weights"
CARDS = {"pd-small": "README.md", "ffdnet": "ffdnet.md", "corrnet": "corrnet.md"}
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def changes() -> dict[str, list[str]]:
    """The headings of each version's changes, newest first, by the version's own heading."""
    parts = re.split(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        heading: re.findall(r"^### (.+)$", text, re.MULTILINE)
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_every_bundled_network_has_a_card():
    assert {path.stem for path in WEIGHTS.glob("*.safetensors")} == set(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_the_card_has_what_the_hub_shows(name):
    card = ModelCard.load(WEIGHTS / CARDS[name])  # the Hub's own reader; it raises for a broken list of results
    said = card.data.to_dict()
    assert said["license"] == "apache-2.0" and said["library_name"] == "kernelfusion"
    assert said["pipeline_tag"] == "image-to-image" and "super-resolution" in said["tags"]
    assert card.data.model_name == name and card.data.eval_results
    assert {result.metric_type for result in card.data.eval_results} == set(said["metrics"])
    assert card.text.lstrip().startswith(f"# {name}:")
    for heading in ("## How to use it", "## How it was trained", "## What it cannot do"):
        assert heading in card.text


@pytest.mark.parametrize("name", CARDS)
def test_the_figures_of_the_card_are_in_the_results(name):
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    matter = (WEIGHTS / CARDS[name]).read_text(encoding="utf-8").split("---\n")[1]
    values = re.findall(r"^ +value: (\S+)$", matter, re.MULTILINE)
    assert values
    for value in values:
        shown = re.escape(value).removeprefix("0") if value.startswith("0.") else re.escape(value)
        assert re.search(rf"(?<![1-9.]){shown}(?!\d)", results), value  # some tables leave a cosine's zero out


@pytest.mark.parametrize("name", CARDS)
def test_the_card_names_the_photographs_the_network_learned_from(name):
    with safe_open(WEIGHTS / f"{name}.safetensors", "np") as file:
        about = json.loads(file.metadata()["kernelfusion"])
    photographs = {credit["file"] for credit in about.get("training", about)["credits"]}
    assert photographs
    listed = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert not [file for file in photographs if f"| {file} |" not in listed]
    assert name == "pd-small" or "(README.md)" in (WEIGHTS / CARDS[name]).read_text(encoding="utf-8")


def test_the_changes_are_in_the_form_of_keep_a_changelog():
    found = changes()
    assert next(iter(found)) == "[Unreleased]"
    for kinds in found.values():
        assert kinds and set(kinds) <= KINDS and len(set(kinds)) == len(kinds)
    released = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\S+)", heading) for heading in list(found)[1:]]
    assert all(released)
    versions = [tuple(map(int, match.groups()[:3])) for match in released]
    dates = [date.fromisoformat(match[4]) for match in released]
    assert versions == sorted(versions, reverse=True) and dates == sorted(dates, reverse=True)
    assert ".".join(map(str, versions[0])) == kf_core.__version__


def test_the_citation_names_this_release_and_the_paper_as_the_readme_does():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["message"] and citation["title"] and citation["authors"] and citation["license"] == "Apache-2.0"
    assert f"[{citation['version']}] - {citation['date-released']}" in changes()
    paper = citation["references"][0]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"*{paper['title']}*" in readme and f"]({paper['url']})" in readme
    for author in paper["authors"]:
        assert f"{author['given-names']} {author['family-names']}" in readme
