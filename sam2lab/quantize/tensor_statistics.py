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
    model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Feeds]
) -> dict[str, tuple[float, float]]:
    """Find the extremes of each tensor's values, in half the time that `observe` takes."""
    watching, tensors = copy.deepcopy(model), list(dict.fromkeys(tensors))
    ends = [end for tensor in tensors for end in _add_extremes(watching.graph, tensor)]
    found = np.array([list(values.values()) for values in _run(watching, ends, feeds)])
    found = found.reshape(-1, len(tensors), 2)
    if not np.isfinite(found).all():
        raise ValueError("a tensor is infinite: the float model overflows; check its weights")
    low, high = found[..., 0].min(axis=0), found[..., 1].max(axis=0)
    return dict(zip(tensors, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def channel_peaks(
    model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Feeds]
) -> dict[str, Float32]:
    """Find the largest magnitude (C,) in each channel, the last dimension, of each tensor."""
    watching = copy.deepcopy(model)
    graph = watching.graph
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in graph.value_info}
    for tensor in tensors:
        axes = _add_constant(graph, f"{tensor}:axes", list(range(ranks[tensor] - 1)))
        graph.node.extend(
            [
                helper.make_node("Abs", [tensor], [f"{tensor}:abs"]),
                helper.make_node(
                    "ReduceMax", [f"{tensor}:abs", axes], [f"{tensor}:peak"], keepdims=0
                ),
            ]
        )
    peaks: dict[str, Float32] = {}
    for values in _run(watching, [f"{tensor}:peak" for tensor in tensors], feeds):
        for tensor in tensors:
            peaks[tensor] = np.maximum(peaks.get(tensor, 0), values[f"{tensor}:peak"])
    return peaks


def _run(
    model: onnx.ModelProto, outputs: Sequence[str], feeds: Iterable[Feeds]
) -> Iterator[dict[str, Float32]]:
    """Yield the values of some tensors for each feed."""
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for feed in feeds:
        yield dict(zip(outputs, session.run(outputs, feed), strict=True))


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


def _add_extremes(graph: onnx.GraphProto, tensor: str) -> list[str]:
    """Compute a tensor's extremes; return their names."""
    low, high = f"{tensor}:low", f"{tensor}:high"
    graph.node.extend(
        [
            helper.make_node("ReduceMin", [tensor], [low], keepdims=0),
            helper.make_node("ReduceMax", [tensor], [high], keepdims=0),
        ]
    )
    return [low, high]


def _add_constant(graph: onnx.GraphProto, name: str, values: list[int]) -> str:
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
    return name
