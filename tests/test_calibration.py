"""The plot and the table of confidence against gain."""

from __future__ import annotations

import json

from PIL import Image

from benchmarks import calibration


def test_cases_are_counted_and_drawn_by_their_confidence(tmp_path, monkeypatch, capsys):
    rows = [(0.1, -0.05), (0.6, 1.0), (0.62, 2.0), (0.7, 9.0)]
    cases = [{"confidence": confidence, "gain": gain} for confidence, gain in rows]
    (tmp_path / "kernels_fresh_fast.json").write_text(json.dumps({"rows": cases}))
    monkeypatch.setattr(calibration, "RESULTS", tmp_path)
    calibration.main()
    table = capsys.readouterr().out
    assert "| 0.0 to 0.25 | 1 | -0.05 | -0.05 |" in table and "| 0.5 to 0.7 | 2 | +1.50 | +1.00 |" in table
    picture = Image.open(tmp_path / "calibration.png").convert("RGB")
    for confidence, gain in rows:
        x, y = (round(value) for value in calibration.place(confidence, gain))
        assert picture.getpixel((x, y)) == calibration.COLOURS["fresh"]
