"""Run a graph on calibration images and keep statistics of the tensors inside it.

Nodes that are added to the graph compute the statistics where the tensors are, so that no tensor
outlives its use: memory does not grow with the number of images.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from sam2lab.quantize.calibration_ranges import Spread
from sam2lab.runtime.engines.onnx import without_spinning
from sam2lab.runtime.engines.protocol import Float32

Feeds = Mapping[str, Float32]

# How many values of a tensor go into the histogram for each image. The extremes are exact.
SAMPLES = 65536


def observe(
    model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Feeds]
) -> dict[str, Spread]:
    """Find the extremes and the histogram of each tensor's values."""
    watching = copy.deepcopy(model)
    sizes = _sizes(model)
    added = [name for tensor in tensors for name in _add_sample(watching.graph, tensor, sizes)]
    spreads = {tensor: Spread() for tensor in tensors}
    for values in _run(watching, added, feeds):
        for tensor, spread in spreads.items():
            extremes = float(values[f"{tensor}:low"]), float(values[f"{tensor}:high"])
            spread.add(values[f"{tensor}:sample"], extremes)
    return spreads


def extremes(
    model: onnx.ModelProto,
    tensors: Iterable[str],
    feeds: Iterable[Feeds],
    by_channel: Iterable[str] = (),
) -> dict[str, tuple[Float32, Float32]]:
    """Find the least and the largest value of each tensor, in half the time that `observe` takes.

    Of the tensors `by_channel` they are those of each channel (C,), the last dimension.
    """
    watching = copy.deepcopy(model)
    graph, channelwise = watching.graph, set(by_channel)
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in graph.value_info}
    makers = {name: node for node in graph.node for name in node.output}
    sources = {name: name if name in channelwise else _unmoved(name, makers) for name in tensors}
    seen = list(dict.fromkeys([*sources.values(), *channelwise]))
    for name in seen:
        _add_extremes(graph, name, range(ranks[name] - 1) if name in channelwise else ())
    ends: dict[str, tuple[Float32, Float32]] = {}
    for values in _run(watching, [f"{n}:{end}" for n in seen for end in ("low", "high")], feeds):
        for name in seen:
            low, high = values[f"{name}:low"], values[f"{name}:high"]
            before = ends.get(name, (low, high))
            ends[name] = np.minimum(before[0], low), np.maximum(before[1], high)
    if not np.isfinite([end for pair in ends.values() for end in map(np.sum, pair)]).all():
        raise ValueError("a tensor is infinite: the float model overflows; check its weights")
    whole = {name: (low.min(), high.max()) for name, (low, high) in ends.items()}
    found = {name: whole[source] for name, source in sources.items()}
    return found | {name: ends[name] for name in channelwise}


def channel_peaks(
    model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Feeds]
) -> dict[str, Float32]:
    """Find the largest magnitude (C,) in each channel, the last dimension, of each tensor."""
    return peaks(extremes(model, (), feeds, by_channel=tensors))


def peaks(ends: Mapping[str, tuple[Float32, Float32]]) -> dict[str, Float32]:
    """The largest magnitudes of tensors whose extremes are known."""
    return {name: np.maximum(-low, high) for name, (low, high) in ends.items()}


def _run(
    model: onnx.ModelProto, outputs: Sequence[str], feeds: Iterable[Feeds]
) -> Iterator[dict[str, Float32]]:
    """Yield the values of some tensors for each feed."""
    _move_up(model.graph)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    # Reductions are short and many: threads that spin between them take half of all the time.
    options = without_spinning(onnxruntime.SessionOptions())
    # In the order of the graph's nodes; else what is added comes when all else is done.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    for feed in feeds:
        yield dict(zip(outputs, session.run(outputs, feed), strict=True))


def _move_up(graph: onnx.GraphProto) -> None:
    """Put each added node, whose outputs have names with a colon, behind what makes its inputs."""
    places: dict[str, int] = {}
    found = []
    for place, node in enumerate(graph.node):
        if ":" in node.output[0]:
            place = max((places.get(name, -1) for name in node.input), default=-1)
        places.update(dict.fromkeys(node.output, place))
        found.append((place, node))
    ordered = [node for _, node in sorted(found, key=lambda each: each[0])]
    del graph.node[:]
    graph.node.extend(ordered)


def _sizes(model: onnx.ModelProto) -> dict[str, int]:
    """How many values each tensor has for one image, one object and one point."""
    single = copy.deepcopy(model)
    for value in single.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            dim.dim_value = dim.dim_value or 1
    del single.graph.value_info[:]
    single = onnx.shape_inference.infer_shapes(single, data_prop=True)
    values = (*single.graph.value_info, *single.graph.input, *single.graph.output)
    return {
        value.name: math.prod(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim)
        for value in values
    }


def _add_sample(graph: onnx.GraphProto, tensor: str, sizes: Mapping[str, int]) -> list[str]:
    """Compute a tensor's extremes, and every n-th of its values; return their names."""
    low, high = _add_extremes(graph, tensor)
    sample = f"{tensor}:sample"
    step = max(1, -(-sizes.get(tensor, 1) // SAMPLES))
    # A step that shares a factor with the number of channels would miss some of them.
    while math.gcd(step, 2 * 3 * 7) > 1:
        step += 1
    flat, ends, steps, start = (
        _add_constant(graph, f"{tensor}:{what}", [value])
        for what, value in (("shape", -1), ("end", 2**62), ("step", step), ("start", 0))
    )
    graph.node.extend(
        [
            helper.make_node("Reshape", [tensor, flat], [f"{tensor}:flat"]),
            helper.make_node("Slice", [f"{tensor}:flat", start, ends, start, steps], [sample]),
        ]
    )
    return [low, high, sample]


def _add_extremes(graph: onnx.GraphProto, tensor: str, axes: Iterable[int] = ()) -> list[str]:
    """Compute a tensor's extremes over some axes, or all; return their names."""
    low, high, over = f"{tensor}:low", f"{tensor}:high", list(axes)
    inputs = [tensor, _add_constant(graph, f"{tensor}:axes", over)] if over else [tensor]
    graph.node.extend(
        [
            helper.make_node("ReduceMin", inputs, [low], keepdims=0),
            helper.make_node("ReduceMax", inputs, [high], keepdims=0),
        ]
    )
    return [low, high]


def _unmoved(name: str, makers: Mapping[str, onnx.NodeProto]) -> str:
    """The tensor whose values this one has at other places."""
    while name in makers and makers[name].op_type in ("Reshape", "Transpose"):
        name = makers[name].input[0]
    return name


def _add_constant(graph: onnx.GraphProto, name: str, values: list[int]) -> str:
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
    return name
