"""Store float layers as ONNX Runtime's provider for QNN joins them with the Reshape before.

QAIRT 2.51 says QNN_COMMON_ERROR_MEM_ALLOC of some layers that stand between two Reshapes. One of
them computes 32 channels for 16 windows of 4 x 4 pixels, given on as (4, 4, 4, 128), but not for 36
windows, given on as (6, 4, 6, 128). The provider makes one operator of a Reshape and the layer that
alone reads it, if the weights are stored as (inputs, outputs); that one compiled in every case.
"""

from __future__ import annotations

import onnx

from sam2lab.quantize.wiring import Wiring


def with_joined_layers(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes the same, with the fixed weights of layers as (inputs, outputs)."""
    wiring = Wiring(model)
    for node in wiring.nodes:
        if node.op_type != "Gemm" or node.input[1] not in wiring.weights:
            continue
        for attribute in node.attribute:
            if attribute.name == "transB" and attribute.i:
                turned = wiring.values(node.input[1]).T
                node.input[1] = wiring.add_weight(f"{node.input[1]}.turned", turned)
                attribute.i = 0
    return wiring.finish()
