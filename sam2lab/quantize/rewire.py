"""A graph written as integer kernels want it, computing what it did before.

onnxruntime multiplies bytes fastest as `Gemm` of two-dimensional tensors, whose bias it adds in the
same pass; and only a product whose factors have ranges of their own can be quantised well. So
linear layers become Gemm, and queries' scaling moves into their weights. Each range costs a pass
over its tensor, so what the float graph computes in bands is computed at once. Nothing here
quantises anything: the graph stays float32 and standard ONNX.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, helper, numpy_helper

# Operators that move numbers, or choose among them, and change none.
MOVES = {"Reshape", "Transpose", "MaxPool", "Slice", "Pad", "Unsqueeze", "Squeeze"}
# Operators that a band is computed by; what else it reads is not its own.
_BANDED = {
    *("Gemm", "MatMul", "Add", "Gelu", "Softmax", "LayerNormalization"),
    *("Reshape", "Transpose", "ReduceMax", "Slice", "ReduceSum", "Sub", "Div", "Gather"),
}

Array = npt.NDArray[np.float32]


class Wiring:
    """A graph with its initializers, and who makes and who reads each tensor, kept up to date."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        self.nodes: list[NodeProto] = list(self.model.graph.node)
        self.weights = {tensor.name: tensor for tensor in self.model.graph.initializer}
        values = (*self.model.graph.value_info, *self.model.graph.input, *self.model.graph.output)
        self.shapes = {
            value.name: tuple(dim.dim_value or None for dim in value.type.tensor_type.shape.dim)
            for value in values
        }
        self.outputs = {value.name for value in self.model.graph.output}
        self.maker: dict[str, NodeProto] = {}
        self.readers: dict[str, list[NodeProto]] = defaultdict(list)
        self._index()

    def values(self, name: str) -> Array:
        """The values of a constant."""
        return numpy_helper.to_array(self.weights[name])

    def add_weight(self, name: str, values: npt.NDArray[np.generic]) -> str:
        """Keep a constant, and return its name."""
        self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def replace(self, old: Sequence[NodeProto], new: Sequence[NodeProto]) -> None:
        """Put nodes where the first of some others stands, which all go."""
        gone = {id(node) for node in old}
        place = next(i for i, node in enumerate(self.nodes) if id(node) in gone)
        self.nodes[place:place] = new
        self.nodes = [node for node in self.nodes if id(node) not in gone]
        self._index()

    def finish(self) -> onnx.ModelProto:
        """The graph as a model again, with only the nodes and constants that are still read."""
        graph = self.model.graph
        needed = set(self.outputs)
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
        self.nodes = [node for node in self.nodes if needed.intersection(node.output)]
        read = {name for node in self.nodes for name in node.input}
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(t for name, t in self.weights.items() if name in read)
        return onnx.shape_inference.infer_shapes(self.model, data_prop=True)

    def _index(self) -> None:
        self.maker = {name: node for node in self.nodes for name in node.output}
        self.readers = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self.readers[name].append(node)


