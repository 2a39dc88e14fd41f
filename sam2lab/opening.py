"""`open_segmenter`: the one function that knows every floor."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sam2lab import settings
from sam2lab.runtime.arguments import height_and_width, path
from sam2lab.runtime.bundle import BUNDLE_FILE, Bundle, sha256_of
from sam2lab.runtime.engines.protocol import PRECISIONS, SIZES, Engine
from sam2lab.runtime.engines.table import CHECKPOINT, EngineRow, row_of, use_opener
from sam2lab.runtime.requirements import require
from sam2lab.runtime.segmenter import Segmenter


def open_segmenter(
    model: str | Path,
    *,
    engine: str = "onnx",
    precision: str = "float",
    weights: str | Path = "auto",
    version: str = "2.1",
    input_size: tuple[int, int] | None = None,
    device: str = "cpu",
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    **options: Any,
) -> Segmenter:
    """Open a size (`"nano"`, `"tiny"` …) or the folder of an exported bundle.

    `engine` is a name in `sam2lab.runtime.engines.table.ENGINES`: `"onnx"`, `"openvino"` or
    `"torch"`. A folder needs no torch. A size served from files is exported once, with torch, kept
    in the models folder and opened from there afterwards. `weights` and `version` are those
    of `reference.zoo.load`; `input_size` is (height, width). `device` is for the torch
    engine, `providers` for onnxruntime, `threads` for that and for openvino, which serves the
    same bundles. Further `options` are those of the engine's row in that table, such as
    `encoder_precision="f32"` of openvino.

    ```python
    segmenter = open_segmenter("nano")
    segmenter = open_segmenter("tiny", engine="torch", weights="random")
    segmenter = open_segmenter("models/tiny-fp16")
    ```
    """
    row = row_of(engine)
    size = str(model) if str(model) in SIZES else None
    if input_size is not None:
        input_size = height_and_width("input_size", input_size)
    # Only what differs from its default was asked for.
    of_model = _given(
        precision=(precision, "float"),
        weights=(weights, "auto"),
        version=(version, "2.1"),
        input_size=(input_size, None),
    )
    of_engine = options | _given(
        device=(device, "cpu"), providers=(providers, None), threads=(threads, None)
    )
    folder = None if size else _folder(model, row)
    # All that can be checked now: a model may take minutes to fetch and export.
    _refuse_unused([*of_model, *of_engine], size, row)
    _require_engine(row)
    module = importlib.import_module(row.module)
    module.check_options(**of_engine)
    if folder is not None:
        return Segmenter(module.open_engine(folder, **of_engine))
    if row.reads == CHECKPOINT:
        from sam2lab.reference import zoo

        loaded = zoo.load(str(model), weights=weights, version=version, input_size=input_size)
        return Segmenter(module.open_engine(loaded, **of_engine))
    if precision in PRECISIONS and precision not in row.precisions:
        raise ValueError(
            f"precision is {precision!r}, which engine={engine!r} does not compute; wanted "
            f"{' or '.join(map(repr, row.precisions))}, or engine='onnx'"
        )
    bundle = _exported(str(model), precision, weights, version, input_size)
    return Segmenter(module.open_engine(bundle, **of_engine))


def bundle_name(
    size: str,
    precision: str = "float",
    weights: str | Path = "auto",
    version: str = "2.1",
    input_size: tuple[int, int] | None = None,
) -> str:
    """The folder name under which an exported size is kept; what is usual is left out.

    >>> bundle_name("tiny", "fp16", "random", input_size=(720, 1280))
    'tiny-random-720x1280-fp16'
    >>> bundle_name("tiny", input_size=(1024, 1024)), bundle_name("nano", input_size=(512, 512))
    ('tiny', 'nano')
    """
    parts = [size]
    if version != "2.1":
        parts.append(str(version))
    if weights == "random":
        parts.append("random")
    elif weights != "auto":
        parts.append(_digest(weights)[:8])
    if input_size is not None:
        height, width = height_and_width("input_size", input_size)
        if (height, width) != own_input_size(size):
            parts.append(f"{height}x{width}")
    if precision != "float":
        parts.append(precision)
    return "-".join(parts)


def own_input_size(size: str) -> tuple[int, int]:
    """(height, width) that a size has where none is asked for, as its config says."""
    return (512, 512) if size == "nano" else (1024, 1024)


def _folder(model: str | Path, row: EngineRow) -> Path:
    folder = path("model", model, f"a size ({', '.join(SIZES)}) or a folder with a {BUNDLE_FILE}")
    if not (folder / BUNDLE_FILE).is_file():
        raise ValueError(
            f"model is {str(model)!r}: neither a size ({', '.join(SIZES)}) nor a folder with a "
            f"{BUNDLE_FILE}. Export one with: python -m sam2lab export tiny --out models/tiny"
        )
    if row.reads == CHECKPOINT:
        raise ValueError(
            f"engine is {row.name!r}, but {str(model)!r} is an exported bundle, which onnxruntime "
            "serves; pass a size to run the original, or engine='onnx'"
        )
    return folder


def _given(**arguments: tuple[Any, Any]) -> dict[str, Any]:
    """The arguments, each with its default, that differ from it."""
    return {name: value for name, (value, default) in arguments.items() if value != default}


def _refuse_unused(given: list[str], size: str | None, row: EngineRow) -> None:
    """Refuse arguments that would change nothing, before a user believes that they did."""
    used = list(row.options)
    if size is not None:
        used += ["weights", "version", "input_size"] + ["precision"] * (row.reads != CHECKPOINT)
    unused = [name for name in given if name not in used]
    if unused:
        what = "a bundle's folder" if size is None else "a size"
        raise ValueError(
            f"{' and '.join(unused)} would change nothing: {what} with engine={row.name!r} takes "
            f"{', '.join(used)}. Leave it out, or open what it is meant for"
        )


def _exported(
    size: str,
    precision: str,
    weights: str | Path,
    version: str,
    input_size: tuple[int, int] | None,
) -> Bundle | Path:
    name = bundle_name(size, precision, weights, version, input_size)
    folder = settings.nano_folder() if name == "nano" else settings.models_folder() / name
    if (folder / BUNDLE_FILE).is_file():
        _check_same(Bundle.open(folder, verify=False), size, precision, version, input_size)
        return folder
    require(
        f"{folder} does not exist yet, and exporting {size}",
        ("torch", "sam2"),
        "open the folder of a bundle that was exported elsewhere",
    )
    from sam2lab.export.onnx import check_export, export
    from sam2lab.reference import zoo

    check_export(folder, precision)
    loaded = zoo.load(size, weights=weights, version=version, input_size=input_size)
    return export(loaded, folder, precision=precision)


def _check_same(
    bundle: Bundle,
    size: str,
    precision: str,
    version: str,
    input_size: tuple[int, int] | None,
) -> None:
    info = bundle.info
    kept = (info.size, info.precision, info.version)
    if kept != (size, precision, version) or input_size not in (None, info.input_size):
        raise ValueError(
            f"{bundle.folder} holds {' '.join(kept)} at {info.input_size}, not {size} {precision} "
            f"{version} at {input_size}; open that folder by its path, or move it away so that "
            "the one asked for is exported"
        )


def _require_engine(row: EngineRow) -> None:
    way_out = "use engine='onnx'"
    if row.reads == CHECKPOINT:
        way_out = "open the folder of a bundle that was exported elsewhere"
    require(f"engine={row.name!r}", row.needs, way_out)


def _digest(weights: str | Path) -> str:
    wanted = "'auto', 'random' or the path of a checkpoint"
    file = path("weights", weights, wanted).expanduser()
    if not file.is_file():
        raise ValueError(f"weights is {str(weights)!r}: no such file; wanted {wanted}")
    return sha256_of(file)


def _open_engine(**arguments: Any) -> Engine:
    return open_segmenter(**arguments).engine


use_opener(_open_engine)
