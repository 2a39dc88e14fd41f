"""What `"w8a8"` computes and moves in 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2lab.export.device.graphs import device_graphs
from sam2lab.reference import zoo

pytest.importorskip("ai_edge_litert", reason="pip install 'sam2lab[litert]'")

from ai_edge_litert.interpreter import Interpreter

from sam2lab.litert.convert import to_tflite
from sam2lab.litert.eight_bits import in_eight_bits, narrow, ranges_of


@pytest.fixture(scope="module")
def files() -> tuple[bytes, bytes]:
    """nano's encoder in float, and in 8 bits."""
    model = zoo.load("nano", weights="random", input_size=(64, 96))
    exact = to_tflite(next(graph for name, graph in device_graphs(model) if name == "encoder"))
    image = np.random.default_rng(0).standard_normal((1, 64, 96, 3)).astype(np.float32)
    return exact, in_eight_bits(exact, "w8a8", ranges_of(exact, [{"image": image}]))


def operators(data: bytes) -> list[tuple[str, str, type]]:
    """The kind of each operator, and the name and type of what it gives."""
    made: Any = Interpreter(model_content=data, num_threads=1)
    made.allocate_tensors()
    tensors = {each["index"]: each for each in made.get_tensor_details()}
    found = [(each["op_name"], tensors[each["outputs"][0]]) for each in made._get_ops_details()]
    return [(kind, tensor["name"], tensor["dtype"]) for kind, tensor in found]


def test_wide_layers_and_the_moves_between_them_are_in_eight_bits(
    files: tuple[bytes, bytes],
) -> None:
    exact, small = files
    stays = narrow(exact)
    kinds = ("FULLY_CONNECTED", "TRANSPOSE", "RESHAPE", "MAX_POOL_2D")
    found = [each for each in operators(small) if each[0] in kinds and "/blocks." in each[1]]
    assert {kind for kind, *_ in found} == set(kinds)
    for kind, name, dtype in found:
        assert dtype == (np.float32 if name in stays else np.int8), (kind, name)


def test_layers_of_few_numbers_stay_float(files: tuple[bytes, bytes]) -> None:
    layers = [name for name in narrow(files[0]) if "MatMul" in name]
    # nano's first block has 32 channels, as many as its queries, keys and values.
    assert [name.split("/")[1:3] for name in layers] == [
        *(["blocks.0", part] for part in ("k", "q", "v", "proj")),
        ["heads.0", layers[-1].split("/")[2]],
    ]
