"""What is rewritten for half precision computes what it did, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from sam2lab.export import device_graphs
from sam2lab.qnn import for_half_precision
from sam2lab.reference import zoo
from tests.qnn import toy_graphs

ATTENTION = """
<ir_version: 10, opset_import: ["" : 18]>
attention (double[2, 3, 8, 4] q, double[2, 3, 4, 16] k, double[2, 3, 16, 4] v)
    => (double[2, 3, 8, 4] y)
{
    scores = MatMul(q, k)
    weights = Softmax<axis = AXIS>(scores)
    y = MatMul(weights, v)
}
"""


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_a_gelu_apart_from_its_layer_gives_the_same_bits() -> None:
    graph = toy_graphs.whole()
    made = for_half_precision(graph)
    assert kinds(made) == [
        *("LayerNormalization", "Reshape", "Gemm", "Mul", "Gelu", "Reshape", "Add"),
    ]
    fed = {"x": np.random.default_rng(0).standard_normal((1, 8, 8, 16)).astype(np.float32)}
    given, wanted = (
        onnxruntime.InferenceSession(each.SerializeToString()).run(None, fed)[0]
        for each in (made, graph)
    )
    assert np.array_equal(given, wanted)


def test_attention_divided_late_gives_the_same_in_double_precision() -> None:
    graph = onnx.parser.parse_model(ATTENTION.replace("AXIS", "-1"))
    made = for_half_precision(graph)
    assert kinds(made) == ["MatMul", "ReduceMax", "Sub", "Exp", "ReduceSum", "MatMul", "Div"]
    rng = np.random.default_rng(0)
    # Scores to which the largest matters: e to their power has no float.
    fed = {
        "q": 60 * rng.standard_normal((2, 3, 8, 4)),
        "k": 60 * rng.standard_normal((2, 3, 4, 16)),
        "v": rng.standard_normal((2, 3, 16, 4)),
    }
    given, wanted = (ReferenceEvaluator(each).run(None, fed)[0] for each in (made, graph))
    np.testing.assert_allclose(given, wanted, rtol=1e-12, atol=1e-14)


def test_a_softmax_over_another_axis_stays() -> None:
    graph = onnx.parser.parse_model(ATTENTION.replace("AXIS", "1"))
    assert kinds(for_half_precision(graph)) == kinds(graph)


@pytest.mark.parametrize("input_size", [(64, 64), (96, 64)])
def test_every_block_of_an_encoder_is_rewritten(input_size: tuple[int, int]) -> None:
    nano = zoo.load("nano", input_size=input_size)
    graph = next(graph for name, graph in device_graphs(nano) if name == "encoder")
    made = for_half_precision(graph)
    counts = [
        {kind: kinds(each).count(kind) for kind in set(kinds(each))} for each in (graph, made)
    ]
    assert counts[0]["Softmax"] == counts[0]["Gelu"] == len(nano.module.image_encoder.trunk.blocks)
    assert "Softmax" not in counts[1]
    assert counts[1]["Mul"] - counts[0].get("Mul", 0) == counts[1]["Gelu"] == counts[1]["Div"]
    fed = {"image": np.random.default_rng(0).standard_normal((1, *input_size, 3), np.float32)}
    sessions = (onnxruntime.InferenceSession(each.SerializeToString()) for each in (graph, made))
    for wanted, given in zip(*(session.run(None, fed) for session in sessions), strict=True):
        # Single precision rounds otherwise where it divides later.
        np.testing.assert_allclose(given, wanted, atol=1e-4 * np.abs(wanted).max())
