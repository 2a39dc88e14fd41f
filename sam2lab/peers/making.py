"""How each exporter writes its files: called as its own documentation does, in a new process.

Each gets the same weights in a model of sam2's own classes, and a folder, where it leaves
`encoder.onnx` and `decoder.onnx`. 1024 x 1024 pixels is the one size that all of them know.
"""

from __future__ import annotations

import functools
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Job = dict[str, Any]


def make(files: str, job: Job, folder: Path) -> None:
    """Write the files of this name.

    `job` says `size`, `version`, `config`, `checkpoint`, `side`, and where the files lie that are
    in `MADE_FROM`. Patches what it calls: use it in a process of its own.
    """
    MAKERS[files](job, folder)


def _sam2lab(job: Job, folder: Path) -> None:
    from sam2lab.export.onnx import export
    from sam2lab.reference import zoo

    square = (job["side"], job["side"])
    export(zoo.load(job["size"], job["checkpoint"], job["version"], square), folder)


def _sam2lab_w8a8(job: Job, folder: Path) -> None:
    from sam2lab.quantize.qdq import quantize

    quantize(job["sam2lab"], folder)


def _samexporter(job: Job, folder: Path) -> None:
    """Its script as it stands, down to its default opset, but for where the model comes from."""
    model = _original(job)
    import sam2.build_sam

    sam2.build_sam.build_sam2 = lambda *_, **__: model
    sys.argv = [
        "export_sam2",
        *("--checkpoint", job["checkpoint"]),
        *("--output_encoder", str(folder / "encoder.onnx")),
        *("--output_decoder", str(folder / "decoder.onnx")),
        # One that it knows; which model it is was decided above.
        *("--model_type", "sam2.1_hiera_tiny"),
    ]
    runpy.run_module("samexporter.export_sam2", run_name="__main__")


def _onnxruntime(job: Job, folder: Path) -> None:
    """Its functions, as its `convert_to_onnx` calls them."""
    model = _original(job)
    import onnxruntime
    import torch

    # Its modules import each other by bare names.
    sys.path.insert(0, str(Path(onnxruntime.__file__).parent / "transformers" / "models" / "sam2"))
    # They were written for a torch that exported by tracing when not told otherwise.
    torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
    from image_decoder import export_decoder_onnx
    from image_encoder import export_image_encoder_onnx

    with torch.no_grad():
        export_image_encoder_onnx(model, str(folder / "encoder.onnx"))
        export_decoder_onnx(model, str(folder / "decoder.onnx"), multimask_output=True)


def _onnxruntime_optimized(job: Job, folder: Path) -> None:
    """Its optimiser for processors, as `convert_to_onnx --optimize` calls it."""
    from onnxruntime.transformers.optimizer import optimize_model

    for graph in ("encoder.onnx", "decoder.onnx"):
        plain = str(Path(job["onnxruntime"]) / graph)
        optimized = optimize_model(plain, model_type="sam2", opt_level=1)
        optimized.save_model_to_file(str(folder / graph))


def _sam2_onnx(job: Job, folder: Path) -> None:
    model = _original(job)
    import torch
    from sam2_onnx import export_onnx

    with torch.no_grad():
        export_onnx.export_encoder(model, folder / "encoder.onnx", job["side"])
        export_onnx.export_decoder(model, folder / "decoder.onnx", job["side"])
    about = export_onnx.extract_metadata(model).to_dict()
    (folder / "metadata.json").write_text(json.dumps(about), encoding="utf-8")


def _original(job: Job) -> Any:
    from sam2lab.peers import original

    original.enter()
    return original.build(job["config"], job["checkpoint"], job["side"])


MAKERS: dict[str, Callable[[Job, Path], None]] = {
    "sam2lab": _sam2lab,
    "sam2lab w8a8": _sam2lab_w8a8,
    "samexporter": _samexporter,
    "onnxruntime": _onnxruntime,
    "onnxruntime --optimize": _onnxruntime_optimized,
    "sam2-onnx": _sam2_onnx,
}

# What is made from files of another name.
MADE_FROM = {"sam2lab w8a8": "sam2lab", "onnxruntime --optimize": "onnxruntime"}
