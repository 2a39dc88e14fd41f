"""How each operator of a device graph is written for LiteRT; `Conversion` has its tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from ai_edge_litert import schema_py_generated as schema

from sam2lab.litert.conversion import TO_FIRST, TO_LAST, Conversion

Attributes = dict[str, Any]
Writer = Callable[[Conversion, onnx.NodeProto, Attributes], None]

WRITERS: dict[str, Writer] = {}

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
    left, right = node.input
    weights = to.constants.get(right)
    if weights is None or weights.ndim != 2:
        factors = [to.get(left), to.get(right)]
        to.builder.operator("BATCH_MATMUL", factors, [to.get(node.output[0])], "BatchMatMul")
        return
    _fully_connected(to, node, to.constant(weights.T, right), -1)


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
    shape, build = to.shapes[x], to.builder.operator
    axis = to.constant([len(shape) - 1])
    mean, variance, steady, inverse = (
        to.between(f"{name}/{what}", [*shape[:-1], 1])
        for what in ("mean", "variance", "steady", "inverse")
    )
    square, centred, normed, scaled = (
        to.between(f"{name}/{what}", shape) for what in ("square", "centred", "normed", "scaled")
    )
    build("MEAN", [to.get(x), axis], [mean], "Reducer", keepDims=True)
    build("SQUARED_DIFFERENCE", [to.get(x), mean], [square], "SquaredDifference")
    build("MEAN", [square, axis], [variance], "Reducer", keepDims=True)
    build("ADD", [variance, to.constant(attributes["epsilon"])], [steady], "Add")
    build("RSQRT", [steady], [inverse])
    build("SUB", [to.get(x), mean], [centred], "Sub")
    build("MUL", [centred, inverse], [normed], "Mul")
    build("MUL", [normed, to.get(scale)], [scaled], "Mul")
    build("ADD", [scaled, to.get(bias)], [to.get(output)], "Add")


@writes("Conv")
def _conv(to: Conversion, node: onnx.NodeProto, attributes: Attributes) -> None:
    name, weights, bias = node.input
    if attributes.get("group", 1) != 1 or set(attributes.get("dilations", [1])) != {1}:
        raise ValueError(f"model's {node.name} is a grouped or dilated convolution")
    x = to.channels_last(name)
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    if any((top, left, bottom, right)):
        x = _padded(to, name, x, (top, bottom), (left, right))
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


def _padded(
    to: Conversion, name: str, x: int, rows: tuple[int, int], columns: tuple[int, int]
) -> int:
    """A map with zeros around it. XNNPACK takes a tenth of the time for rows of many numbers."""
    batch, height, width, channels = to.builder.tensors[x].shape
    flat = to.between(f"{name}/rows", (batch, height, width * channels))
    to.reshape(x, flat, (batch, height, width * channels))
    height, width = height + sum(rows), width + sum(columns)
    padded = to.between(f"{name}/padded", (batch, height, width * channels))
    sides = to.constant([(0, 0), rows, [side * channels for side in columns]])
    to.builder.operator("PAD", [flat, sides], [padded], "Pad")
    whole = to.between(f"{name}/padded", (batch, height, width, channels))
    to.reshape(padded, whole, (batch, height, width, channels))
    return whole


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
