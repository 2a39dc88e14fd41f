"""The table of engines. Everything that opens an engine by name reads it.

To add an engine, write a module and add a row, here or with `register` in the module itself. The
module has two functions:

- `open_engine(source, **options)` returns an object with the methods of `protocol.Engine`.
  `source` is a `Bundle` or its folder, or a `ZooModel` where the row reads checkpoints.
- `check_options(**options)` raises a `ValueError` for options that cannot work. It is called
  before a model is fetched or exported, which may take minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sam2lab.runtime.bundle import ONNX as ONNX
from sam2lab.runtime.bundle import TFLITE, Bundle
from sam2lab.runtime.engines.protocol import LITERT_PRECISIONS, PRECISIONS, Engine

CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class EngineRow:
    """One engine: where its code is, what that needs, and what it can be asked to do.

    `module` is imported when the engine is opened. `reads` are the kinds of files that it opens:
    `"checkpoint"` for PyTorch weights, or kinds of bundles, see `Bundle.kind`. `needs` are modules
    that must be installed. `options` are arguments of `open_segmenter` that only some engines
    take. `precisions` are those that it computes.
    """

    name: str
    module: str
    reads: tuple[str, ...]
    summary: str
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("float",)


ENGINES: dict[str, EngineRow] = {}


def register(row: EngineRow) -> None:
    """Add an engine to the table.

    >>> register(ENGINES["onnx"])
    Traceback (most recent call last):
    ValueError: there is an engine 'onnx' already; give yours another name
    """
    if row.name in ENGINES:
        raise ValueError(f"there is an engine {row.name!r} already; give yours another name")
    ENGINES[row.name] = row


def row_of(engine: str) -> EngineRow:
    """The row of an engine by name, or a `ValueError` that lists the names."""
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; wanted {', '.join(map(repr, ENGINES))}")
    return ENGINES[engine]


register(
    EngineRow(
        "onnx",
        "sam2lab.runtime.engines.onnx",
        (ONNX,),
        "exported files on ONNX Runtime",
        options=("providers", "threads"),
        precisions=PRECISIONS,
    )
)
register(
    EngineRow(
        "openvino",
        "sam2lab.runtime.engines.openvino",
        (ONNX,),
        "exported files on OpenVINO, which encodes in bfloat16 where the processor can",
        needs=("openvino",),
        options=("threads", "encoder_precision"),
        precisions=("float", "fp16"),
    )
)
register(
    EngineRow(
        "litert",
        "sam2lab.runtime.engines.litert",
        (TFLITE,),
        "files for phones on LiteRT, photos only",
        needs=("ai_edge_litert",),
        options=("threads",),
        precisions=LITERT_PRECISIONS,
    )
)
register(
    EngineRow(
        "torch",
        "sam2lab.reference.engine",
        (CHECKPOINT,),
        "the original, PyTorch and sam2",
        needs=("torch", "sam2"),
        options=("device",),
    )
)

_opener: list[Callable[..., Engine]] = []


def use_opener(opener: Callable[..., Engine]) -> None:
    """Set what `open_by_name` calls. `sam2lab.opening` does so when sam2lab is imported."""
    _opener[:] = [opener]


def open_by_name(**arguments: Any) -> Engine:
    """Open an engine by the arguments of `open_segmenter`, from a floor below that function.

    ```python
    open_by_name(model="models/nano", engine="onnx", threads=1)
    ```
    """
    return _opener[0](**arguments)


def open_files(bundle: Bundle, **options: Any) -> Engine | None:
    """Open a bundle on the first engine of the table that reads its files; None if none does.

    `options` are arguments of `open_segmenter`, such as `threads`.
    """
    for row in ENGINES.values():
        if bundle.kind in row.reads:
            return open_by_name(model=bundle.folder, engine=row.name, **options)
    return None
