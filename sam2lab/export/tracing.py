"""Trace a model's modules to raw ONNX graphs. Two choices were measured.

With tiny at 1024x1024 on two cores (torch 2.13, onnxruntime 1.31):

*Exporter*: torch's older one, based on TorchScript (`dynamo=False`). The newer one cannot say that
features have a batch of 1 or of L: given an example of 1 it refuses to call the batch free
("1 not in VR[2, int_oo]"); given one of L it ties the two, and the graph then fails for the usual
case, one image and several objects. Both exporters' graphs of a plain encoder had as many nodes and
bytes once simplified, and ran as fast (0.95 to 1.0 of each other, which is noise).

*Opset*: 20, the first with Gelu. In older ones each GELU is five nodes. onnxruntime fuses them
again, to the same optimised graph and time, but other converters and quantisers see five nodes.
LayerNormalization is one node since 17. onnxruntime reads opset 20 from 1.17 on; OpenVINO compiles
it in a second.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence

import onnx
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import nn

from sam2lab.export.decoder import Decoder
from sam2lab.export.encoder import Encoder
from sam2lab.export.memory import MemoryAttention
from sam2lab.export.memory_encoder import MemoryEncoder
from sam2lab.runtime.bundle import MAP_STEPS
from sam2lab.runtime.engines.protocol import ModelInfo

OPSET = 20
DECODER_OUTPUTS = ("masks", "iou_predictions", "single_mask", "single_iou")
OBJECT_OUTPUTS = ("object_score_logits", "object_pointers")

# The shape of each input, and letters for its first dimensions, which are free.
Inputs = Mapping[str, tuple[tuple[int, ...], str]]

# What builds each graph, its outputs, and the letter of their first dimension.
_GRAPHS: dict[str, tuple[Callable[..., nn.Module], tuple[str, ...], str]] = {
    "encoder": (Encoder, ("high_res_feats_0", "high_res_feats_1", "image_embed"), "B"),
    "decoder": (Decoder, DECODER_OUTPUTS + OBJECT_OUTPUTS, "L"),
    "memory_attention": (MemoryAttention, ("conditioned_embed",), "L"),
    "memory_encoder": (MemoryEncoder, ("memory",), "L"),
}


def traced(
    module: SAM2Base, info: ModelInfo, names: Sequence[str]
) -> Iterator[tuple[str, onnx.ModelProto, dict[str, str]]]:
    """Trace one graph after the other, to save memory: its name, raw graph and metadata."""
    module = module.cpu().float().eval()
    inputs = _inputs(module, info)
    for name in names:
        build, outputs, batch = _GRAPHS[name]
        graph = build(module, info.input_size).eval()
        metadata = {MAP_STEPS: json.dumps(graph.map_steps())} if isinstance(graph, Encoder) else {}
        yield name, trace(graph, inputs[name], outputs, batch), metadata


def _inputs(module: SAM2Base, info: ModelInfo) -> dict[str, Inputs]:
    """Each graph's inputs."""
    channels, narrow = module.hidden_dim, module.mem_dim
    height, width = info.embed_size
    objects, points, memories, pointers = 3, 2, 2, 5
    return {
        "encoder": {"image": ((1, 3, *info.input_size), "B")},
        "decoder": {
            "image_embed": ((1, channels, height, width), "E"),
            "high_res_feats_0": ((1, channels // 8, 4 * height, 4 * width), "I"),
            "high_res_feats_1": ((1, channels // 4, 2 * height, 2 * width), "I"),
            "point_coords": ((objects, points, 2), "LP"),
            "point_labels": ((objects, points), "LP"),
            "mask_input": ((1, 1, *info.mask_size), "M"),
            "has_mask_input": ((1,), "N"),
        },
        "memory_attention": {
            "image_embed": ((1, channels, height, width), "I"),
            "memory": ((objects, memories, height * width, narrow), "LM"),
            "memory_age": ((objects, memories), "LM"),
            "object_pointers": ((objects, pointers, channels), "LP"),
            "pointer_time": ((objects, pointers), "LP"),
        },
        "memory_encoder": {
            "image_embed": ((1, channels, height, width), "I"),
            "mask_logits": ((objects, 1, *info.mask_size), "L"),
            "object_score_logits": ((objects, 1), "L"),
            "binarize": ((1,), "N"),
        },
    }


def trace(
    module: nn.Module, inputs: Inputs, outputs: Sequence[str], batch: str = ""
) -> onnx.ModelProto:
    """Trace a module on zeros; `batch` is the letter of the outputs' first dimension, also free.

    Without a letter, their sizes are fixed.
    """
    examples = (
        torch.zeros(shape, dtype=torch.int64 if name == "memory_age" else torch.float32)
        for name, (shape, _) in inputs.items()
    )
    free = {name: dict(enumerate(letters)) for name, (_, letters) in inputs.items()}
    free |= {name: dict(enumerate(batch)) for name in outputs}
    written = io.BytesIO()
    with warnings.catch_warnings():
        # The module's docstring says why the exporter is the old one. onnxslim folds what it leaves
        # unfolded.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Constant folding - Only steps=1")
        # The rows to choose are a constant, as intended.
        warnings.filterwarnings("ignore", message="torch.from_numpy results are registered as")
        torch.onnx.export(
            module,
            tuple(examples),
            written,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(written.getvalue())
