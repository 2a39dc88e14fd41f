"""`folded` moves the steps of a LayerNorm that are linear into the layers that read it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from sam2lab.quantize.smoothing import smoothable
from sam2lab.quantize.wiring import Wiring

# What is left of a LayerNorm: each row divided by its standard deviation.
DIVIDED = "DividedByDeviation"


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes the same with less to do.

    LiteRT has no LayerNorm, so that each of its steps reads and writes a whole tensor. Subtracting
    the mean, scaling and adding are linear: where only linear layers read what comes out, their
    weights and biases do this as well.
    """
    wiring = Wiring(model)
    nodes = {node.name: node for node in wiring.nodes}
    known = []
    for output, readers in smoothable(model).items():
        if _is_padded(wiring, output):
            continue
        norm = wiring.maker[output]
        scale, shift = (wiring.values(name).astype(np.float64) for name in norm.input[1:])
        for name in readers:
            _fold(wiring, nodes[name], scale, shift)
        epsilon = next(each.f for each in norm.attribute if each.name == "epsilon")
        divided = helper.make_node(DIVIDED, [norm.input[0]], [output], norm.name, epsilon=epsilon)
        wiring.replace([norm], [divided])
        known.append(
            helper.make_tensor_value_info(output, TensorProto.FLOAT, wiring.shapes[output])
        )
    made = wiring.finish()
    # Nothing infers the shape of an operator that is ours.
    made.graph.value_info.extend(known)
    return made


def _fold(wiring: Wiring, gemm: NodeProto, scale: np.ndarray, shift: np.ndarray) -> None:
    weights = wiring.values(gemm.input[1]).astype(np.float64)
    # (outputs, inputs)
    turned = any(each.name == "transB" and each.i for each in gemm.attribute)
    weights = weights if turned else weights.T
    bias = weights @ shift
    if len(gemm.input) > 2:
        bias = bias + wiring.values(gemm.input[2])
    weights = weights * scale
    weights = weights - weights.mean(axis=1, keepdims=True)
    weights = weights if turned else weights.T
    parts = {"weights": weights, "bias": bias}
    names = [
        wiring.add_weight(f"{gemm.name}/{part}", values.astype(np.float32))
        for part, values in parts.items()
    ]
    del gemm.input[1:]
    gemm.input.extend(names)


def _is_padded(wiring: Wiring, name: str) -> bool:
    """Whether tokens of zeros are added before the layers read it: these would get the shift."""
    readers = [node for node in wiring.readers[name] if node.op_type in ("Pad", "Reshape")]
    return any(node.op_type == "Pad" or _is_padded(wiring, node.output[0]) for node in readers)
