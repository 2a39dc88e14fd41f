"""Give the free dimensions of a graph a size, as compilers for accelerators want them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx
import onnxslim


def with_sizes(
    model: onnx.ModelProto, sizes: Mapping[str, int], outputs: Collection[str] = ()
) -> onnx.ModelProto:
    """A copy whose free dimensions have these sizes, or 1, with what follows from them computed.

    It has these of the outputs, or all.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for output in list(fixed.graph.output):
        if outputs and output.name not in outputs:
            fixed.graph.output.remove(output)
    for value in [*fixed.graph.input, *fixed.graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = sizes.get(dim.dim_param, 1)
    # They tell of free sizes, too.
    del fixed.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(onnxslim.slim(fixed), data_prop=True)
