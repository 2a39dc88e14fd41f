"""`to_tflite` writes an ONNX graph of fixed shapes as a .tflite file, operator by operator.

It is direct, because the ways that others offer cost more than they give: litert-torch takes half a
minute a graph and cannot be installed beside JupyterLab, onnx2tf wants other versions of
everything. It knows the operators of our device graphs, which `operators.WRITERS` lists.
"""

from __future__ import annotations

import onnx
from onnx import helper

from sam2lab.litert.conversion import Conversion
from sam2lab.litert.folding import folded
from sam2lab.litert.operators import WRITERS


def to_tflite(model: onnx.ModelProto, half: bool = False) -> bytes:
    """The bytes of a .tflite file that computes what an ONNX graph does.

    Every tensor has a fixed shape and is float32. With `half`, large constants are stored in half
    precision; runtimes restore them once, when they open the file. A `ValueError` names an
    operator or a shape that cannot be written.

    Tensors keep their names, so that an operator's name begins with its module's path.
    """
    to = Conversion(folded(model), half)
    inputs = {value.name: to.get(value.name) for value in to.graph.input}
    for node in to.graph.node:
        if node.op_type not in WRITERS:
            raise ValueError(
                f"model has the operator {node.op_type} ({node.name}), which is not written for "
                f"LiteRT; wanted one of {', '.join(sorted(WRITERS))}"
            )
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        WRITERS[node.op_type](to, node, attributes)
    outputs = {value.name: to.get(value.name) for value in to.graph.output}
    return to.builder.pack(inputs, outputs)
