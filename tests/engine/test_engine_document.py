"""docs/engine-protocol.md names what the engine says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from engine_host import TINY

from kf_core.engine import pixels


def test_the_document_names_every_message_and_code():
    text = (Path(__file__).parents[2] / "docs" / "engine-protocol.md").read_text()
    source = "".join(path.read_text() for path in (Path(pixels.__file__).parent).glob("*.py"))
    named = set(re.findall(r'say\(\s*"(\w+)"', source)) | set(re.findall(r'code="(\w+)"', source))
    named |= set(re.findall(r'_refuse\([^"]*"(\w+)"', source))
    assert len(named) > 10
    assert [name for name in sorted(named) if f"`{name}`" not in text] == []


def test_the_document_lists_every_code_and_field_and_the_limits():
    from kf_core import errors
    from kf_core.engine import request
    from kf_core.physics.kernel import default_kernel_size, largest_kernel_size
    from kf_core.settings import SCALES, SMALLEST

    text = (Path(__file__).parents[2] / "docs" / "engine-protocol.md").read_text()
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    codes = {each.code for each in (*classes, request.BadRequest)} - {"failed", "already_there"}
    fields = {*request.JOB, *request.ESTIMATE, *request.SETTINGS, *request.PICTURE, *request.KERNEL, *request.SPOT}
    assert [name for name in sorted(codes | fields) if f"`{name}`" not in text] == []
    assert f"at least {SMALLEST} x {SMALLEST} pixels" in text
    usual = [default_kernel_size(scale) for scale in SCALES]
    assert usual == [25, 12, 19, 24] and "automatic is 25, 12, 19 and 24" in text
    assert [largest_kernel_size(scale) for scale in SCALES] == [63, 32, 47, 64]


@pytest.mark.slow
def test_the_report_has_the_documented_fields(host, image):
    text = (Path(__file__).parents[2] / "docs" / "engine-protocol.md").read_text()
    table = text.split("### The report")[1].split("###")[0]
    engine = host()
    # With more passes than anybody waits for: the time that is given decides how many there are.
    endless = ["doubt=True", "estimator=learned", "varying.regions=4", "finish.steps=100000"]
    engine.job(image, overrides=[*TINY, *endless], seconds=1)
    report = engine.until("result", "error")[-1]["report"]
    assert report["settings"]["finish"]["steps"] <= 14 and "passes in place of 100000" in report["warnings"][0]
    assert set(
        re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    ) == set(report)
