"""Each operator that is written for LiteRT computes what ONNX Runtime does."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("ai_edge_litert", reason="pip install 'sam2lab[litert]'")

from ai_edge_litert.interpreter import Interpreter

from sam2lab.litert.convert import to_tflite
from sam2lab.litert.folding import folded
from sam2lab.litert.operators import WRITERS

Arrays = dict[str, np.ndarray]

RNG = np.random.default_rng(0)


def values(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def graph(*nodes: onnx.NodeProto, shape: tuple[int, ...], **constants: Any) -> onnx.ModelProto:
    """A graph from `x` of a shape to `y`."""
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    return inferred


def node(kind: str, *inputs: str, output: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), [output], f"/part/{output}", **attributes)


def both(model: onnx.ModelProto, half: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The answers of LiteRT and of ONNX Runtime to the same random numbers."""
    x = values(*[dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim])
    run = Interpreter(model_content=to_tflite(model, half), num_threads=1).get_signature_runner()
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return run(x=x)["y"], session.run(None, {"x": x})[0]


def integers(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


ROWS, MAP = (6, 8), (1, 8, 6, 4)
OPERATORS = {
    **{
        kind: graph(node(kind, "x"), shape=MAP)
        for kind in ("Abs", "Cos", "Gelu", "Neg", "Relu", "Sigmoid", "Sin", "Softmax")
    },
    **{kind: graph(node(kind, "x", "c"), shape=MAP, c=values(4)) for kind in ("Add", "Mul", "Sub")},
    "Gemm": graph(node("Gemm", "x", "w", "b", transB=1), shape=ROWS, w=values(5, 8), b=values(5)),
    "Gemm, not transposed": graph(
        node("Gemm", "x", "w", "b"), shape=ROWS, w=values(8, 5), b=values(5)
    ),
    "Gemm of a map's rows": graph(
        node("Reshape", "x", "rows", output="a"),
        node("Gemm", "a", "w", output="b", transB=1),
        node("Reshape", "b", "map"),
        shape=MAP,
        rows=integers(48, 4),
        map=integers(1, 8, 6, 3),
        w=values(3, 4),
    ),
    "Gemm of rows that become another map": graph(
        node("Reshape", "x", "rows", output="a"),
        node("Gemm", "a", "w", output="b", transB=1),
        node("Reshape", "b", "map"),
        shape=MAP,
        rows=integers(24, 8),
        map=integers(2, 6, 2, 3),
        w=values(3, 8),
    ),
    "MatMul by weights": graph(node("MatMul", "x", "w"), shape=MAP, w=values(4, 3)),
    "MatMul of tensors": graph(
        node("Transpose", "x", output="t", perm=[0, 1, 3, 2]), node("MatMul", "x", "t"), shape=MAP
    ),
    "MatMul of a tensor whose heads and columns moved": graph(
        node("Transpose", "x", output="q", perm=[0, 2, 1, 3]),
        node("Transpose", "x", output="k", perm=[0, 2, 3, 1]),
        node("MatMul", "q", "k"),
        shape=MAP,
    ),
    "attention of many tokens, in bands": graph(
        node("Transpose", "x", output="k", perm=[0, 1, 3, 2]),
        node("MatMul", "x", "k", output="scores"),
        node("Softmax", "scores", output="weights"),
        node("MatMul", "weights", "x"),
        shape=(1, 2, 600, 4),
    ),
    "LayerNormalization that layers read": graph(
        node("LayerNormalization", "x", "s", "b", output="n", axis=-1, epsilon=1e-6),
        node("Gemm", "n", "w", "c", output="first", transB=1),
        node("Gemm", "n", "v", output="second"),
        node("Add", "first", "second"),
        shape=ROWS,
        s=values(8),
        b=values(8),
        w=values(5, 8),
        c=values(5),
        v=values(8, 5),
    ),
    "LayerNormalization that tokens of zeros follow": graph(
        node("LayerNormalization", "x", "s", "b", output="n", axis=-1, epsilon=1e-6),
        node("Pad", "n", "pads", output="p"),
        node("Gemm", "p", "w", "c", transB=1),
        shape=ROWS,
        s=values(8),
        b=values(8),
        pads=integers(0, 0, 2, 0),
        w=values(5, 8),
        c=values(5),
    ),
    "LayerNormalization": graph(
        node("LayerNormalization", "x", "s", "b", axis=-1, epsilon=1e-6),
        shape=MAP,
        s=values(4),
        b=values(4),
    ),
    "Conv": graph(
        node("Conv", "x", "w", "b", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        shape=(1, 4, 8, 6),
        w=values(5, 4, 3, 3),
        b=values(5),
    ),
    "MaxPool, an odd map": graph(
        node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2]), shape=(1, 4, 7, 6)
    ),
    "MaxPool between transpositions": graph(
        node("Transpose", "x", output="a", perm=[0, 3, 1, 2]),
        node("MaxPool", "a", output="b", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", "b", perm=[0, 2, 3, 1]),
        shape=MAP,
    ),
    "Reshape twice": graph(
        node("Reshape", "x", "first", output="a"),
        node("Reshape", "a", "second"),
        shape=MAP,
        first=integers(48, 4),
        second=integers(2, -1),
    ),
    "Unsqueeze": graph(node("Unsqueeze", "x", "axes"), shape=ROWS, axes=integers(1)),
    "Squeeze": graph(node("Squeeze", "x", "axes"), shape=MAP, axes=integers(0)),
    "Concat": graph(node("Concat", "x", "c", axis=-1), shape=MAP, c=values(1, 8, 6, 2)),
    "Slice from behind": graph(
        node("Slice", "x", "starts", "ends", "axes"),
        shape=MAP,
        starts=integers(-1, 1),
        ends=integers(2**62, 5),
        axes=integers(1, 2),
    ),
    "Pad": graph(node("Pad", "x", "pads"), shape=MAP, pads=integers(0, 0, 0, 0, 0, 1, 2, 0)),
    "ReduceMax": graph(node("ReduceMax", "x", "axes", keepdims=1), shape=ROWS, axes=integers(1)),
    "Constant": graph(
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(values(4))),
        node("Add", "x", "c"),
        shape=MAP,
    ),
    "Transpose": graph(node("Transpose", "x", perm=[0, 2, 1, 3]), shape=MAP),
}


