"""The engine as a process, as a host starts it, and a picture for it."""

from pathlib import Path

import numpy as np
import pytest
from engine_host import HEIGHT, PATIENCE, WIDTH, Host


@pytest.fixture
def host(tmp_path):
    """host(): another program with an engine of its own. All are ended afterwards."""
    hosts = []

    def start(*prefix: str, cwd: Path | None = None) -> Host:
        hosts.append(Host(tmp_path, *prefix, cwd=cwd))
        return hosts[-1]

    yield start
    for each in hosts:
        each.process.stdin.close()
        each.process.wait(PATIENCE)


@pytest.fixture
def image() -> np.ndarray:
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    colours = [0.1 + 0.8 * across / WIDTH, 0.9 - 0.7 * down / HEIGHT, 0.2 + 0.6 * ((across // 12 + down // 10) % 2)]
    return np.stack(colours, axis=2)
