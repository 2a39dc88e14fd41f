"""`export`: a model in torch → a bundle of two ONNX graphs.

Three choices, each measured with tiny at 1024x1024 on two cores (torch 2.13, onnxruntime 1.31).

*Exporter*: torch's TorchScript-based one (`dynamo=False`), old as it is. The newer one cannot say
that features have a batch of 1 or of L: given an example of 1 it refuses to call it free
("1 not in VR[2, int_oo]"), given one of L it ties the two, and the graph then fails for the usual
case, one image and several objects. What both made of a plain encoder had as many nodes and bytes
once simplified, and ran as fast (0.95 to 1.0 of each other, which is noise).

*Simplifier*: onnxslim. It folds what tracing leaves behind, 2366 nodes of tiny's encoder to 1326.
It does not make the graph faster beyond noise, but open sooner.

*Opset* 20, the first with Gelu. Below, each GELU is five nodes: onnxruntime fuses them again, to
the same optimised graph and time, but whoever converts or quantises a graph meets the pieces.
LayerNormalization is one node since 17. onnxruntime reads it from 1.17 on; OpenVINO compiles it in
a second.
"""

from __future__ import annotations

import copy
import io
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import onnxslim
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import nn
from tqdm.auto import tqdm

from sam2lab._version import __version__
from sam2lab.export.decoder import Decoder
from sam2lab.export.encoder import Encoder
from sam2lab.graphs.compress import factor
from sam2lab.graphs.half import to_half
from sam2lab.graphs.writing import write_graph
from sam2lab.quantize.calibration import ImageSource, calibration_images
from sam2lab.quantize.model_parts import expected_parts
from sam2lab.quantize.qdq import quantize
from sam2lab.quantize.recipe import Recipe, checked
from sam2lab.reference import zoo
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.arguments import path
from sam2lab.runtime.bundle import GRAPHS, ORDERS, Bundle
from sam2lab.runtime.bundle_folder import appearing, check_free
from sam2lab.runtime.engines.protocol import PRECISIONS

OPSET = 20
ENCODER_OUTPUTS = ("high_res_feats_0", "high_res_feats_1", "image_embed")
DECODER_OUTPUTS = ("masks", "iou_predictions", "single_mask", "single_iou")


def export(
    model: ZooModel,
    folder: str | os.PathLike[str],
    input_size: tuple[int, int] | None = None,
    precision: str = "float",
    calibration: ImageSource = None,
    recipe: Recipe | None = None,
) -> Bundle:
    """Write a model as a bundle into a folder that does not hold one yet.

    `input_size` is (height, width) in pixels, multiples of 16 from 64 on, the model's own without
    it. The folder appears when everything in it is written and checked: an interrupted export
    leaves nothing behind. The model is not touched, a copy of it is traced.

    `precision="fp16"` stores and computes in half precision, for accelerators; inputs and outputs
    stay float32. The files are half as large. On a CPU, for which onnxruntime has no such
    arithmetic, they gain nothing else: casts between float32 operators make tiny 1.15 times as
    slow. Features are off by up to 0.5 % of their spread, masks by one pixel in a thousand.

    `precision="w8a8"` computes in 8 bits, for processors: see `quantize`, which takes a float
    bundle as well. `calibration` is its `images`, and only here do that and `recipe` count.

    >>> import tempfile
    >>> nano = zoo.load("nano", weights="random")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     bundle = export(nano, f"{models}/wide-nano", input_size=(64, 96))
    >>> bundle.folder.name, bundle.graphs["encoder"].inputs[0].shape
    ('wide-nano', ('B', 3, 64, 96))
    """
    if not isinstance(model, ZooModel):
        raise ValueError(
            f"model is {model!r:.80}; wanted what "
            'zoo.load returns, as in export(zoo.load("tiny"), folder)'
        )
    folder = check_export(folder, precision, calibration, recipe)
    if precision == "w8a8":
        trunk, transformer = (
            model.module.image_encoder.trunk,
            model.module.sam_mask_decoder.transformer,
        )
        checked(recipe).check_parts(expected_parts(len(trunk.blocks), len(transformer.layers)))
        with tempfile.TemporaryDirectory() as workshop:
            exact = export(model, Path(workshop) / "float", input_size)
            return quantize(exact, folder, recipe, calibration)
    if input_size is not None:
        model = zoo.resize(model, input_size)
    info = replace(model.info, precision=precision)
    with appearing(folder) as unfinished, torch.no_grad():
        graphs = {}
        with tqdm(total=3 * len(GRAPHS), desc=f"export {info.name}") as progress:
            for name, traced, says in _trace_both(copy.deepcopy(model.module), info.input_size):
                progress.update()
                graph = onnxslim.slim(traced)
                onnx.helper.set_model_props(graph, says)
                progress.update()
                # A processor multiplies factors when it opens the file, but not in half precision.
                graph = to_half(graph) if precision == "fp16" else factor(graph)
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
        ).seal()
    return Bundle.open(folder, verify=False)


