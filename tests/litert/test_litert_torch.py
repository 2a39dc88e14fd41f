"""Our files compute what those of Google's own converter do, which comes from torch directly.

litert-torch cannot be installed beside JupyterLab, whose typing-extensions is newer. It lives in an
environment of its own, which sees the packages of ours after its own, and whose Python
SAM2LAB_LITERT_TORCH names:

    .venv/bin/python -m venv litert-torch
    .venv/bin/python -c "import site; print(*site.getsitepackages())" > \\
        litert-torch/lib/python3.11/site-packages/ours.pth
    litert-torch/bin/pip install litert-torch==0.10.0
    SAM2LAB_LITERT_TORCH=litert-torch/bin/python python -m pytest -m slow tests/litert
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sam2lab.export.device.graphs import _inputs, device_graphs
from sam2lab.reference import zoo

pytest.importorskip("ai_edge_litert", reason="pip install 'sam2lab[litert]'")

from ai_edge_litert.interpreter import Interpreter

from sam2lab.litert.convert import to_tflite

SIZE = (128, 96)
# A conversion takes a minute for itself, and three on a busy machine.
LIMIT_S = 900

CONVERT = """
import sys
import litert_torch
import torch
from sam2lab.export.device.decoder import DeviceDecoder
from sam2lab.export.device.encoder import DeviceEncoder
from sam2lab.export.device.graphs import _inputs
from sam2lab.reference import zoo

name, height, width, path = sys.argv[1:]
size = int(height), int(width)
model = zoo.load("nano", weights="random", input_size=size)
build = {"encoder": DeviceEncoder, "decoder": DeviceDecoder}[name]
given = tuple(torch.zeros(shape) for shape, _ in _inputs(model, 8)[name].values())
with torch.no_grad():
    litert_torch.convert(build(model.module, size).eval(), given).export(path)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_graph_is_what_litert_torch_makes_of_its_module(
    name: str, repository: Path, tmp_path: Path
) -> None:
    python = os.environ.get("SAM2LAB_LITERT_TORCH")
    if not python:
        pytest.skip("SAM2LAB_LITERT_TORCH names no Python that has litert-torch; see this file")
    theirs = tmp_path / "theirs.tflite"
    done = subprocess.run(
        [python, "-c", CONVERT, name, *map(str, SIZE), str(theirs)],
        env={**os.environ, "PYTHONPATH": str(repository)},
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]

    model = zoo.load("nano", weights="random", input_size=SIZE)
    graph = dict(device_graphs(model))[name]
    ours = Interpreter(model_content=to_tflite(graph), num_threads=1).get_signature_runner()
    other = Interpreter(str(theirs), num_threads=1).get_signature_runner()
    rng = np.random.default_rng(0)
    inputs = {
        key: rng.standard_normal(shape).astype(np.float32)
        for key, (shape, _) in _inputs(model, 8)[name].items()
    }
    if name == "decoder":
        inputs["point_coords"] = rng.uniform(0, 96, (1, 8, 2)).astype(np.float32)
        inputs["point_labels"] = np.float32([[2, 3, 1, 0, -1, -1, -1, -1]])
        inputs["has_mask_input"] = np.ones(1, np.float32)
    wanted = other(**{f"args_{i}": value for i, value in enumerate(inputs.values())})
    found = ours(**inputs)
    for i, output in enumerate(graph.graph.output):
        # Float32 rounding of values of about 1, which eight blocks add up.
        np.testing.assert_allclose(
            found[output.name], wanted[f"output_{i}"], rtol=0, atol=1e-3, err_msg=output.name
        )
