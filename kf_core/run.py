"""What every stage of a run needs besides its data: where to compute, with which random numbers, and whom to tell."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from kf_core.device import resolve_precision
from kf_core.progress import Monitor


@dataclass(frozen=True)
class Run:
    """One run of the engine.

    Attributes:
        device: where images and networks are.
        generator: makes all noise, on the CPU, so that every device sees the same.
        monitor: told of every iteration; raises Cancelled when the user wants to stop.
        precision: of networks' passes: "fp32" or "bf16".
    """

    device: torch.device
    generator: Generator
    monitor: Monitor
    precision: str = "fp32"

    def at(self, precision: str) -> Run:
        """The same run in another precision; "auto" is bf16 where the processor has it."""
        return replace(self, precision=resolve_precision(precision, self.device))

    def noise(self, shape: torch.Size | tuple[int, ...]) -> Tensor:
        """Standard Gaussian noise of that shape, float32, on the device."""
        return torch.randn(shape, generator=self.generator).to(self.device)

    def autocast(self) -> torch.autocast:
        """The context in which networks compute in this run's precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
