"""What a kernel estimate is judged by, in training and in validation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_core.physics.kernel import odd_part

TURN_WEIGHT = 0.5
TRANSFER_WEIGHT = 0.3
PERIOD = 64  # samples of the transfer function
BAND = 0.25  # cycles per HR pixel at scale 4: twice the LR photo's Nyquist frequency
FLOOR = 0.05  # of the squared transfer function: what is weaker is lost in noise


def losses(kernel: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Per kernel, (B,) each: 1 - cosine, squared error of the odd part and of the transfer function, both relative.

    The transfer function's error is weighted with 1 / frequency, as the spectra of photographs are, and divided by the
    true transfer function: a blurred estimate of a thin kernel is wrong where that one is still strong.
    """
    cosine = F.cosine_similarity(kernel.flatten(1), truth.flatten(1))
    norm = truth.square().sum((1, 2))
    odd = (odd_part(kernel) - odd_part(truth)).square().sum((1, 2)) / norm
    guess, true = (torch.fft.rfft2(k, s=(PERIOD, PERIOD)) for k in (kernel, truth))
    error = (guess - true).abs().square() / (true.abs().square() + FLOOR)
    transfer = (error * _band(kernel.device)).sum((1, 2))
    return {"cosine": 1 - cosine, "odd": odd, "transfer": transfer}


def total(parts: dict[str, Tensor]) -> Tensor:
    return (parts["cosine"] + TURN_WEIGHT * parts["odd"] + TRANSFER_WEIGHT * parts["transfer"]).mean()


def _band(device: torch.device) -> Tensor:
    """Weights of sum 1 on the half plane that rfft2 gives; its inner columns stand for two."""
    down = torch.fft.fftfreq(PERIOD, device=device)[:, None]
    across = torch.fft.rfftfreq(PERIOD, device=device)[None, :]
    radius = (down.square() + across.square()).sqrt()
    weight = (radius < BAND) / (radius + 0.02)
    weight[:, 1:-1] *= 2
    return weight / weight.sum()


def scores(kernel: Tensor, truth: Tensor) -> dict[str, float]:
    """Mean cosine; mean cosine of the odd parts, each weighted by the norm of the true one relative to its kernel."""
    cosine = F.cosine_similarity(kernel.flatten(1), truth.flatten(1))
    odd, true_odd = odd_part(kernel).flatten(1), odd_part(truth).flatten(1)
    weight = true_odd.norm(dim=1) / truth.flatten(1).norm(dim=1)
    odd_cosine = F.cosine_similarity(odd, true_odd, eps=1e-12)
    return {
        "cosine": float(cosine.mean()),
        "odd_cosine": float((odd_cosine * weight).sum() / weight.sum().clamp_min(1e-12)),
    }
