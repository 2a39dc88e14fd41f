"""`open_segmenter`: the one door that knows every floor."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sam2lab import settings
from sam2lab.runtime.arguments import height_and_width, path, whole
from sam2lab.runtime.bundle import BUNDLE_FILE, Bundle, sha256_of
from sam2lab.runtime.engine import ENGINES, SIZES, Engine, EngineName
from sam2lab.runtime.onnx_engine import OnnxEngine, providers_for
from sam2lab.runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from sam2lab.reference.zoo import ZooModel


def open_segmenter(
    model: str | Path,
    *,
    engine: EngineName = "onnx",
    precision: str = "float",
    weights: str | Path = "auto",
    version: str = "2.1",
    input_size: tuple[int, int] | None = None,
    device: str = "cpu",
    providers: Sequence[str] | None = None,
    threads: int | None = None,
) -> Segmenter:
    """Open a size (`"nano"`, `"tiny"` …) or the folder of an exported bundle.

    A folder needs no torch. A size served by onnxruntime is exported once, with torch, kept
    in the models folder and opened from there ever after. `weights` and `version` are those
    of `reference.zoo.load`; `input_size` is (height, width); `device` is for the torch
    engine, `providers` for onnxruntime, `threads` for that and for openvino, which serves the
    same bundles.

    ```python
    segmenter = open_segmenter("nano")
    segmenter = open_segmenter("tiny", engine="torch", weights="random")
    segmenter = open_segmenter("models/tiny-fp16")
    ```
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; wanted {', '.join(map(repr, ENGINES))}")
    size = str(model) if str(model) in SIZES else None
    if input_size is not None:
        input_size = height_and_width("input_size", input_size)
    told = {
        "precision": (precision, "float"),
        "weights": (weights, "auto"),
        "version": (version, "2.1"),
        "input_size": (input_size, None),
        "device": (device, "cpu"),
        "providers": (providers, None),
        "threads": (threads, None),
    }
    folder = None if size else _folder(model, engine)
    # All that can be checked now: a model may take minutes to fetch and export.
    _refuse_unheard([name for name, (value, usual) in told.items() if value != usual], size, engine)
    if engine == "torch" and size is not None:
        return Segmenter(_torch_engine(size, weights, version, input_size, device))
    if threads is not None:
        threads = whole("threads", threads, 1)
    if providers is not None:
        providers_for(providers)
    if engine == "openvino":
        _require(["openvino"], "engine='openvino' takes OpenVINO", "openvino")
        if precision == "w8a8":
            raise ValueError(
                "precision is 'w8a8', which OpenVINO does not compute right; wanted 'float' or "
                "'fp16', or engine='onnx'"
            )
    bundle = folder or _exported(str(model), precision, weights, version, input_size)
    if engine == "openvino":
        from sam2lab.runtime.openvino_engine import OpenVinoEngine

        return Segmenter(OpenVinoEngine(bundle, threads=threads))
    return Segmenter(OnnxEngine(bundle, providers=providers, threads=threads))


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


def _folder(model: str | Path, engine: str) -> Path:
    folder = path("model", model, f"a size ({', '.join(SIZES)}) or a folder with a {BUNDLE_FILE}")
    if not (folder / BUNDLE_FILE).is_file():
        raise ValueError(
            f"model is {str(model)!r}: neither a size ({', '.join(SIZES)}) nor a folder with a "
            f"{BUNDLE_FILE}. Export one with: python -m sam2lab export tiny --out models/tiny"
        )
    if engine == "torch":
        raise ValueError(
            f"engine is 'torch', but {str(model)!r} is an exported bundle, which onnxruntime "
            "serves; pass a size to run the original, or engine='onnx'"
        )
    return folder


def _refuse_unheard(given: list[str], size: str | None, engine: EngineName) -> None:
    """Refuse arguments that would change nothing, before somebody believes that they did."""
    heard = {"onnx": ["providers", "threads"], "openvino": ["threads"], "torch": ["device"]}[engine]
    if size is not None:
        heard += ["weights", "version", "input_size"] + ["precision"] * (engine != "torch")
    unheard = [name for name in given if name not in heard]
    if unheard:
        what = "a bundle's folder" if size is None else "a size"
        raise ValueError(
            f"{' and '.join(unheard)} would change nothing: {what} with engine={engine!r} takes "
            f"{', '.join(heard)}. Leave it out, or open what it is meant for"
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
    _require_torch(f"{folder} does not exist yet and exporting {size} takes torch")
    from sam2lab.export.onnx import check_export, export
    from sam2lab.reference import zoo

    check_export(folder, precision)
    loaded = zoo.load(size, weights=weights, version=version, input_size=input_size)
    return export(loaded, folder, precision=precision)


def _torch_engine(
    size: str,
    weights: str | Path,
    version: str,
    input_size: tuple[int, int] | None,
    device: str,
) -> Engine:
    _require_torch("engine='torch' runs the original")
    from sam2lab.reference import zoo
    from sam2lab.reference.engine import TorchEngine, checked_device

    checked_device(device)
    loaded: ZooModel = zoo.load(size, weights=weights, version=version, input_size=input_size)
    return TorchEngine(loaded, device=device)


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


def _require_torch(reason: str) -> None:
    way_out = "open the folder of a bundle that was exported elsewhere"
    _require(["torch", "sam2"], reason, "torch", way_out)


def _require(modules: list[str], reason: str, extra: str, way_out: str = "engine='onnx'") -> None:
    if any(importlib.util.find_spec(name) is None for name in modules):
        raise ModuleNotFoundError(
            f"{reason}, which is not installed here. Install it (pip install 'sam2lab[{extra}]'), "
            f"or {way_out}."
        )


def _digest(weights: str | Path) -> str:
    wanted = "'auto', 'random' or the path of a checkpoint"
    file = path("weights", weights, wanted).expanduser()
    if not file.is_file():
        raise ValueError(f"weights is {str(weights)!r}: no such file; wanted {wanted}")
    return sha256_of(file)
