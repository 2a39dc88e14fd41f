"""Quantise a device graph for QNN: every tensor in 8 bits, or activations in 16.

The NPU computes in integers only where all that a node reads and gives is quantised, so nothing is
left out, unlike in `sam2lab.quantize`, whose graphs leave the results of products in float. Ranges
are the true extremes on the calibration images: what is cut off costs masks more than coarse steps.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from sam2lab.quantize.smoothing import MOVES, SMOOTHING, shares, smooth, smoothable
from sam2lab.quantize.tensor_statistics import Feeds, extremes, peaks
from sam2lab.runtime.engines.protocol import Float32

Ends = tuple[Float32, Float32]

ACTIVATIONS = {"w8a8": QuantType.QUInt8, "w8a16": QuantType.QUInt16}
OPSET = 21


class Ranges(NamedTuple):
    """The extremes of a float graph's tensors on calibration images. They serve all precisions.

    `ends` has those of every tensor that is no weight, `channels` those of each channel (C,) of
    what `smoothing` may change.
    """

    ends: Mapping[str, Ends]
    channels: Mapping[str, Ends]


def ranges_of(graph: onnx.ModelProto, feeds: Iterable[Feeds]) -> Ranges:
    """Run a float graph on `feeds`, and see what its tensors hold."""
    model = onnx.shape_inference.infer_shapes(graph, data_prop=True)
    weights = {tensor.name for tensor in model.graph.initializer}
    floats = {
        value.name
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    norms = smoothable(model)
    ends = extremes(model, sorted(floats - weights - norms.keys()), feeds, by_channel=norms)
    channels = {name: ends[name] for name in norms}
    whole = {name: (low.min(), high.max()) for name, (low, high) in channels.items()}
    return Ranges(ends | whole, channels)


def in_eight_bits(graph: onnx.ModelProto, precision: str, ranges: Ranges) -> onnx.ModelProto:
    """A copy in QDQ form; `precision` is `"w8a8"` or `"w8a16"`.

    Weights have 8 bits, and a range for each output channel where QNN allows it.
    """
    ends = dict(ranges.ends)
    model = copy.deepcopy(graph)
    # The compiler's own passes stumble over long texts.
    del model.metadata_props[:]
    # The first whose QuantizeLinear takes 16 bits; what else the graph has is the same in both.
    model.opset_import[0].version = OPSET
    if precision == "w8a8":
        # 16 bits have room for the outliers that this moves into weights, which have not: nano's
        # masks at 512 x 512 have a mean IoU of 0.9952 with those in float without it, 0.9945 with.
        divided = shares(model, peaks(ranges.channels), SMOOTHING)
        ends |= _smoothed(model, ranges.channels, divided)
        model = smooth(model, divided)
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    # QNN takes the weights of norms in the activations' kind of bytes only.
    overrides = {
        node.input[1]: [{"quant_type": ACTIVATIONS[precision]}]
        for node in model.graph.node
        if node.op_type == "LayerNormalization"
    }
    # Of a thousand weights that sum to 1, most are less than a 256th: with 8 bits for them, nano's
    # masks at 512 x 512 have a mean IoU of 0.79 with those in float, with 16 bits 0.985.
    overrides |= {
        node.output[0]: [{"quant_type": QuantType.QUInt16}]
        for node in model.graph.node
        if node.op_type == "Softmax"
    }
    if precision == "w8a16":
        # ONNX Runtime's provider hands the second of two tensors that are multiplied to QNN in 8
        # bits, unless its 16 are symmetric: in the emulator, with norms' weights in 8 bits, nano's
        # masks at 512 x 512 have a mean IoU of 0.9935 without this, 0.9963 with.
        symmetric = {"quant_type": QuantType.QInt16, "symmetric": True}
        overrides |= {
            node.input[1]: [symmetric] for node in model.graph.node if node.op_type == "MatMul"
        }
    config = get_qnn_qdq_config(
        model,
        None,
        activation_type=ACTIVATIONS[precision],
        weight_type=QuantType.QInt8,
        per_channel=True,
        init_overrides=overrides,
        add_qtype_converts=True,
    )
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=ACTIVATIONS[precision],
        tensors_range=TensorsData(CalibrationMethod.MinMax, ends),
        nodes_to_quantize=[],
        nodes_to_exclude=[],
        op_types_to_quantize=config.op_types_to_quantize,
        extra_options=config.extra_options,
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    return quantizer.model.model


def _smoothed(
    model: onnx.ModelProto, channels: Mapping[str, Ends], shares: Mapping[str, Float32]
) -> dict[str, Ends]:
    """The extremes of norms whose channels are divided by their shares, and of what moves them."""
    found = {
        name: ((channels[name][0] / share).min(), (channels[name][1] / share).max())
        for name, share in shares.items()
    }
    for node in model.graph.node:
        if node.op_type in MOVES and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found
