"""A host's pixels on their way to the engine and back."""

from __future__ import annotations

import numpy as np
import pytest

from kf_core import BadInput
from kf_core.engine import pixels


class TestPixels:
    """What becomes of transparency and unusual values."""

    def test_hidden_colours_are_those_of_the_surroundings(self):
        raw = np.zeros((40, 61, 4), np.float32)
        raw[:, :20] = (0.8, 0.6, 0.4, 1)
        raw[:, 45:] = (0.2, 0.6, 0.4, 1)
        layer = pixels.prepare(raw)
        assert layer.colour[:, :20] == pytest.approx(raw[:, :20, :3])
        assert layer.colour[:, 20:30, 0].min() > 0.5 and layer.colour[:, 38:45, 0].max() < 0.5
        assert layer.colour[..., 1] == pytest.approx(0.6, abs=1e-4)

    def test_one_visible_pixel_is_enough_and_none_is_too_few(self):
        raw = np.zeros((40, 50, 2), np.float32)
        with pytest.raises(BadInput, match="transparent"):
            pixels.prepare(raw)
        raw[7, 9] = (0.3, 1)
        assert pixels.prepare(raw).colour == pytest.approx(0.3, abs=1e-4)

    def test_values_outside_the_range_come_back(self):
        raw = np.linspace(-0.5, 4, 40 * 50 * 3, dtype=np.float32).reshape(40, 50, 3)
        layer = pixels.prepare(raw)
        assert layer.colour.min() == 0 and layer.colour.max() == 1
        assert pixels.restore(layer.colour, layer, 1) == pytest.approx(raw, abs=1e-5)

    def test_no_number_is_told(self):
        raw = np.full((40, 50, 3), 0.5, np.float32)
        raw[3, 4, 0], raw[3, 5, 1] = np.nan, np.inf
        layer = pixels.prepare(raw)
        assert np.isfinite(layer.colour).all() and len(layer.warnings) == 1

    def test_alpha_is_enlarged_where_it_is(self):
        alpha = np.zeros((40, 50), np.float32)
        alpha[:10, :20] = 1
        for scale in (2, 3, 4):
            large = pixels.enlarge(alpha, scale)
            assert large.shape == (40 * scale, 50 * scale)
            assert (large[: 9 * scale, : 19 * scale] > 0.85).all() and (large[11 * scale :] < 0.15).all()
            assert large.min() >= 0 and large.max() <= 1
            assert large.mean() == pytest.approx(alpha.mean(), rel=0.02)

    def test_reduce_is_the_mean_of_blocks_and_hidden_colours_do_not_count(self):
        large = np.zeros((4, 6, 4), np.float32)
        large[0::2, 0::2] = (0.9, 0.5, 0.1, 1)
        small = pixels.reduce(large, 2)
        assert small.shape == (2, 3, 4)
        assert small[..., 3] == pytest.approx(0.25) and small[..., 0] == pytest.approx(0.9, abs=1e-3)
        assert pixels.reduce(np.arange(16.0).reshape(4, 4, 1), 2)[..., 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
