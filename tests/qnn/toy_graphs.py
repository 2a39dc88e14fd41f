"""Small graphs to compile: three that an NPU takes whole, and one with a node that it does not."""

from __future__ import annotations

import numpy as np
import onnx

HEAD = '<ir_version: 10, opset_import: ["" : 18]>\n'
WHOLE = """
whole (float[1, 8, 8, 16] x) => (float[1, 8, 8, 16] y)
{
    normed = LayerNormalization<axis = -1>(x, scale, bias)
    flat = Reshape(normed, rows)
    grown = Gemm<transB = 1>(flat, weight, add)
    bent = Gelu(grown)
    back = Reshape(bent, map)
    y = Add(x, back)
}
"""
WINDOWS = """
windows (float[16, 4, 4, 8] x) => (float[1, 16, 16, 4] y)
{
    flat = Reshape(x, rows)
    grown = Gemm<transB = 1>(flat, weight, add)
    rowwise = Reshape(grown, windows)
    turned = Transpose<perm = [0, 2, 1, 3]>(rowwise)
    y = Reshape(turned, map)
}
"""
PRODUCT = """
product (float[1, 2, 64, 16] x, float[1, 2, 16, 64] z) => (float[1, 2, 64, 64] y)
{
    y = MatMul(x, z)
}
"""
ISLAND = """
island (float[1, 4, 4] x) => (float[1, 4, 4] y)
{
    twice = Add(x, x)
    steps = CumSum(twice, axis)
    found = Det(steps)
    y = Mul(twice, found)
}
"""


def whole() -> onnx.ModelProto:
    """A norm, a layer and a sum, as a transformer has them."""
    rng = np.random.default_rng(0)
    text = HEAD.replace("18", "20") + WHOLE
    return _with(
        text,
        scale=rng.uniform(0.5, 2, 16).astype(np.float32),
        bias=rng.standard_normal(16).astype(np.float32),
        rows=np.array([64, 16]),
        weight=rng.standard_normal((16, 16)).astype(np.float32) / 4,
        add=rng.standard_normal(16).astype(np.float32),
        map=np.array([1, 8, 8, 16]),
    )


def on_windows() -> onnx.ModelProto:
    """A layer on as many windows in a row as a window has pixels, which become one map."""
    rng = np.random.default_rng(0)
    return _with(
        HEAD + WINDOWS,
        rows=np.array([256, 8]),
        weight=rng.standard_normal((4, 8)).astype(np.float32) / 3,
        add=rng.standard_normal(4).astype(np.float32),
        windows=np.array([4, 4, 4, 16]),
        map=np.array([1, 16, 16, 4]),
    )


def product() -> onnx.ModelProto:
    """The scores of attention: no weights."""
    return _with(HEAD + PRODUCT)


def with_island() -> onnx.ModelProto:
    """A determinant between sums."""
    return _with(HEAD + ISLAND, axis=np.array(1))


def _with(text: str, **weights: np.ndarray) -> onnx.ModelProto:
    model = onnx.parser.parse_model(text)
    for name, values in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    return onnx.shape_inference.infer_shapes(model, data_prop=True)
