"""Graphs of fixed sizes compute what those of free sizes compute."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from sam2lab.graphs.fixed import with_sizes

TEXT = """
<ir_version: 10, opset_import: ["" : 18]>
twice (float[B, P, 2] x) => (float[B, Q] y, float[B, P, 2] z)
<int64[2] flat = {0, -1}>
{
    z = Add(x, x)
    y = Reshape(z, flat)
}
"""


def test_free_sizes_are_given_others_are_one_and_outputs_can_be_left_out() -> None:
    free = onnx.parser.parse_model(TEXT)
    fixed = with_sizes(free, {"P": 3, "Q": 6}, ["y"])
    values = [*fixed.graph.input, *fixed.graph.output]
    shapes = [[dim.dim_value for dim in v.type.tensor_type.shape.dim] for v in values]
    assert shapes == [[1, 3, 2], [1, 6]]
    x = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
    answers = [
        onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], {"x": x})[0]
        for model in (free, fixed)
    ]
    np.testing.assert_array_equal(*answers)
    assert free.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "B", "a copy"
