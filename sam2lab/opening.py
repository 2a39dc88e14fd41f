"""`open_segmenter` opens a model by its size or folder, on any engine."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sam2lab import settings
from sam2lab.runtime.arguments import WEIGHTS, existing_file, height_and_width, path
from sam2lab.runtime.bundle import BUNDLE_FILE, ONNX, TFLITE, Bundle
from sam2lab.runtime.digests import noted_sha256
from sam2lab.runtime.engines.protocol import POINTS, SIZES, TARGETS, Engine
from sam2lab.runtime.engines.table import (
    CHECKPOINT,
    ENGINES,
    EngineRow,
    row_of,
    use_opener,
)
from sam2lab.runtime.requirements import require
from sam2lab.runtime.segmenter import Segmenter

EXPORTED = "open the folder of a bundle that was exported elsewhere"
# The target that gives the files that an engine reads.
_TARGETS = {ONNX: "onnx", TFLITE: "litert"}


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

    `engine` is a name in `sam2lab.runtime.engines.table.ENGINES`: `"onnx"`, `"openvino"`,
    `"litert"` or `"torch"`. A folder needs no torch. A size served from files is exported once,
    with torch, kept in the models folder and opened from there afterwards; where its float bundle
    is there, that is quantised for `precision="w8a8"`, without torch. `weights` and `version` are
    those of `reference.zoo.load`; `input_size` is (height, width). `device` is for the torch
    engine, `providers` for onnxruntime, `threads` for all that run files. Further `options` are
    those of the engine's row in that table, such as `encoder_precision="f32"` of openvino.

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
    target = next((_TARGETS[kind] for kind in row.reads if kind in _TARGETS), "onnx")
    wanted = _Model(str(model), precision, weights, version, input_size, target)
    of_model = _given(
        precision=(precision, "float"),
        weights=(weights, "auto"),
        version=(version, "2.1"),
        input_size=(input_size, None),
    )
    of_engine = options | _given(
        device=(device, "cpu"), providers=(providers, None), threads=(threads, None)
    )
    # Everything that can be checked now is: a model may take minutes to fetch and export.
    bundle = None if size else _bundle(model, row)
    _refuse_unused([*of_model, *of_engine], size, row)
    without = EXPORTED if CHECKPOINT in row.reads else "use engine='onnx'"
    require(f"engine={row.name!r}", row.needs, without)
    stored = bundle.info.precision if bundle else precision
    if stored in {p for each in TARGETS.values() for p in each} and stored not in row.precisions:
        raise ValueError(
            f"precision is {stored!r}, which engine={row.name!r} does not compute; wanted "
            f"{' or '.join(map(repr, row.precisions))}, or engine='onnx'"
        )
    module = importlib.import_module(row.module)
    module.check_options(**of_engine)
    source: Any
    if bundle:
        source = bundle.folder
    else:
        source = _loaded(wanted) if CHECKPOINT in row.reads else _exported(wanted, row)
    return Segmenter(module.open_engine(source, **of_engine))


@dataclass(frozen=True)
class _Model:
    """A model by name, in the words of `open_segmenter`."""

    size: str
    precision: str
    weights: str | Path
    version: str
    input_size: tuple[int, int] | None
    target: str

    @property
    def folder(self) -> Path:
        """Where its bundle is kept."""
        return kept_folder(**vars(self))

    def is_kept(self) -> bool:
        """Whether its bundle is there; a `ValueError` where the folder holds another one."""
        if not (self.folder / BUNDLE_FILE).is_file():
            return False
        info = Bundle.open(self.folder, verify=False).info
        kept = (info.size, info.precision, info.version)
        wanted = (self.size, self.precision, self.version)
        if kept != wanted or self.input_size not in (None, info.input_size):
            raise ValueError(
                f"{self.folder} holds {' '.join(kept)} at {info.input_size}, not "
                f"{' '.join(wanted)} at {self.input_size}; open that folder by its path, or move "
                "it away so that the one asked for is exported"
            )
        return True


def kept_folder(size: str, **details: Any) -> Path:
    """Where the bundle of a size is kept, whether or not it is there; in `bundle_name`'s words.

    >>> kept_folder("tiny", precision="w8a8").name
    'tiny-w8a8'
    """
    name = bundle_name(size, **details)
    return settings.nano_folder() if name == "nano" else settings.models_folder() / name


def bundle_name(
    size: str,
    precision: str = "float",
    weights: str | Path = "auto",
    version: str = "2.1",
    input_size: tuple[int, int] | None = None,
    target: str = "onnx",
    points: int = POINTS,
    chip: str | None = None,
) -> str:
    """The name of the folder that an exported size is kept in, without what is usual.

    >>> bundle_name("tiny", "fp16", "random", input_size=(720, 1280))
    'tiny-random-720x1280-fp16'
    >>> bundle_name("nano", "w8a8", target="litert", points=16)
    'nano-litert-16-points-w8a8'
    >>> bundle_name("nano", target="qnn", chip="SM8650")
    'nano-qnn-sm8650'
    >>> bundle_name("tiny", input_size=(1024, 1024)), bundle_name("nano", input_size=(512, 512))
    ('tiny', 'nano')
    """
    parts = [size]
    if version != "2.1":
        parts.append(str(version))
    if weights == "random":
        parts.append("random")
    elif weights != "auto":
        parts.append(noted_sha256(existing_file("weights", weights, WEIGHTS))[:8])
    if input_size is not None:
        height, width = height_and_width("input_size", input_size)
        own = 512 if size == "nano" else 1024
        if (height, width) != (own, own):
            parts.append(f"{height}x{width}")
    if target != "onnx":
        parts.append(target)
        if points != POINTS:
            parts.append(f"{points}-points")
    if chip is not None:
        parts.append(chip.lower())
    if precision != "float":
        parts.append(precision)
    return "-".join(parts)


def _bundle(model: str | Path, row: EngineRow) -> Bundle:
    """The bundle in a folder, which the engine must read."""
    folder = path("model", model, f"a size ({', '.join(SIZES)}) or a folder with a {BUNDLE_FILE}")
    if not (folder / BUNDLE_FILE).is_file():
        raise ValueError(
            f"model is {str(model)!r}: neither a size ({', '.join(SIZES)}) nor a folder with a "
            f"{BUNDLE_FILE}. Export one with: python -m sam2lab export tiny --out models/tiny"
        )
    bundle = Bundle.open(folder, verify=False)
    if bundle.kind not in row.reads:
        others = [each.name for each in ENGINES.values() if bundle.kind in each.reads]
        wanted = " or ".join(map(repr, others)) or "an engine that does"
        size = ", or a size to run the original" if CHECKPOINT in row.reads else ""
        raise ValueError(
            f"engine is {row.name!r}, which does not read the {bundle.kind} files of the exported "
            f"bundle {str(model)!r}; wanted {wanted}{size}"
        )
    return bundle


def _given(**arguments: tuple[Any, Any]) -> dict[str, Any]:
    """The arguments, each with its default, that differ from it."""
    return {name: value for name, (value, default) in arguments.items() if value != default}


def _refuse_unused(given: list[str], size: str | None, row: EngineRow) -> None:
    """Refuse arguments that would change nothing, before a user believes that they did."""
    used = list(row.options)
    if size is not None:
        used += ["weights", "version", "input_size"] + ["precision"] * (CHECKPOINT not in row.reads)
    unused = [name for name in given if name not in used]
    if unused:
        what = "a bundle's folder" if size is None else "a size"
        raise ValueError(
            f"{' and '.join(unused)} would change nothing: {what} with engine={row.name!r} takes "
            f"{', '.join(used)}. Leave it out, or open what it is meant for"
        )


def _loaded(model: _Model) -> Any:
    from sam2lab.reference import zoo

    return zoo.load(
        model.size, weights=model.weights, version=model.version, input_size=model.input_size
    )


def _exported(model: _Model, row: EngineRow) -> Bundle | Path:
    """The bundle of a model, which is exported or quantised where it is not kept."""
    if not any(kind in _TARGETS for kind in row.reads):
        raise ValueError(
            f"model is {model.size!r}, but engine={row.name!r} reads {' or '.join(row.reads)} "
            "files, which are not exported here; pass the folder of a bundle that holds them"
        )
    if model.is_kept():
        return model.folder
    exact = replace(model, precision="float")
    if (model.target, model.precision) == ("onnx", "w8a8") and exact.is_kept():
        require(f"{model.folder} does not exist yet, and quantising", ["onnx"], EXPORTED)
        from sam2lab.quantize import quantize

        return quantize(exact.folder, model.folder)
    require(f"{model.folder} does not exist yet, and exporting", ["torch", "sam2"], EXPORTED)
    from sam2lab.export import check_export, export

    check_export(model.folder, model.precision, target=model.target)
    return export(_loaded(model), model.folder, precision=model.precision, target=model.target)


def _open_engine(**arguments: Any) -> Engine:
    return open_segmenter(**arguments).engine


use_opener(_open_engine)
