"""Convert a graph to half precision, except for its inputs and outputs."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# A module with one of these operators stays in float32 as a whole. Sines take pixel coordinates,
# which half precision rounds: 1279 to the nearest whole pixel. A norm written out as single
# operators squares its input, which overflows from 256 on. LayerNormalization is defined to take
# its statistics in float32.
_SENSITIVE = {"Sin", "Sqrt"}


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with float16 weights and arithmetic, and casts where float32 goes in and comes out.

    The graph must be as exported ones are: without subgraphs, and with initializers as its only
    float constants.
    """
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    graph = model.graph
    declared = [*graph.value_info, *graph.input, *graph.output]
    floats = {v.name for v in declared if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    scopes = {_scope(node) for node in graph.node if node.op_type in _SENSITIVE}

    half: set[str] = set()
    casts: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    used: dict[str, onnx.TensorProto] = {}

    def cast(name: str, to: int) -> str:
        suffix = "half" if to == TensorProto.FLOAT16 else "float"
        casted = f"{name}_{suffix}"
        if casted not in casts:
            casts.add(casted)
            nodes.append(helper.make_node("Cast", [name], [casted], name=casted, to=to))
        return casted

    for node in graph.node:
        in_half = _scope(node) not in scopes
        for index, name in enumerate(node.input):
            if name in weights:
                is_float = weights[name].data_type == TensorProto.FLOAT
                stored = _halved(weights[name]) if in_half and is_float else weights[name]
                used[stored.name] = stored
                node.input[index] = stored.name
            elif in_half and name in floats and name not in half:
                node.input[index] = cast(name, TensorProto.FLOAT16)
            elif not in_half and name in half:
                node.input[index] = cast(name, TensorProto.FLOAT)
        if in_half:
            half.update(name for name in node.output if name in floats)
            for attribute in node.attribute:
                if (node.op_type, attribute.name, attribute.i) == ("Cast", "to", TensorProto.FLOAT):
                    attribute.i = TensorProto.FLOAT16
        nodes.append(node)

    renamed = {output.name for output in graph.output if output.name in half}
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [f"{name}_half" if name in renamed else name for name in names]
    nodes += [
        helper.make_node("Cast", [f"{name}_half"], [name], name=name, to=TensorProto.FLOAT)
        for name in sorted(renamed)
    ]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(used.values())
    return model


def _scope(node: onnx.NodeProto) -> str:
    """The module that a node belongs to, which is the path in its name."""
    return str(node.name).rsplit("/", 1)[0]


def _halved(tensor: onnx.TensorProto) -> onnx.TensorProto:
    largest = np.finfo(np.float16).max
    values = np.clip(numpy_helper.to_array(tensor), -largest, largest).astype(np.float16)
    return numpy_helper.from_array(values, f"{tensor.name}_half")
