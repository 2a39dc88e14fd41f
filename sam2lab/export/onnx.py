"""`export` turns a model in torch into a bundle of ONNX graphs.

What was traced is simplified by onnxslim, which folds what tracing leaves behind: 2366 nodes of
tiny's encoder at 1024x1024 become 1326. The graph opens sooner, and runs no faster beyond noise.
"""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import onnxslim
import torch
from tqdm.auto import tqdm

from sam2lab._version import __version__
from sam2lab.export.shared import once
from sam2lab.export.tracing import OPSET, traced
from sam2lab.graphs.compress import factor_constants, halve_exact_constants
from sam2lab.graphs.half import to_half
from sam2lab.graphs.writing import write_graph
from sam2lab.quantize.calibration import ImageSource, calibration_images
from sam2lab.quantize.model_parts import expected_parts
from sam2lab.quantize.qdq import quantize
from sam2lab.quantize.recipe import Recipe, checked
from sam2lab.reference import memory, zoo
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.arguments import path
from sam2lab.runtime.bundle import GRAPHS, MEMORY_GRAPHS, Bundle
from sam2lab.runtime.bundle_folder import appearing, check_free
from sam2lab.runtime.engines.protocol import PRECISIONS

# Constants of more bytes than this are computed when the graph is opened, and not stored.
_COMPUTED = {"memory_attention": 2**14, "memory_encoder": 2**14}


def export(
    model: ZooModel,
    folder: str | os.PathLike[str],
    input_size: tuple[int, int] | None = None,
    precision: str = "float",
    calibration: ImageSource = None,
    recipe: Recipe | None = None,
) -> Bundle:
    """Write a model as a bundle into a folder that does not hold one yet.

    `input_size` is (height, width) in pixels, multiples of 16 from 64 on; None is the model's own.
    The folder appears when everything in it is written and checked, so an interrupted export leaves
    nothing behind. A copy of the model is traced, and the model stays as it is. The graphs of the
    memory are left out if it is not of SAM 2's kind.

    `precision="fp16"` stores and computes in half precision, for accelerators; inputs and outputs
    stay float32. The files are half as large. A CPU gains nothing else, because onnxruntime has no
    such arithmetic for it: casts between float32 operators make tiny 1.15 times as slow. Features
    are off by up to 0.5 % of their spread, masks by one pixel in a thousand.

    `precision="w8a8"` computes in 8 bits, for processors: most of the encoder, and of the memory
    attention. `quantize` does that, and takes an exported float bundle too; `recipe` is its recipe
    and `calibration` its `images`.

    >>> import tempfile
    >>> nano = zoo.load("nano", weights="random")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     bundle = export(nano, f"{models}/wide-nano", input_size=(64, 96))
    >>> bundle.folder.name, bundle.graphs["encoder"].inputs[0].shape
    ('wide-nano', ('B', 3, 64, 96))
    """
    check_model(model)
    folder = check_export(folder, precision, calibration, recipe)
    if precision == "w8a8":
        # The parts are known before the graphs are made.
        trunk, decoder = model.module.image_encoder.trunk, model.module.sam_mask_decoder
        remembers = memory.settings(model.module) is not None
        parts = expected_parts(
            len(trunk.blocks),
            len(decoder.transformer.layers),
            len(model.module.memory_attention.layers) if remembers else 0,
        )
        checked(recipe).check_parts(parts)
        with tempfile.TemporaryDirectory() as scratch:
            exact = export(model, Path(scratch) / "float", input_size)
            return quantize(exact, folder, recipe, calibration)
    if input_size is not None:
        model = zoo.resize(model, input_size)
    info = replace(model.info, precision=precision)
    video = memory.settings(model.module, is_random=info.has_random_weights)
    names = GRAPHS if video is None else (*GRAPHS, *MEMORY_GRAPHS)
    with appearing(folder) as unfinished, torch.no_grad():
        graphs = {}
        with tqdm(total=2 * len(names), desc=f"export {info.name}") as progress:
            simple = once(model, "onnx", lambda: dict(_simplified(model, names, progress)))
            progress.update(len(names) - progress.n)
            for name, graph in simple.items():
                # onnxruntime multiplies factors once, when it opens the file, but not in float16.
                if precision == "fp16":
                    graph = to_half(graph)
                else:
                    graph = halve_exact_constants(factor_constants(graph))
                graphs[name] = write_graph(graph, unfinished / f"{name}.onnx")
                progress.update()
        Bundle(
            folder=unfinished,
            info=info,
            opset=OPSET,
            graphs=graphs,
            made_with={
                "torch": str(torch.__version__),
                "onnx": onnx.__version__,
                "onnxruntime": onnxruntime.__version__,
                "sam2lab": __version__,
            },
            video=video,
        ).seal()
    return Bundle.open(folder, verify=False)


def _simplified(
    model: ZooModel, names: Sequence[str], progress: tqdm[Any]
) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Trace and simplify one graph after the other."""
    for name, raw, metadata in traced(copy.deepcopy(model.module), model.info, names):
        graph = onnxslim.slim(raw, size_threshold=_COMPUTED.get(name))
        # onnxslim takes a batch of 1 or of L for one of L.
        del graph.graph.input[:]
        graph.graph.input.extend(raw.graph.input)
        _forget_false_sizes(graph.graph)
        onnx.helper.set_model_props(graph, metadata)
        progress.update()
        yield name, graph


def check_model(model: ZooModel) -> None:
    """Refuse what is no model of the zoo."""
    if not isinstance(model, ZooModel):
        raise ValueError(
            f"model is {model!r:.80}; wanted what "
            'zoo.load returns, as in export(zoo.load("tiny"), folder)'
        )


def check_export(
    folder: str | os.PathLike[str],
    precision: str = "float",
    calibration: ImageSource = None,
    recipe: Recipe | None = None,
) -> Path:
    """Refuse what `export` would refuse for any model, before a model is fetched or loaded."""
    if precision not in PRECISIONS:
        wanted = ", ".join(map(repr, PRECISIONS))
        raise ValueError(f"precision is {precision!r}; wanted one of {wanted}")
    if precision != "w8a8" and not (calibration is None and recipe is None):
        raise ValueError(f"calibration and recipe are for precision='w8a8', not {precision!r}")
    folder = path("folder", folder)
    check_free(folder)
    if precision == "w8a8":
        checked(recipe)
        calibration_images(calibration, argument="calibration")
    return folder


def _forget_false_sizes(graph: onnx.GraphProto) -> None:
    """Delete the shapes of slices of inputs, and of what is computed of them alone.

    torch notes that the first of P points is one point, even where P may be 0. onnxruntime then
    gives its memory to another tensor, and stops where there is no point.
    """
    of_inputs = {value.name for value in graph.input}
    false: set[str] = set()
    for node in graph.node:
        is_slice = node.op_type == "Slice" and node.input[0] in of_inputs
        if is_slice or (node.op_type in ("Mul", "Sub") and node.input[0] in false):
            false.update(node.output)
    kept = [value for value in graph.value_info if value.name not in false]
    del graph.value_info[:]
    graph.value_info.extend(kept)
