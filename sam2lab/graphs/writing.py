"""Check an ONNX graph, write it to a file, and describe it as bundle.json does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx

from sam2lab.runtime.bundle import Graph, Tensor
from sam2lab.runtime.digests import sha256_of


def write_graph(model: onnx.ModelProto, path: Path) -> Graph:
    """Check a graph and write it; return its description.

    The same graph gives the same bytes.
    """
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    ends = tensors_of(model.graph.input), tensors_of(model.graph.output)
    return Graph(path.name, sha256_of(path), path.stat().st_size, *ends)


def tensors_of(values: Iterable[onnx.ValueInfoProto]) -> tuple[Tensor, ...]:
    """Inputs or outputs as bundle.json describes them."""
    return tuple(
        Tensor(
            value.name,
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
            tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim),
        )
        for value in values
    )
