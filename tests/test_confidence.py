"""The confidence that people are told: how like the true kernel the network's is, on average."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks import calibration, split
from kf_core import Settings, super_resolve
from kf_core.checkpoints.load import load_kernel_network
from kf_core.kernels.base import Estimate, Evidence
from kf_core.kernels.corrnet import SIZE
from kf_core.kernels.learned import LIKENESS, likeness, signs
from kf_core.physics.grid import luma
from kf_core.physics.kernel import gaussian_kernel
from kf_core.pixels import to_tensor
from kf_core.restore.plug_and_play import USUAL_AREA, prior_weight_for
from kf_core.trust.confidence import UNSURE, confidence, doubt, largest_share, sentence, share_in
from kf_core.trust.fitted import FITTED

KERNEL = gaussian_kernel(SIZE, 2.0)


def test_the_expected_cosine_is_within_a_tenth_of_the_one_there_is():
    network = load_kernel_network("bundled", "cpu")[0]
    expected, cosines = [], []
    for index in range(16):
        case = split.fresh(index, 64, seed=7)
        truth = torch.from_numpy(case.kernel)
        found, cosine = calibration.looked_at(network, luma(to_tensor(case.lr)[0]), truth)
        expected.append(likeness(found))
        cosines.append(cosine)
    assert sum(expected) / 16 == pytest.approx(sum(cosines) / 16, abs=0.1)
    assert max(expected) - min(expected) > 0.1  # not one number for all


def test_turns_that_differ_make_a_kernel_less_likely():
    alike = torch.stack([KERNEL] * 4)
    unlike = torch.stack([KERNEL, KERNEL, KERNEL.roll(4, 0), KERNEL.roll(4, 1)])
    assert likeness(unlike) < likeness(alike)
    assert len(signs(alike)) == len(LIKENESS) - 1 and likeness(unlike) >= 0 and likeness(alike) <= 1


def test_a_fit_finds_the_numbers_of_a_logistic_function():
    values = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).double() * 3 + 5
    cosines = torch.sigmoid(0.5 + values @ torch.tensor([0.4, -0.3]).double())
    numbers, expected = calibration.logistic(values, cosines)
    assert torch.allclose(numbers, torch.tensor([0.5, 0.4, -0.3]).double(), atol=1e-3)
    assert torch.allclose(expected, cosines, atol=1e-4)


def test_the_confidence_is_the_likeness_less_where_the_image_is_doubted():
    sure = Estimate(KERNEL, "recovered", agreement=0.99, likeness=0.9)
    whole = largest_share(sure)
    assert confidence(sure, whole) == pytest.approx(0.9)
    assert confidence(sure, whole / 2) == pytest.approx(0.45) and confidence(sure, 0) == 0
    assert confidence(replace(sure, likeness=None), 0.6) == 0.6  # nobody knows: the share is all there is


def test_more_of_the_image_is_taken_the_likelier_its_kernel():
    evidence = Evidence(1.0, 0.1, 0.0, 0.0, agreement=0.99)
    found = [
        Estimate(KERNEL, "recovered", evidence=evidence, likeness=likely) for likely in (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
    ]
    least, most = FITTED.largest_shares
    shares = [share_in(each, 0.1) for each in found]
    assert shares == sorted(shares) and len(set(shares)) == 4
    assert shares[0] == pytest.approx(least) and shares[-1] == pytest.approx(most)
    # A simple kernel preferred to a likely one is as likely. Nothing is known of Algorithm 1's, nor of a page's.
    assert share_in(replace(found[-1], source="simple"), 0.1) == pytest.approx(most)
    for other in (replace(found[-1], likeness=None), replace(found[-1], evidence=replace(evidence, drawn=True))):
        assert share_in(other, 0.1) == pytest.approx(FITTED.largest_share)


def test_the_prior_has_more_weight_the_less_likely_the_kernel_and_the_residual_may_be_larger():
    finish = Settings.preset("fast").finish
    doubts = [doubt(Estimate(KERNEL, "recovered", likeness=likely)) for likely in (0.5, 0.85, 0.9, 0.95, 1.0)]
    weights = [prior_weight_for("recovered", 0.0, finish, each) for each in doubts]
    assert weights == sorted(weights, reverse=True) and len(set(weights)) == 3
    assert weights[0] == pytest.approx(finish.prior_weight_unsure)
    assert weights[-1] == pytest.approx(finish.prior_weight_recovered)
    assert weights[0] > prior_weight_for("recovered", 0.0, finish) > weights[-1]  # nobody knows how likely
    assert prior_weight_for("given", 0.0, finish, 0.5) == finish.prior_weight_known  # nor is it asked
    assert prior_weight_for("simple", 0.0, finish, 0.0) == weights[-1]
    assert prior_weight_for("simple", 0.0, finish) == finish.prior_weight_simple > weights[-1]
    wide, usual, thin = (prior_weight_for("recovered", 0.0, finish, 0.5, area) for area in (20.0, USUAL_AREA, 1.25))
    assert (wide, thin) == (pytest.approx(usual / 2), pytest.approx(usual * 2))
    evidence = Evidence(1.0, 0.1, 0.0, 0.0, agreement=0.99)
    unlikely, likely = (Estimate(KERNEL, "recovered", evidence=evidence, likeness=each) for each in (0.84, 0.96))
    least, most = FITTED.likely_residuals
    assert share_in(likely, 0.9 * least) == share_in(likely, 0.1) > 1.5 * share_in(likely, 0.9 * most)
    assert share_in(unlikely, 0.9 * most) == share_in(unlikely, 0.1) > 1.5 * share_in(unlikely, 1.9 * most)


def test_an_unlikely_kernel_is_told_to_be_one_of_several():
    sure = Estimate(KERNEL, "recovered", likeness=UNSURE + 0.01)
    assert "well supported" in sentence(0.75, sure)
    assert "others" in sentence(0.75, replace(sure, likeness=UNSURE - 0.01))


def test_the_report_has_confidence_and_share():
    case = split.fresh(3, 48, seed=7)
    settings = Settings.preset("fast", device="cpu").with_overrides(["finish.steps=1"])
    report = super_resolve(case.lr, settings).report
    assert 0 < report["share"] <= FITTED.largest_shares[1]
    assert 0 < report["confidence"] <= report["share"] / FITTED.largest_shares[0]


def test_the_table_counts_photos_and_the_plot_shows_each(capsys):
    rows = [(0.3, 0.4), (0.72, 0.6), (0.78, 0.8), (0.95, 0.9)]
    calibration.compare({"some": rows})
    table = capsys.readouterr().out
    assert "| 0.0 to 0.7 | 1 | 0.30 | 0.40 | 0.40 |" in table and "| 0.7 to 0.8 | 2 | 0.75 | 0.70 | 0.60 |" in table
    plot = calibration.plotted({"some": rows})
    for row in rows:
        x, y = (round(value) for value in calibration.place(*row))
        assert tuple(plot[y, x]) == calibration.COLOURS[0]
