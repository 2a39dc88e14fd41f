"""Make a LayerNorm's outlying channels smaller, and the weights after it larger (SmoothQuant).

One range of 8 bits serves all channels of an activation: if a few are a hundred times as large as
the others, those others round to nothing. Weights have a range for each channel, so the LayerNorm
can make a channel smaller if the weights that read it make it larger again. The graph computes what
it did before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx

from sam2lab.quantize.tensor_statistics import Feeds, channel_peaks
from sam2lab.quantize.wiring import Wiring
from sam2lab.runtime.engines.protocol import Float32

# Operators that may stand between a LayerNorm and the layers that read it. Channels stay last.
MOVES = {"Reshape", "Pad"}
# The share of the evening out that weights bear.
SMOOTHING = 0.5
# No channel is made smaller or larger by more than this.
_LIMIT = 100.0


def smoothable(model: onnx.ModelProto) -> dict[str, list[str]]:
    """The outputs of LayerNorms that only Gemm nodes read, each with the names of these nodes."""
    wiring = Wiring(model)
    found = {}
    for norm in wiring.nodes:
        if norm.op_type == "LayerNormalization" and len(norm.input) == 3:
            readers = _readers(wiring, norm.output[0])
            if readers and all(node.op_type == "Gemm" for node in readers):
                found[norm.output[0]] = [node.name for node in readers]
    return found


def smoothed(
    model: onnx.ModelProto, feeds: Iterable[Feeds], alpha: float = SMOOTHING
) -> onnx.ModelProto:
    """`smooth` by what the model computes for `feeds`; the model itself if it has nothing to."""
    outputs = list(smoothable(model))
    if not outputs:
        return model
    return smooth(model, shares(model, channel_peaks(model, outputs, feeds), alpha))


def smooth(model: onnx.ModelProto, shares: Mapping[str, Float32]) -> onnx.ModelProto:
    """A copy that computes the same, with the channels of LayerNorms divided by their `shares`."""
    wiring = Wiring(model)
    readers = smoothable(model)
    by_name = {node.name: node for node in wiring.nodes}
    for output, share in shares.items():
        norm = wiring.maker[output]
        for place in (1, 2):
            values = wiring.values(norm.input[place]) / share
            norm.input[place] = wiring.add_weight(f"{norm.input[place]}.smooth", values)
        for gemm in (by_name[name] for name in readers[output]):
            values = wiring.values(gemm.input[1]) * np.expand_dims(share, 1 - _inputs(gemm))
            gemm.input[1] = wiring.add_weight(f"{gemm.input[1]}.smooth", values)
    return wiring.finish()


def shares(
    model: onnx.ModelProto, peaks: Mapping[str, Float32], alpha: float
) -> dict[str, Float32]:
    """What the channels (C,) of some outputs that `smoothable` names are to be divided by.

    `peaks` holds the largest magnitude (C,) in each channel of these outputs. The share of channel
    j is peak_j^alpha / weight_j^(1 - alpha), where weight_j is the largest weight that reads it.
    """
    wiring = Wiring(model)
    readers = smoothable(model)
    by_name = {node.name: node for node in wiring.nodes}
    found = {}
    for output, peak in peaks.items():
        gemms = [by_name[name] for name in readers[output]]
        weights = np.max(
            [np.abs(wiring.values(gemm.input[1])).max(1 - _inputs(gemm)) for gemm in gemms], axis=0
        )
        share = np.maximum(peak, 1e-6) ** alpha / np.maximum(weights, 1e-6) ** (1 - alpha)
        # Only the ratio of one channel to another matters.
        share = np.clip(share / np.exp(np.log(share).mean()), 1 / _LIMIT, _LIMIT)
        found[output] = share.astype(np.float32)
    return found


def _inputs(gemm: onnx.NodeProto) -> int:
    """The axis of a layer's weights that has its inputs."""
    return next((int(each.i) for each in gemm.attribute if each.name == "transB"), 0)


def _readers(wiring: Wiring, name: str) -> list[onnx.NodeProto]:
    """The nodes that read a tensor, directly or after it was moved."""
    found = []
    for node in wiring.readers[name]:
        found += _readers(wiring, node.output[0]) if node.op_type in MOVES else [node]
    return found
