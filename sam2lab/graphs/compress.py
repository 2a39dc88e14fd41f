"""Store large float constants in fewer bytes; a few nodes restore them.

A runtime that folds constants, as onnxruntime does, runs these nodes once when it opens the graph,
so they take no time later.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

# Smaller constants are not worth a node.
_LARGE = 4096
# The share of a constant's norm that factors may leave out. float32 rounds off more.
_TOLERANCE = 1e-7

_FACTORS = ("_left", "_right")

Array = npt.NDArray[np.float32]
Stored = tuple[list[TensorProto], list[NodeProto]]


def factor_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that stores a constant map as two factors if these are far smaller.

    Hiera's position encoding, a background enlarged from 7x7 plus a repeated window, has rank 15 at
    any size: 25 MB of tiny's encoder become 1.5.
    """
    return _stored(model, _as_factors)


def halve_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that stores large float constants in half precision, and computes in float32."""
    return _stored(model, _as_half)


def halve_exact_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that stores in half precision the large constants whose every value it holds exactly.

    Weights that were kept in half precision are such, as far as export does not multiply them by
    others. nano's four graphs are 13.5 MB instead of 22.7; they open in the same time and answer
    the same bits, by onnxruntime and by OpenVINO.
    """
    return _stored(model, _as_exact_half)


def restore_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose halved constants are float32 again, for what looks for weights in a graph."""
    restored = copy.deepcopy(model)
    graph = restored.graph
    stored = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    casts = {
        node.input[0]: node
        for node in graph.node
        if node.op_type == "Cast"
        and node.input[0] in stored
        and helper.get_node_attr_value(node, "to") == TensorProto.FLOAT
    }
    for name, node in casts.items():
        values = numpy_helper.to_array(stored[name]).astype(np.float32)
        stored[name].CopyFrom(numpy_helper.from_array(values, node.output[0]))
        graph.node.remove(node)
    return restored


def _stored(
    model: onnx.ModelProto, store: Callable[[str, Array], Stored | None]
) -> onnx.ModelProto:
    """A copy with each large float constant as `store` returns it, unless that is None."""
    compressed = copy.deepcopy(model)
    graph = compressed.graph
    kept: list[TensorProto] = []
    nodes: list[NodeProto] = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        large = values.dtype == np.float32 and values.size >= _LARGE
        stored, made = (store(tensor.name, values) if large else None) or ([tensor], [])
        kept += stored
        nodes += made
    nodes += list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    return compressed


def _as_half(name: str, values: Array) -> Stored | None:
    # Factors stay float32, because their product would have the errors of both.
    if name.endswith(_FACTORS) or np.abs(values).max() > np.finfo(np.float16).max:
        return None
    half = values.astype(np.float16)
    cast = helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_half", to=TensorProto.FLOAT)
    return [numpy_helper.from_array(half, f"{name}_half")], [cast]


def _as_exact_half(name: str, values: Array) -> Stored | None:
    with np.errstate(over="ignore"):
        is_exact = np.array_equal(values.astype(np.float16), values)
    return _as_half(name, values) if is_exact else None


def _as_factors(name: str, values: Array) -> Stored | None:
    """A map (1, h, w, C) as the product (h, r) by (r, w * C), where that is far smaller."""
    if values.ndim != 4 or values.shape[0] != 1:
        return None
    flat = values.reshape(values.shape[1], -1).astype(np.float64)
    if flat.shape[0] > flat.shape[1]:
        return None
    # The eigenvectors of the small square are the left singular vectors of the wide matrix.
    strengths, vectors = np.linalg.eigh(flat @ flat.T)
    needed = strengths > _TOLERANCE**2 * strengths.sum()
    left = vectors[:, needed]
    # If factors are not smaller than this, half precision is as small.
    if needed.sum() * sum(flat.shape) > flat.size / 2:
        return None
    return [
        numpy_helper.from_array(left.astype(np.float32), f"{name}_left"),
        numpy_helper.from_array((left.T @ flat).astype(np.float32), f"{name}_right"),
        numpy_helper.from_array(np.array(values.shape), f"{name}_shape"),
    ], [
        helper.make_node("MatMul", [f"{name}_left", f"{name}_right"], [f"{name}_flat"], name),
        helper.make_node("Reshape", [f"{name}_flat", f"{name}_shape"], [name], f"{name}_map"),
    ]
