"""Files of a bundle: a graph checked and described, a folder that appears when it is whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from sam2lab.runtime.bundle import BUNDLE_FILE, GRAPHS, Graph, Tensor, fingerprint
from sam2lab.runtime.files import check_place

_FILES = (*(f"{name}.onnx" for name in GRAPHS), BUNDLE_FILE)


def write_graph(model: onnx.ModelProto, path: Path) -> Graph:
    """Check a graph and write it; return its description."""
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    sha256, size = fingerprint(path)
    return Graph(path.name, sha256, size, _tensors(model.graph.input), _tensors(model.graph.output))


def check_free(folder: Path) -> None:
    """Refuse a folder that holds a bundle, or a part of one, or that cannot be written into."""
    check_place("folder", folder)
    taken = [name for name in _FILES if (folder / name).exists()]
    if taken:
        raise ValueError(
            f"folder is {str(folder)!r}, which already has {' and '.join(taken)}; delete them "
            "to export anew, or choose another folder"
        )


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A new folder to write into that becomes, or goes into, `folder` if all goes well."""
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    unfinished.mkdir()
    try:
        yield unfinished
        if folder.exists():
            for name in _FILES:
                os.replace(unfinished / name, folder / name)
        else:
            os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _tensors(values: Iterable[onnx.ValueInfoProto]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            value.name,
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
            tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim),
        )
        for value in values
    )