@pytest.mark.parametrize("model", OPERATORS.values(), ids=OPERATORS)
def test_an_operator_computes_what_onnxruntime_does(model: onnx.ModelProto) -> None:
    found, wanted = both(model)
    assert found.shape == wanted.shape
    # Float32 rounding of values of about 1; XNNPACK's sines and exponentials are as exact.
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_every_operator_that_can_be_written_is_tested() -> None:
    written = {n.op_type for model in OPERATORS.values() for n in folded(model).graph.node}
    assert WRITERS.keys() == written


@pytest.mark.parametrize(
    ("name", "kind"),
    [("MaxPool between transpositions", "TRANSPOSE"), ("Gemm of a map's rows", "RESHAPE")],
)
def test_moves_that_cancel_are_not_written(name: str, kind: str) -> None:
    interpreter = Interpreter(model_content=to_tflite(OPERATORS[name]))
    interpreter.allocate_tensors()
    assert kind not in [op["op_name"] for op in interpreter._get_ops_details()]


def test_large_weights_are_stored_in_half_the_bytes_and_rounded() -> None:
    model = graph(node("Gemm", "x", "w", transB=1), shape=(4, 64), w=values(64, 64))
    assert len(to_tflite(model, half=True)) < 0.7 * len(to_tflite(model))
    found, wanted = both(model, half=True)
    # Eleven significant bits, of sums of 64 products.
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-2)
    assert not np.allclose(found, wanted, rtol=0, atol=1e-6)


WRONG = {
    "operator Erf": graph(node("Erf", "x"), shape=MAP),
    "over axis 1": graph(node("Softmax", "x", axis=1), shape=MAP),
    "no fixed shape": graph(node("Relu", "x"), shape=("N", 4)),
    "no plain product": graph(node("Gemm", "x", "w", alpha=2.0), shape=ROWS, w=values(8, 5)),
    "grouped or dilated": graph(
        node("Conv", "x", "w", "b", kernel_shape=[1, 1], group=2, strides=[1, 1]),
        shape=(1, 4, 8, 6),
        w=values(4, 2, 1, 1),
        b=values(4),
    ),
    "pools beyond the edge": graph(
        node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), shape=(1, 4, 7, 6)
    ),
    "every n-th": graph(
        node("Slice", "x", "starts", "ends", "axes", "steps"),
        shape=ROWS,
        starts=integers(0),
        ends=integers(6),
        axes=integers(0),
        steps=integers(2),
    ),
}


@pytest.mark.parametrize(("message", "model"), WRONG.items(), ids=WRONG)
def test_what_cannot_be_written_is_refused_by_name(message: str, model: onnx.ModelProto) -> None:
    with pytest.raises(ValueError, match=message):
        to_tflite(model)
