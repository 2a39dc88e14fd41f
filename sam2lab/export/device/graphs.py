"""`device_graphs` traces a model's device graphs to ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import onnx
import onnxslim
import torch
from torch import nn

from sam2lab.export.device.decoder import DeviceDecoder
from sam2lab.export.device.encoder import DeviceEncoder
from sam2lab.export.tracing import DECODER_OUTPUTS, Inputs, trace
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import POINTS

MOST_POINTS = 64
ENCODER_OUTPUTS = ("high_res_feats_0", "high_res_feats_1", "image_embed")


def device_graphs(model: ZooModel, points: int = POINTS) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Yield the graphs `"encoder"` and `"decoder"` of a model as accelerators want them, in float.

    Every shape is fixed: one photo of the model's `info.input_size`, one prompt of `points` slots.
    No tensor has more than four dimensions, and no operator gathers. The input `image` (1, H, W, 3)
    and the features have channels last. A box takes two slots; slots of label -1 are empty, and
    change no answer. `DeviceEncoder` and `DeviceDecoder` say what goes in and out, by name. For
    several objects on one photo, the decoder is called several times.

    The operators are Conv, Gemm, MatMul, Add, Sub, Mul, LayerNormalization, Softmax, Gelu, Relu,
    Sigmoid, Sin, Cos, Abs, Neg, MaxPool, ReduceMax, Pad, Slice, Concat, Reshape and Transpose.
    A model for another size comes from `zoo.resize`.

    >>> from sam2lab.reference import zoo
    >>> nano = zoo.load("nano", weights="random", input_size=(64, 96))
    >>> graphs = dict(device_graphs(nano, points=4))
    >>> [dim.dim_value for dim in graphs["encoder"].graph.input[0].type.tensor_type.shape.dim]
    [1, 64, 96, 3]
    """
    check_points(points)
    module, size = model.module, model.info.input_size
    builders: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
        "encoder": (DeviceEncoder, ENCODER_OUTPUTS),
        "decoder": (DeviceDecoder, DECODER_OUTPUTS),
    }
    for name, (build, outputs) in builders.items():
        with torch.no_grad(), warnings.catch_warnings():
            # It warns of each size that becomes a plain number, as intended.
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
            raw = trace(build(module, size).eval(), _inputs(model, points)[name], outputs)
        yield name, onnx.shape_inference.infer_shapes(onnxslim.slim(raw), data_prop=True)


def check_points(points: int) -> int:
    """A number of slots that a box fits into."""
    return whole("points", points, 2, MOST_POINTS)


def _inputs(model: ZooModel, points: int) -> dict[str, Inputs]:
    info, channels = model.info, model.module.hidden_dim
    height, width = info.embed_size
    shapes: dict[str, dict[str, tuple[int, ...]]] = {
        "encoder": {"image": (1, *info.input_size, 3)},
        "decoder": {
            "image_embed": (1, height, width, channels),
            "high_res_feats_0": (1, 4 * height, 4 * width, channels // 8),
            "high_res_feats_1": (1, 2 * height, 2 * width, channels // 4),
            "point_coords": (1, points, 2),
            "point_labels": (1, points),
            "mask_input": (1, 1, *info.mask_size),
            "has_mask_input": (1,),
        },
    }
    return {
        graph: {name: (shape, "") for name, shape in inputs.items()}
        for graph, inputs in shapes.items()
    }
