"""`Wiring` is an ONNX graph that can be rewritten, with the makers and readers of each tensor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, numpy_helper

from sam2lab.runtime.engines.protocol import Float32


class Wiring:
    """A copy of a graph: its nodes, its constants, and which node makes or reads a tensor.

    `shapes` has None for a dimension that is free. Add nodes and delete them with `replace`, so
    that `maker` and `readers` stay true.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        graph = self.model.graph
        self.nodes: list[NodeProto] = list(graph.node)
        self.weights = {tensor.name: tensor for tensor in graph.initializer}
        self.shapes = {
            value.name: tuple(dim.dim_value or None for dim in value.type.tensor_type.shape.dim)
            for value in (*graph.value_info, *graph.input, *graph.output)
        }
        self.maker: dict[str, NodeProto] = {}
        self.readers: dict[str, list[NodeProto]] = {}
        self._index()

    def values(self, name: str) -> Float32:
        """The values of a constant."""
        return numpy_helper.to_array(self.weights[name])

    def add_weight(self, name: str, values: npt.NDArray[np.generic]) -> str:
        """Add a constant, and return its name."""
        self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def replace(self, old: Sequence[NodeProto], new: Sequence[NodeProto]) -> None:
        """Delete some nodes, and put others where the first of them stood."""
        gone = {id(node) for node in old}
        place = next(i for i, node in enumerate(self.nodes) if id(node) in gone)
        self.nodes[place:place] = new
        self.nodes = [node for node in self.nodes if id(node) not in gone]
        self._index()

    def finish(self) -> onnx.ModelProto:
        """Return the graph as a model, without the nodes and constants that nothing reads."""
        graph = self.model.graph
        needed = {value.name for value in graph.output}
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