def rewire(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes nothing in bands, with linear layers as Gemm."""
    wiring = Wiring(model)
    # Bands within bands come first.
    for concat in [node for node in wiring.nodes if node.op_type == "Concat"]:
        _join_bands(wiring, concat)
    wiring = Wiring(wiring.finish())
    for scaling in [node for node in wiring.nodes if node.op_type == "Mul"]:
        _absorb(wiring, scaling)
    flat: dict[str, str] = {}
    for product in [node for node in wiring.nodes if node.op_type == "MatMul"]:
        _flatten(wiring, product, flat)
    for product in [node for node in wiring.nodes if node.op_type == "MatMul"]:
        _as_gemm(wiring, product)
    return wiring.finish()


def linear_layer(wiring: Wiring, output: str) -> tuple[NodeProto, NodeProto, str, str] | None:
    """The MatMul and Add that make `output` of constants, with the weight's and bias's names."""
    add = wiring.maker.get(output)
    if add is None or add.op_type != "Add":
        return None
    for name, bias in (tuple(add.input), tuple(add.input)[::-1]):
        product = wiring.maker.get(name)
        if (
            product is not None
            and product.op_type == "MatMul"
            and product.input[1] in wiring.weights
            and bias in wiring.weights
            and len(wiring.weights[bias].dims) == 1
            and len(wiring.weights[product.input[1]].dims) == 2
            and len(wiring.readers[name]) == 1
        ):
            return product, add, product.input[1], bias
    return None


def _join_bands(wiring: Wiring, concat: NodeProto) -> None:
    """Compute at once what the float graph computes in bands, part of a tensor by part.

    The first band's nodes take the whole of what was split, and the other bands go.
    """
    if _axis(concat) == len(wiring.shapes[concat.output[0]]) - 1:
        return  # Heads side by side, each of which attends by itself.
    band, read = _band(wiring, concat.input[0])
    _, read_next = _band(wiring, concat.input[1])
    # What has no second part that the second band reads was cut for another reason.
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
    """The nodes that a band's result is computed by, and the names of what they read."""
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


def _axis(node: NodeProto) -> int:
    return next(attribute.i for attribute in node.attribute if attribute.name == "axis")


def _as_gemm(wiring: Wiring, product: NodeProto) -> None:
    """A product of rows and weights, less a constant if it is, as Gemm."""
    source, weight = product.input
    if weight not in wiring.weights or len(wiring.shapes.get(source, ())) != 2:
        return
    last, bias = product, []
    readers = wiring.readers[product.output[0]]
    if len(readers) == 1 and readers[0].op_type == "Sub" and readers[0].input[1] in wiring.weights:
        last = readers[0]
        bias = [wiring.add_weight(f"{last.input[1]}.negative", -wiring.values(last.input[1]))]
    name = f"{_scope(product)}/Gemm"
    gemm = helper.make_node("Gemm", [source, weight, *bias], last.output, name)
    wiring.replace([product, last], [gemm])


def _absorb(wiring: Wiring, scaling: NodeProto) -> None:
    """A linear layer whose result is only moved and then scaled → one with scaled weights."""
    name, constant = scaling.input
    factor = wiring.values(constant) if constant in wiring.weights else np.zeros(0)
    # The largest of some numbers stays the largest only if they are not multiplied by less than 0.
    if factor.size != 1 or factor.item() <= 0:
        return
    while len(wiring.readers[name]) == 1 and (maker := wiring.maker.get(name)) is not None:
        if maker.op_type not in MOVES:
            break
        name = maker.input[0]
    found = linear_layer(wiring, name)
    if found is None or len(wiring.readers[name]) != 1:
        return
    product, add, weight, bias = found
    for owner, constant in ((product, weight), (add, bias)):
        scaled = wiring.add_weight(f"{constant}.scaled", wiring.values(constant) * factor.item())
        owner.input[list(owner.input).index(constant)] = scaled
    for reader in wiring.readers[scaling.output[0]]:
        for place, read in enumerate(reader.input):
            if read == scaling.output[0]:
                reader.input[place] = scaling.input[0]
    wiring.replace([scaling], [])


def _flatten(wiring: Wiring, product: NodeProto, flat: dict[str, str]) -> None:
    """A linear layer on (…, K) of sizes known but for the first → Gemm on (…, K) made flat."""
    readers = wiring.readers[product.output[0]]
    found = linear_layer(wiring, readers[0].output[0]) if len(readers) == 1 else None
    if found is None:
        return
    _, add, weight, bias = found
    source, result = product.input[0], add.output[0]
    known = wiring.shapes.get(source, ())[1:]
    if len(known) < 2 or None in known:
        return
    scope = _scope(product)
    inner, outer = wiring.values(weight).shape
    nodes = []
    if source not in flat:
        flat[source] = f"{source}_flat"
        shape = wiring.add_weight(f"{source}_flat_shape", np.array([-1, inner]))
        nodes.append(helper.make_node("Reshape", [source, shape], [flat[source]], flat[source]))
    whole = wiring.add_weight(f"{result}_shape", np.array([-1, *known[:-1], outer]))
    nodes += [
        helper.make_node("Gemm", [flat[source], weight, bias], [f"{result}_flat"], f"{scope}/Gemm"),
        helper.make_node("Reshape", [f"{result}_flat", whole], [result], f"{scope}/Whole"),
    ]
    wiring.replace([product, add], nodes)


def _scope(node: NodeProto) -> str:
    return str(node.name).rsplit("/", 1)[0]
