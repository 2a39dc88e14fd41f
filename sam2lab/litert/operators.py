"""How each operator of a device graph is written for LiteRT; `Conversion` has its tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
from ai_edge_litert import schema_py_generated as schema

from sam2lab.litert.conversion import TO_FIRST, TO_LAST, Conversion
from sam2lab.litert.folding import DIVIDED

Attributes = dict[str, Any]
Writer = Callable[[Conversion, onnx.NodeProto, Attributes], None]

WRITERS: dict[str, Writer] = {}

# Attention is written in bands of so many queries, if there are no more keys. For nano at 512x512,
# with 4 heads of 1024 keys, bands of 256 take 0.83 of the time of all queries at once; with tiny's
# 4096 keys they take as long or longer.
_BAND, _MOST_KEYS = 256, 1024

# Operators that take and give the same tensors in both: LiteRT's name, and that of its options.
SAME = {
    "Abs": ("ABS", "Abs"),
    "Add": ("ADD", "Add"),
    "Cos": ("COS", "Cos"),
    "Gelu": ("GELU", "Gelu"),
    "Mul": ("MUL", "Mul"),
    "Neg": ("NEG", "Neg"),
    "Relu": ("RELU", ""),
    "Sigmoid": ("LOGISTIC", ""),
    "Sin": ("SIN", ""),
    "Sub": ("SUB", "Sub"),
}


def writes(*kinds: str) -> Callable[[Writer], Writer]:
    """Enter a function as the writer of some kinds of nodes."""

    def enter(writer: Writer) -> Writer:
        WRITERS.update(dict.fromkeys(kinds, writer))
        return writer

    return enter


@writes(*SAME)
def _same(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    kind, options = SAME[node.op_type]
    to.builder.operator(kind, [*map(to.get, node.input)], [to.get(node.output[0])], options)


@writes("Constant")
def _constant(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    to.constants[node.output[0]] = onnx.numpy_helper.to_array(attributes["value"])


@writes("Softmax")
def _softmax(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    rank = len(to.shapes[node.input[0]])
    if attributes.get("axis", -1) % rank != rank - 1:
        raise ValueError(f"model's {node.name} is over axis {attributes['axis']}; wanted the last")
    if node.input[0] in to.scores:
        to.weights[node.output[0]] = to.scores[node.input[0]]
    ends = [to.get(node.input[0])], [to.get(node.output[0])]
    to.builder.operator("SOFTMAX", *ends, "Softmax", beta=1.0)


@writes("Reshape", "Squeeze", "Unsqueeze")
def _reshape(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    to.reshaped(to.unshaped.get(node.input[0], node.input[0]), node.output[0])


@writes("Transpose")
def _transpose(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    name, output, axes = node.input[0], node.output[0], list(attributes["perm"])
    if axes == TO_LAST and name in to.last:
        to.tensors[output] = to.last[name]
        return
    to.transpose(to.get(name), to.get(output), axes)
    to.turned[output] = name, axes
    if axes == TO_FIRST:
        # From here on, because it would be written again if it were known before.
        to.last[output] = to.get(name)


@writes("Concat")
def _concat(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    output = node.output[0]
    axis = attributes["axis"] % len(to.shapes[output])
    inputs = [to.get(name) for name in node.input]
    to.builder.operator("CONCATENATION", inputs, [to.get(output)], "Concatenation", axis=axis)


@writes("Gemm")
def _gemm(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    factors = {attributes.get(name, 1.0) for name in ("alpha", "beta")}
    if factors != {1.0} or attributes.get("transA") or node.input[1] not in to.constants:
        raise ValueError(f"model's {node.name} is no plain product of rows with weights and a bias")
    weights = to.constants[node.input[1]]
    weights = weights if attributes.get("transB") else weights.T
    bias = to.get(node.input[2]) if len(node.input) > 2 else -1
    _fully_connected(to, node, to.constant(weights, node.input[1]), bias)


@writes("MatMul")
def _matmul(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    (left, right), output = node.input, node.output[0]
    weights = to.constants.get(right)
    if weights is not None and weights.ndim == 2:
        _fully_connected(to, node, to.constant(weights.T, right), -1)
        return
    turns = to.is_transposed(right)
    factor = to.transposed(right) if turns else to.get(right)
    to.scores[output] = to.get(left), factor, turns
    if left in to.weights and _banded(to, output, to.weights[left], factor):
        return
    _product(to, to.get(left), factor, to.get(output), turns)


def _product(to: Conversion, left: int, right: int, output: int, turns: bool = False) -> None:
    to.builder.operator("BATCH_MATMUL", [left, right], [output], "BatchMatMul", adjY=turns)


def _banded(to: Conversion, name: str, scores: tuple[int, int, bool], values: int) -> bool:
    """Write attention on a whole map head by head, and some queries at a time, if that is faster.

    The scores of a band stay in a processor's second cache. With more keys it takes longer, because
    XNNPACK packs keys and values anew for every band.
    """
    queries, keys, turns = scores
    shape, key_shape, value_shape = (
        list(to.builder.tensors[each].shape) for each in (queries, keys, values)
    )
    count = value_shape[2]
    if len(shape) != 4 or shape[0] != 1 or shape[2] < 2 * _BAND or not _BAND <= count <= _MOST_KEYS:
        return False
    heads = []
    for head in range(shape[1]):
        k, v = (
            _cut(to, name, each, [0, head, 0, 0], [1, 1, *sides[2:]])
            for each, sides in ((keys, key_shape), (values, value_shape))
        )
        bands = []
        for start in range(0, shape[2], _BAND):
            rows = min(_BAND, shape[2] - start)
            q = _cut(to, name, queries, [0, head, start, 0], [1, 1, rows, shape[3]])
            found, weights = (to.between(f"{name}/scores", [1, 1, rows, count]) for _ in range(2))
            bands.append(to.between(f"{name}/band", [1, 1, rows, value_shape[3]]))
            _product(to, q, k, found, turns)
            to.builder.operator("SOFTMAX", [found], [weights], "Softmax", beta=1.0)
            _product(to, weights, v, bands[-1])
        heads.append(to.between(f"{name}/head", [1, 1, shape[2], value_shape[3]]))
        to.builder.operator("CONCATENATION", bands, [heads[-1]], "Concatenation", axis=2)
    to.builder.operator("CONCATENATION", heads, [to.get(name)], "Concatenation", axis=1)
    return True


def _cut(to: Conversion, name: str, tensor: int, begin: Sequence[int], shape: Sequence[int]) -> int:
    cut = to.between(f"{name}/cut", shape)
    inputs = [tensor, to.constant(list(begin)), to.constant(list(shape))]
    to.builder.operator("SLICE", inputs, [cut], "Slice")
    return cut


def _fully_connected(to: Conversion, node: onnx.NodeProto, weights: int, bias: int) -> None:
    """A product with weights (outputs, inputs), of what was reshaped to rows, if it has as many.

    XNNPACK copies a tensor to reshape it, which took a tenth of an encode of nano at 512x512.
    """
    rows, output = node.input[0], node.output[0]
    outputs, inputs = to.builder.tensors[weights].shape
    source = to.unshaped.get(rows, rows)
    if to.shapes[source][-1] != inputs:
        source = rows
    product = to.named(output, [*to.shapes[source][:-1], outputs])
    ends = [to.get(source), weights, bias], [to.get(product)]
    to.builder.operator("FULLY_CONNECTED", *ends, "FullyConnected", keepNumDims=True)
    to.reshaped(product, output)


@writes("LayerNormalization")
def _layer_norm(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    """LiteRT has no such operator: this is what its own converters make of one."""
    name, (x, scale, bias), output = node.name, node.input, node.output[0]
    mean, inverse = _mean_and_inverse(to, node, attributes)
    centred, normed, scaled = (
        to.between(f"{name}/{what}", to.shapes[x]) for what in ("centred", "normed", "scaled")
    )
    to.builder.operator("SUB", [to.get(x), mean], [centred], "Sub")
    to.builder.operator("MUL", [centred, inverse], [normed], "Mul")
    to.builder.operator("MUL", [normed, to.get(scale)], [scaled], "Mul")
    to.builder.operator("ADD", [scaled, to.get(bias)], [to.get(output)], "Add")


@writes(DIVIDED)
def _divided(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    _, inverse = _mean_and_inverse(to, node, attributes)
    ends = [to.get(node.input[0]), inverse], [to.get(node.output[0])]
    to.builder.operator("MUL", *ends, "Mul")


def _mean_and_inverse(
    to: Conversion, node: onnx.NodeProto, attributes: Attributes
) -> tuple[int, int]:
    """The mean of each row of a norm's input, and one by its standard deviation."""
    name, x, build = node.name, node.input[0], to.builder.operator
    shape = to.shapes[x]
    axis = to.constant([len(shape) - 1])
    mean, variance, steady, inverse = (
        to.between(f"{name}/{what}", [*shape[:-1], 1])
        for what in ("mean", "variance", "steady", "inverse")
    )
    square = to.between(f"{name}/square", shape)
    build("MEAN", [to.get(x), axis], [mean], "Reducer", keepDims=True)
    build("SQUARED_DIFFERENCE", [to.get(x), mean], [square], "SquaredDifference")
    build("MEAN", [square, axis], [variance], "Reducer", keepDims=True)
    build("ADD", [variance, to.constant(attributes["epsilon"])], [steady], "Add")
    build("RSQRT", [steady], [inverse])
    return mean, inverse


