"""nano in onnxruntime, which the other engines must agree with, and something to ask it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Features


@pytest.fixture(scope="session")
def onnx(nano_bundle: Path) -> OnnxEngine:
    return OnnxEngine(nano_bundle)


@pytest.fixture(scope="session")
def pixels(onnx: OnnxEngine) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((1, 3, *onnx.info.input_size)).astype(np.float32)


@pytest.fixture(scope="session")
def features(onnx: OnnxEngine, pixels: np.ndarray) -> Features:
    return onnx.encode(pixels)
