"""Rewrite a float graph into the form that onnxruntime's integer kernels are made for.

onnxruntime multiplies bytes fastest as `Gemm` of two-dimensional tensors, whose bias it adds in the
same pass, so linear layers become Gemm. Each range of 8 bits costs a pass over its tensor, so what
the float graph computes in bands is computed at once, and the scaling of attention's queries moves
into their weights. The graph stays float32 and standard ONNX, and computes what it did before.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, helper

from sam2lab.quantize.wiring import Wiring

# Operators between a linear layer and the scaling of its result that change no number.
_MOVES = {"Reshape", "Transpose"}
# The operators that compute a band.
_BANDED = {
    *("MatMul", "Add", "Gelu", "Softmax", "LayerNormalization", "Reshape", "Transpose"),
    *("ReduceMax", "Slice", "ReduceSum", "Sub", "Div", "Gather"),
}


def for_integer_kernels(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes nothing in bands, with linear layers as Gemm."""
    wiring = Wiring(model)
    # Bands within bands come first.
    for concat in _of_type(wiring, "Concat"):
        _join_bands(wiring, concat)
    wiring = Wiring(wiring.finish())
    for scaling in _of_type(wiring, "Mul"):
        _fold_scaling(wiring, scaling)
    flat: set[str] = set()
    for product in _of_type(wiring, "MatMul"):
        if len(wiring.shapes.get(product.input[0], ())) == 2:
            _gemm_of_rows(wiring, product)
        else:
            _gemm_of_map(wiring, product, flat)
    return wiring.finish()


def _of_type(wiring: Wiring, operator: str) -> list[NodeProto]:
    return [node for node in wiring.nodes if node.op_type == operator]


def _join_bands(wiring: Wiring, concat: NodeProto) -> None:
    """Compute at once what the float graph computes in bands and then concatenates.

    The first band's nodes take the whole of each tensor that was split; the other bands are
    deleted.
    """
    axis = next(attribute.i for attribute in concat.attribute if attribute.name == "axis")
    if axis == len(wiring.shapes[concat.output[0]]) - 1:
        return  # Attention heads side by side, which are no bands.
    band, read = _band(wiring, concat.input[0])
    _, read_next = _band(wiring, concat.input[1])
    # A tensor was split into bands if this band reads its first part and the next its second.
    whole = {
        split.output[0]: split.input[0]
        for name in read
        if (split := wiring.maker.get(name)) is not None
        and split.op_type == "Split"
        and name == split.output[0]
        and split.output[1] in read_next
    }
    if not whole:
        return
    for node in band:
        node.input[:] = [whole.get(name, name) for name in node.input]
    wiring.maker[concat.input[0]].output[:] = concat.output
    wiring.replace([concat], [])


def _band(wiring: Wiring, result: str) -> tuple[list[NodeProto], set[str]]:
    """The nodes that compute a band's result, and the names of all tensors that they read."""
    band: list[NodeProto] = []
    read: set[str] = set()
    behind = [result]
    while behind:
        name = behind.pop()
        maker = wiring.maker.get(name)
        if name not in read and maker is not None and maker.op_type in _BANDED:
            band.append(maker)
            behind += maker.input
        read.add(name)
    return band, read


def _fold_scaling(wiring: Wiring, scaling: NodeProto) -> None:
    """Move a scaling into the weights of the linear layer whose result it scales."""
    name, constant = scaling.input
    if constant not in wiring.weights or wiring.values(constant).size != 1:
        return
    factor = wiring.values(constant).item()
    while len(wiring.readers[name]) == 1 and (maker := wiring.maker.get(name)) is not None:
        if maker.op_type not in _MOVES:
            break
        name = maker.input[0]
    found = _linear_layer(wiring, name)
    if found is None or len(wiring.readers[name]) != 1:
        return
    product, add = found
    for layer, place in ((product, 1), (add, 0)):
        weight = layer.input[place]
        layer.input[place] = wiring.add_weight(f"{weight}.scaled", wiring.values(weight) * factor)
    for reader in wiring.readers[scaling.output[0]]:
        for place, read in enumerate(reader.input):
            if read == scaling.output[0]:
                reader.input[place] = scaling.input[0]
    wiring.replace([scaling], [])


def _linear_layer(wiring: Wiring, output: str) -> tuple[NodeProto, NodeProto] | None:
    """The MatMul with a constant and the Add of a constant that make `output`.

    torch's exporter writes a linear layer's bias first.
    """
    add = wiring.maker.get(output)
    if add is None or add.op_type != "Add":
        return None
    bias, name = add.input
    product = wiring.maker.get(name)
    if product is None or product.op_type != "MatMul" or len(wiring.readers[name]) != 1:
        return None
    constants = [wiring.weights.get(name) for name in (product.input[1], bias)]
    ranks = [None if constant is None else len(constant.dims) for constant in constants]
    return (product, add) if ranks == [2, 1] else None


def _gemm_of_rows(wiring: Wiring, product: NodeProto) -> None:
    """Rows times weights, less a constant where one is subtracted → Gemm."""
    source, weight = product.input
    if weight not in wiring.weights:
        return
    last, bias = product, []
    readers = wiring.readers[product.output[0]]
    if len(readers) == 1 and readers[0].op_type == "Sub" and readers[0].input[1] in wiring.weights:
        last = readers[0]
        bias = [wiring.add_weight(f"{last.input[1]}.negative", -wiring.values(last.input[1]))]
    name = f"{_scope(product)}/Gemm"
    gemm = helper.make_node("Gemm", [source, weight, *bias], last.output, name)
    wiring.replace([product, last], [gemm])


def _gemm_of_map(wiring: Wiring, product: NodeProto, flat: set[str]) -> None:
    """A linear layer on (…, K) → Gemm on (rows, K), if only the first size is free.

    `flat` holds the tensors that other layers have flattened.
    """
    readers = wiring.readers[product.output[0]]
    found = _linear_layer(wiring, readers[0].output[0]) if len(readers) == 1 else None
    if found is None:
        return
    _, add = found
    source, weight = product.input
    bias, result = add.input[0], add.output[0]
    known = wiring.shapes.get(source, ())[1:]
    if len(known) < 2 or None in known:
        return
    scope = _scope(product)
    inner, outer = wiring.values(weight).shape
    rows = f"{source}_flat"
    nodes = []
    if source not in flat:
        flat.add(source)
        shape = wiring.add_weight(f"{rows}_shape", np.array([-1, inner]))
        nodes.append(helper.make_node("Reshape", [source, shape], [rows], rows))
    whole = wiring.add_weight(f"{result}_shape", np.array([-1, *known[:-1], outer]))
    nodes += [
        helper.make_node("Gemm", [rows, weight, bias], [f"{result}_flat"], f"{scope}/Gemm"),
        helper.make_node("Reshape", [f"{result}_flat", whole], [result], f"{scope}/Whole"),
    ]
    wiring.replace([product, add], nodes)


def _scope(node: NodeProto) -> str:
    return str(node.name).rsplit("/", 1)[0]
