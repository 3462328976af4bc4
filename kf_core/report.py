"""What a run says of itself, as plain values for JSON."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import Any

import torch

from kf_core.device import describe
from kf_core.kernel_grid import KernelGrid
from kf_core.kernels.base import Candidate
from kf_core.run import Run
from kf_core.settings import Settings
from kf_core.state import State
from kf_core.trust.confidence import confidence, residual, sentence
from kf_core.version import __version__

RUNNERS_UP = 3  # kernels beside the chosen one that a report shows


def make_report(state: State, settings: Settings, run: Run, want_image: bool) -> dict[str, Any]:
    """The report of a finished run; SuperResolution.report has its fields."""
    estimate, lr, monitor = state.estimate, state.photo.pixels, run.monitor
    image = state.image if want_image else None
    made = image is not None or state.result is not None
    assert estimate is not None
    unexplained = state.residual
    if image is not None and unexplained is None:
        unexplained = residual(lr, image, estimate.kernel, settings.scale)
    if unexplained is not None:  # in grey levels of the photo's file, of which 0 and 255 are black and white
        unexplained *= 2 / (state.photo.limits[1] - state.photo.limits[0])
    height, width = state.photo.outer_size
    report = {
        "versions": {
            "kernelfusion": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "settings": settings.as_dict(),
        "seed": settings.seed,
        "device": {"type": run.device.type, "name": describe(run.device)},
        "input_size": [width, height],
        "output_size": [width * settings.scale, height * settings.scale] if made else None,
        "frame": list(state.photo.frame),
        "sharpening": round(state.photo.sharpening, 3),
        **{name: dict(about) for name, about in state.about.items()},
        "kernel_source": estimate.source,
        "kernel_name": estimate.name,
        "seconds": {phase: round(value, 3) for phase, value in monitor.seconds.items()},
        "iterations": dict(monitor.iterations),
        "consistency_rms_grey_levels": unexplained,
        "kernel": estimate.kernel.cpu().double().numpy().tolist(),
    }
    if estimate.weight is not None:
        report["kernel_weight"] = round(estimate.weight, 3)
        report["other_kernels"] = [about_candidate(each) for each in estimate.candidates[:RUNNERS_UP]]
    if state.share is not None:
        report["confidence"] = round(confidence(estimate, state.share), 3)
        report["share"] = round(state.share, 3)
        report["confidence_sentence"] = sentence(state.share, estimate)
    if settings.varying.regions > 1:
        report["regions"] = about_regions(state)
    return report


def about_regions(state: State) -> dict[str, Any]:
    grid = KernelGrid.of(state)
    if state.regions is None:
        told = "The photo is too small, or too much of a drawing, to look for kernels that vary over it."
        return {"rows": 1, "columns": 1, "unlike": None, "sentence": told, "kernels": None}
    kernels = None if grid is None else grid.as_dict()
    return {**asdict(state.regions), "sentence": state.regions.sentence(grid is not None), "kernels": kernels}


def about_candidate(candidate: Candidate) -> dict[str, Any]:
    taps = [[round(tap, 7) for tap in row] for row in candidate.kernel.cpu().double().tolist()]
    weight = round(candidate.weight or 0, 3)
    return {"source": candidate.source, "name": candidate.name, "weight": weight, "kernel": taps}
