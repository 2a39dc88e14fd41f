"""Layers that are stored otherwise compute the same."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from sam2lab.qnn.layers import with_joined_layers
from tests.qnn import toy_graphs


def test_weights_are_stored_as_inputs_by_outputs_and_answer_alike() -> None:
    graph = toy_graphs.on_windows()
    # A second layer of the same weights: they are turned once.
    second = graph.graph.node.add()
    second.CopyFrom(graph.graph.node[1])
    second.name, second.output[0] = "again", "more"
    graph.graph.output.append(
        onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [256, 4])
    )
    made = with_joined_layers(graph)
    shapes = [tuple(tensor.dims) for tensor in made.graph.initializer if len(tensor.dims) == 2]
    assert shapes == [(8, 4)]
    fed = {"x": np.random.default_rng(0).standard_normal((16, 4, 4, 8)).astype(np.float32)}
    sessions = (onnxruntime.InferenceSession(each.SerializeToString()) for each in (graph, made))
    for wanted, given in zip(*(session.run(None, fed) for session in sessions), strict=True):
        # Sums of eight products, perhaps in another order.
        np.testing.assert_allclose(given, wanted, atol=1e-6)
