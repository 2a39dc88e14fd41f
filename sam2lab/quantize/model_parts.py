"""The parts of a model that a recipe can name, and the nodes of each part that can be quantised.

The name of a node begins with the path of its module, which tells the part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from sam2lab.graphs.compress import restore_constants
from sam2lab.runtime.bundle import GRAPHS, Bundle

# The graph of the memory that can be quantised. The memory encoder cannot.
MEMORY = "memory_attention"

# Operators with integer kernels on processors.
OPERATORS = ("Gemm", "MatMul", "Conv")

# Point coordinates belong to no part: turned into sines, they need every digit.
_PARTS = {
    "encoder": (
        (r"/patch_embed/", "encoder.patch_embed"),
        (r"/blocks\.(\d+)/MatMul", r"encoder.blocks.\1.attention"),
        (r"/blocks\.(\d+)/mlp[_/]", r"encoder.blocks.\1.mlp"),
        (r"/blocks\.(\d+)/", r"encoder.blocks.\1.projections"),
        (r"/(neck|conv_s[01])/", "encoder.neck"),
    ),
    "decoder": (
        (r"/masks/", "decoder.masks"),
        (r"/transformer/layers\.(\d+)/", r"decoder.layers.\1"),
        (r"/transformer/final_attn/", "decoder.final_attn"),
        (r"/heads/", "decoder.heads"),
    ),
    # torch's exporter numbers products in the order they are computed: in each band the scores,
    # then the sums of values.
    MEMORY: (
        (r"/layers\.(\d+)/MatMul(_\d*[02468])?$", r"memory_attention.scores.\1"),
        (r"/layers\.(\d+)/MatMul", r"memory_attention.sums.\1"),
        (r"/layers\.(\d+)/linear", r"memory_attention.mlp.\1"),
        (r"/layers\.(\d+)/", r"memory_attention.projections.\1"),
    ),
}


@dataclass(frozen=True)
class Quantisable:
    """A node that has an integer kernel: its part of the model and the tensors to quantise.

    `unsigned` are the tensors that come first in the product, or leave it. `signed` is the one
    that comes second where it is no weight, as in attention.
    """

    name: str
    part: str
    unsigned: tuple[str, ...]
    signed: tuple[str, ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        """All tensors that need a range."""
        return self.unsigned + self.signed


def quantisable(model: onnx.ModelProto, graph: str) -> list[Quantisable]:
    """The nodes of a graph that can be quantised."""
    weights = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        part = part_of(graph, node.name)
        if part is None or node.op_type not in OPERATORS:
            continue
        # Weights that come first, as those of the memories' keys do, are a small product.
        if node.input[0] in weights:
            continue
        # A stack of matrices cannot have a range for each channel.
        if node.op_type == "MatMul" and weights.get(node.input[1], 2) > 2:
            continue
        # A convolution has an integer kernel only where its output is quantised too.
        leaving = (node.output[0],) if node.op_type == "Conv" else ()
        second = () if node.input[1] in weights else (node.input[1],)
        found.append(Quantisable(node.name, part, (node.input[0], *leaving), second))
    return found


def parts(bundle: Bundle) -> list[str]:
    """The parts of a float bundle that a recipe can name, in the order they are computed."""
    return parts_in(load_graphs(bundle))


def load_graphs(bundle: Bundle) -> dict[str, onnx.ModelProto]:
    """The graphs of a float bundle that can be quantised, with all their weights in float32."""
    names = GRAPHS if bundle.video is None else (*GRAPHS, MEMORY)
    return {name: restore_constants(onnx.load(bundle.path(name))) for name in names}


def parts_in(graphs: Mapping[str, onnx.ModelProto]) -> list[str]:
    """The parts of a float bundle's graphs."""
    nodes = [node for name, model in graphs.items() for node in quantisable(model, name)]
    return list(dict.fromkeys(node.part for node in nodes))


def part_of(graph: str, node: str) -> str | None:
    """The part that a node of a graph belongs to, by its name.

    >>> part_of("encoder", "/blocks.3/mlp/layers.0/Gemm"), part_of("decoder", "/points/MatMul")
    ('encoder.blocks.3.mlp', None)
    """
    for scope, part in _PARTS[graph]:
        match = re.match(scope, node)
        if match:
            return match.expand(part)
    return None


def expected_parts(blocks: int, layers: int, memory_layers: int) -> list[str]:
    """The parts of a model with so many encoder blocks, and layers of decoder and memory.

    >>> expected_parts(blocks=1, layers=2, memory_layers=0)[-4:]
    ['decoder.layers.0', 'decoder.layers.1', 'decoder.final_attn', 'decoder.heads']
    """
    counts = {"encoder": blocks, "decoder": layers, MEMORY: memory_layers}
    numbered = (
        part.replace(r"\1", str(number))
        for graph, named in _PARTS.items()
        for _, part in named
        for number in range(counts[graph])
    )
    return list(dict.fromkeys(numbered))


def may_exist(part: object) -> bool:
    """Whether some model has such a part, or parts that begin so.

    >>> may_exist("encoder.blocks.77"), may_exist("encoder.blocks.three")
    (True, False)
    """
    general = re.sub(r"\.\d+", r".\\1", str(part))
    return any(within(one, general) for named in _PARTS.values() for _, one in named)


def within(part: str, whole: str) -> bool:
    """Whether a part is another one, or belongs to it.

    >>> within("encoder.blocks.10.mlp", "encoder.blocks.10"), within("encoder.neck", "encoder.n")
    (True, False)
    """
    return f"{part}.".startswith(f"{whole}.")