def check_export(
    folder: str | os.PathLike[str],
    precision: str = "float",
    calibration: ImageSource = None,
    recipe: Recipe | None = None,
) -> Path:
    """Refuse what `export` would refuse for any model, before one is fetched or loaded for it."""
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


def _trace_both(
    module: SAM2Base, input_size: tuple[int, int]
) -> Iterator[tuple[str, onnx.ModelProto, dict[str, str]]]:
    """The encoder's and the decoder's raw graph, one after the other to save memory.

    With each, what the graph says of itself.
    """
    module = module.cpu().float().eval()
    image = torch.zeros(1, 3, *input_size)
    encoder = Encoder(module, input_size).eval()
    yield (
        "encoder",
        _trace(
            encoder,
            {"image": (image, {0: "B"})},
            {name: {0: "B"} for name in ENCODER_OUTPUTS},
        ),
        {ORDERS: json.dumps(encoder.ways_back())},
    )
    height, width = input_size[0] // 16, input_size[1] // 16
    channels = module.sam_mask_decoder.transformer_dim
    objects, points = 3, 2
    yield (
        "decoder",
        _trace(
            Decoder(module, input_size).eval(),
            {
                "image_embed": (torch.zeros(1, channels, height, width), {0: "I"}),
                "high_res_feats_0": (
                    torch.zeros(1, channels // 8, 4 * height, 4 * width),
                    {0: "I"},
                ),
                "high_res_feats_1": (
                    torch.zeros(1, channels // 4, 2 * height, 2 * width),
                    {0: "I"},
                ),
                "point_coords": (torch.zeros(objects, points, 2), {0: "L", 1: "P"}),
                "point_labels": (torch.zeros(objects, points), {0: "L", 1: "P"}),
                "mask_input": (torch.zeros(1, 1, 4 * height, 4 * width), {0: "M"}),
                "has_mask_input": (torch.zeros(1), {0: "N"}),
            },
            {name: {0: "L"} for name in DECODER_OUTPUTS},
        ),
        {},
    )


def _trace(
    module: nn.Module,
    inputs: dict[str, tuple[torch.Tensor, dict[int, str]]],
    outputs: dict[str, dict[int, str]],
) -> onnx.ModelProto:
    """Run `module` on example inputs; `inputs` and `outputs` name the free dimensions."""
    written = io.BytesIO()
    with warnings.catch_warnings():
        # That this exporter is old is answered in the module's docstring, and what it leaves
        # unfolded is folded by onnxslim.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Constant folding - Only steps=1")
        # Which rows to choose is a constant, as wanted.
        warnings.filterwarnings("ignore", message="torch.from_numpy results are registered as")
        torch.onnx.export(
            module,
            tuple(example for example, _ in inputs.values()),
            written,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: axes for name, (_, axes) in inputs.items()} | outputs,
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(written.getvalue())
