"""Rewrite a float graph so that QNN, which computes it in half precision, loses less of it.

What loses most is not half precision but how GELU and softmax are computed. All figures are of
QAIRT 2.51's emulator for the Snapdragon 8 Gen 3, on normal numbers, as root mean square errors in
shares of the answer's spread, of which half precision itself has 0.02 %.

QNN's compiler joins a layer with the GELU that follows it, and that GELU is coarse: between 0.5 and
1, all that it gives is 0.003 too large. After a layer the error is 0.43 %, with a doubling between
the two 0.08 %.

Softmax divides what is summed in half precision, so that weights do not sum to 1. Attention over
1024 tokens has an error of 0.33 %; where its exponentials are not divided, but what they give in
sum, 0.18 %.

Of 24 masks of nano at 256 x 256 with an encoder in the emulator, the mean IoU with float32's is
0.9981 as traced, 0.9990 with GELUs apart, and 0.9994 with both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import NodeProto, helper

from sam2lab.quantize.wiring import Wiring

_MOVES = {"Reshape", "Transpose"}


def for_half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes the same, GELUs apart from layers and softmax divided late."""
    wiring = Wiring(model)
    for node in list(wiring.nodes):
        if node.op_type == "Gelu":
            _keep_apart(wiring, node)
        elif node.op_type == "Softmax":
            _divide_late(wiring, node)
    return wiring.finish()


def _keep_apart(wiring: Wiring, gelu: NodeProto) -> None:
    """Halve the layer before, and double what it gives: that changes no digit."""
    (halved,) = gelu.input
    layer = _layer(wiring, halved)
    if layer is None:
        return
    for place, name in enumerate(layer.input[1:], start=1):
        values = wiring.values(name) / np.float32(2)
        layer.input[place] = wiring.add_weight(f"{name}.half", values)
    doubled, two = f"{halved}.double", wiring.add_weight("two", np.array([2], np.float32))
    twice = helper.make_node("Mul", [halved, two], [doubled], f"{gelu.name}/double")
    wiring.replace([gelu], [twice, _copy(gelu, [doubled], gelu.output)])


def _layer(wiring: Wiring, name: str) -> NodeProto | None:
    """The layer of fixed weights whose result this is, moved or not, if nothing else reads it."""
    node = wiring.maker.get(name)
    while node is not None and len(wiring.readers[name]) == 1 and node.op_type in _MOVES:
        name = node.input[0]
        node = wiring.maker.get(name)
    if node is None or node.op_type != "Gemm" or len(wiring.readers[name]) != 1:
        return None
    return node if all(each in wiring.weights for each in node.input[1:]) else None


def _divide_late(wiring: Wiring, softmax: NodeProto) -> None:
    """Divide what is summed with a softmax's weights, instead of each weight."""
    (scores,), (weights,) = softmax.input, softmax.output
    readers = wiring.readers[weights]
    axis = next((int(each.i) for each in softmax.attribute if each.name == "axis"), -1)
    if axis not in (-1, len(wiring.shapes[scores]) - 1):
        return
    if [node.op_type for node in readers] != ["MatMul"] or readers[0].input[0] != weights:
        return
    (product,) = readers
    (attended,) = product.output
    name, last = softmax.name, wiring.add_weight("last_axis", np.array([-1]))
    largest, below, total, whole = (f"{weights}.{what}" for what in ("max", "sub", "sum", "whole"))
    wiring.replace(
        [softmax],
        [
            helper.make_node("ReduceMax", [scores, last], [largest], f"{name}/max"),
            helper.make_node("Sub", [scores, largest], [below], f"{name}/sub"),
            helper.make_node("Exp", [below], [weights], f"{name}/exp"),
            helper.make_node("ReduceSum", [weights, last], [total], f"{name}/sum"),
        ],
    )
    divide = helper.make_node("Div", [whole, total], [attended], f"{name}/divide")
    wiring.replace([product], [_copy(product, product.input, [whole]), divide])


def _copy(node: NodeProto, inputs: Sequence[str], outputs: Sequence[str]) -> NodeProto:
    """The same operator of other tensors."""
    made = NodeProto()
    made.CopyFrom(node)
    del made.input[:], made.output[:]
    made.input.extend(inputs)
    made.output.extend(outputs)
    return made
