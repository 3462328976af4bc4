"""Which processor computes, in which precision, and how much it can hold."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from kf_core.errors import BadInput

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is cuda, else mps, else cpu. Raises BadInput when it is not there."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    if not present.get(name):
        raise BadInput(f"There is no {name} device here.", "Use --device auto or --device cpu.")
    return torch.device(name)


def describe(device: torch.device) -> str:
    """For the report: the processor's name, or the threads used on a CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {device.type}, {torch.get_num_threads()} threads"


def resolve_precision(precision: str, device: torch.device) -> str:
    """ "auto" is bf16 where the processor multiplies it natively, else fp32. Only forward passes of PD ask for it."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device.type == "cpu" and "avx512_bf16" in _cpu_flags() else "fp32"


def memory_available(device: torch.device) -> int | None:
    """Free bytes on the device, None where that cannot be told."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def _cpu_flags() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].split() for line in lines if line.startswith("flags"))
    except (OSError, StopIteration):
        return []
