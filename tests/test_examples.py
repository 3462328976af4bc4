"""The examples in the docstrings of the public interface do what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest
import torch

torch.set_num_threads(1)
MODULES = ["pipeline", "settings", "files.picture", "checkpoints.load", "physics.blur"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_right(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write a file
    found = doctest.testmod(importlib.import_module(f"kf_core.{name}"))
    assert found.attempted and not found.failed
