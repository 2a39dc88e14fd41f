"""Keep the constants that stay float small in a file; in memory they are what they were.

A runtime that folds constants, as onnxruntime does when it opens a graph, computes them once from
what the file holds, so that none of this takes time later.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

# Smaller constants are not worth a node.
_LARGE = 4096
# What factors may leave out, in shares of the constant's norm: less than float32 rounds off.
_TOLERANCE = 1e-7

Array = npt.NDArray[np.float32]


def shrink(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with large float constants stored as two factors, or else in half precision.

    Hiera's position encoding, a background enlarged from 7x7 and a window repeated, is of rank 15
    at any size: 25 MB of tiny's encoder become 1.5.
    """
    shrunk = onnx.ModelProto()
    shrunk.CopyFrom(model)
    graph = shrunk.graph
    kept: list[TensorProto] = []
    nodes: list[NodeProto] = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _LARGE:
            kept.append(tensor)
            continue
        stored, made = _factors(tensor.name, values) or _half(tensor.name, values)
        kept += stored
        nodes += made
    nodes += list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    return shrunk


def _half(name: str, values: Array) -> tuple[list[TensorProto], list[NodeProto]]:
    if np.abs(values).max() > np.finfo(np.float16).max:
        return [numpy_helper.from_array(values, name)], []
    half = values.astype(np.float16)
    cast = helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_half", to=TensorProto.FLOAT)
    return [numpy_helper.from_array(half, f"{name}_half")], [cast]


def _factors(name: str, values: Array) -> tuple[list[TensorProto], list[NodeProto]] | None:
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
    # Otherwise half precision is as small.
    if needed.sum() * sum(flat.shape) > flat.size / 2:
        return None
    return [
        numpy_helper.from_array(left.astype(np.float32), f"{name}_left"),
        numpy_helper.from_array((left.T @ flat).astype(np.float32), f"{name}_right"),
        numpy_helper.from_array(np.array(values.shape), f"{name}_shape"),
    ], [
        helper.make_node("MatMul", [f"{name}_left", f"{name}_right"], [f"{name}_flat"]),
        helper.make_node("Reshape", [f"{name}_flat", f"{name}_shape"], [name]),
    ]
