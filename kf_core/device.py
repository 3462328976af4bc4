"""Which processor computes, in which precision, and how much it can hold."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from kf_core.errors import NoDevice

Network = TypeVar("Network", bound=nn.Module)


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is cuda, else mps, else cpu. Raises BadInput when it is not there."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    if not present.get(name):
        raise NoDevice(f"There is no {name} device here.", "Choose auto or cpu.")
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


def channels_last(network: Network) -> Network:
    """Itself, its weights laid out so that convolutions are fastest on a CPU."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own hints lack it
    return network


def memory_available(device: torch.device) -> int | None:
    """Bytes on the device that a run can have, None where that cannot be told.

    On a graphics card also what torch holds without using it; on a CPU at most what a container leaves.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    known = [free for free in (_free_of_the_machine(), _free_of_the_container()) if free is not None]
    return min(known, default=None)


def _free_of_the_machine() -> int | None:
    try:
        import psutil
    except ImportError:  # the engine runs without it
        return None
    return psutil.virtual_memory().available


def _free_of_the_container(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What the control group (version 2, or 1) still allows; the kernel gives back its file cache when asked."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            allowed, taken = int((root / limit).read_text()), int((root / used).read_text())
            lines = (root / limit).with_name("memory.stat").read_text().splitlines()
        except (OSError, ValueError):  # not there, or "max"
            continue
        idle = next((int(line.split()[1]) for line in lines if line.split()[0] == cache), 0)
        return max(0, allowed - taken + idle)
    return None


def _cpu_flags() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].split() for line in lines if line.startswith("flags"))
    except (OSError, StopIteration):
        return []