@writes("Conv")
def _conv(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    name, weights, bias = node.input
    if attributes.get("group", 1) != 1 or set(attributes.get("dilations", [1])) != {1}:
        raise ValueError(f"model's {node.name} is a grouped or dilated convolution")
    x = to.channels_last(name)
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    if any((top, left, bottom, right)):
        sides = [(0, 0), (top, bottom), (left, right), (0, 0)]
        batch, height, width, channels = to.builder.tensors[x].shape
        shape = batch, top + height + bottom, left + width + right, channels
        padded = to.between(f"{name}/padded", shape)
        to.builder.operator("PAD", [x, to.constant(sides)], [padded], "Pad")
        x = padded
    kernel = to.constant(to.constants[weights].transpose(0, 2, 3, 1), weights)
    output = to.from_channels_last(node.output[0])
    down, across = attributes["strides"]
    to.builder.operator(
        "CONV_2D",
        [x, kernel, to.get(bias)],
        [output],
        "Conv2D",
        padding=schema.Padding.VALID,
        strideH=down,
        strideW=across,
    )


@writes("MaxPool")
def _max_pool(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    if any(attributes.get("pads", [])) or attributes.get("ceil_mode"):
        raise ValueError(f"model's {node.name} pools beyond the edge")
    x = to.channels_last(node.input[0])
    output = to.from_channels_last(node.output[0])
    (height, width), (down, across) = attributes["kernel_shape"], attributes["strides"]
    to.builder.operator(
        "MAX_POOL_2D",
        [x],
        [output],
        "Pool2D",
        padding=schema.Padding.VALID,
        strideH=down,
        strideW=across,
        filterHeight=height,
        filterWidth=width,
    )


@writes("Slice")
def _slice(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    name, output = node.input[0], node.output[0]
    starts, _, axes, *steps = (to.constants[each].ravel() for each in node.input[1:])
    if any(step != 1 for each in steps for step in each):
        raise ValueError(f"model's {node.name} takes every n-th of a tensor")
    begin = [0] * len(to.shapes[name])
    for start, axis in zip(starts.tolist(), axes.tolist(), strict=True):
        begin[axis] = start if start >= 0 else start + to.shapes[name][axis]
    inputs = [to.get(name), to.constant(begin), to.constant(to.shapes[output])]
    to.builder.operator("SLICE", inputs, [to.get(output)], "Slice")


@writes("Pad")
def _pad(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    # ONNX lists all the beginnings, then all the ends.
    sides = to.constants[node.input[1]].reshape(2, -1).T
    inputs = [to.get(node.input[0]), to.constant(sides)]
    to.builder.operator("PAD", inputs, [to.get(node.output[0])], "Pad")


@writes("ReduceMax")
def _reduce_max(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    inputs = [to.get(node.input[0]), to.constant(to.constants[node.input[1]])]
    keeps = bool(attributes.get("keepdims", 1))
    output = to.get(node.output[0])
    to.builder.operator("REDUCE_MAX", inputs, [output], "Reducer", keepDims=keeps)
