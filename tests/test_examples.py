"""The docstrings of the public interface: their examples do what they say, and they name every entry of a report."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import kf_core

torch.set_num_threads(1)
PACKAGE = Path(kf_core.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_right(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write a file
    found = doctest.testmod(importlib.import_module(f"kf_core.{name}"))
    assert found.attempted and not found.failed


def test_every_module_of_the_public_interface_has_an_example():
    assert {"pipeline", "settings", "files.picture", "checkpoints.load", "progress", "errors"} <= set(MODULES)


@pytest.mark.slow
def test_the_entries_of_a_report_are_those_that_its_docstring_names():
    quick = ["finish.steps=1", "refine.rounds=1", "varying.regions=2"]
    settings = kf_core.Settings.preset("fast", scale=2, device="cpu").with_overrides(quick)
    photo = np.random.default_rng(0).integers(0, 256, (32, 36), dtype=np.uint8)
    report = kf_core.super_resolve(photo, settings).report
    named = re.findall(r"`(\w+)`", (kf_core.SuperResolution.__doc__ or "").partition("Attributes:")[0])
    assert set(named) - {"report"} == set(report)
