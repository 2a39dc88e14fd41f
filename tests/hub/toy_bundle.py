"""Bundles of two small graphs with the names and shapes of real ones: masks of bright pixels."""

from __future__ import annotations

from pathlib import Path

import onnx

from sam2lab.export.device.bundles import described
from sam2lab.litert.convert import to_tflite
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import ModelInfo

INPUT_SIZE = 64, 96
HEAD = '<ir_version: 10, opset_import: ["" : 18]>\n'
ENCODER = """
encoder (float[B, 3, 64, 96] image)
    => (float[B, 1, 16, 24] high_res_feats_0, float[B, 2, 8, 12] high_res_feats_1,
        float[B, 8, 4, 6] image_embed)
    <int64[1] axis = {1}>
{
    grey = ReduceMean<keepdims = 1>(image, axis)
    high_res_feats_0 = AveragePool<kernel_shape = [4, 4], strides = [4, 4]>(grey)
    half = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(high_res_feats_0)
    high_res_feats_1 = Concat<axis = 1>(half, half)
    least = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(half)
    image_embed = Concat<axis = 1>(least, least, least, least, least, least, least, least)
}
"""
DECODER = """
decoder (float[E, 8, 4, 6] image_embed, float[I, 1, 16, 24] high_res_feats_0,
         float[I, 2, 8, 12] high_res_feats_1, float[L, P, 2] point_coords,
         float[L, P] point_labels, float[M, 1, 16, 24] mask_input, float[N] has_mask_input)
    => (float[L, 3, 16, 24] masks, float[L, 3] iou_predictions,
        float[L, 1, 16, 24] single_mask, float[L, 1] single_iou, float[L, 1] object_score_logits)
    <int64[1] last = {2}, int64[2] points = {1, 2}, int64[4] to_one = {-1, 1, 1, 1},
     int64[2] flat = {-1, 1}, float[1, 3, 1, 1] scales = {1, 2, 3}, float[1, 3] three = {1, 2, 3}>
{
    labels = Unsqueeze(point_labels, last)
    weighed = Mul(point_coords, labels)
    sum = ReduceSum<keepdims = 0>(weighed, points)
    wave = Sin(sum)
    shift = Reshape(wave, to_one)
    given = Mul(mask_input, has_mask_input)
    mean = ReduceMean<keepdims = 1>(image_embed)
    bright = Sub(high_res_feats_0, mean)
    extra = ReduceMean<keepdims = 1>(high_res_feats_1)
    lit = Sub(bright, extra)
    moved = Add(lit, shift)
    single_mask = Add(moved, given)
    masks = Mul(single_mask, scales)
    single_iou = Reshape(wave, flat)
    object_score_logits = Neg(single_iou)
    iou_predictions = Mul(single_iou, three)
}
"""
# As devices have them: one prompt of four slots, channels last.
DEVICE_ENCODER = """
encoder (float[1, 64, 96, 3] image)
    => (float[1, 16, 24, 1] high_res_feats_0, float[1, 8, 12, 2] high_res_feats_1,
        float[1, 4, 6, 8] image_embed)
    <int64[1] axis = {3}>
{
    grey = ReduceMax<keepdims = 1>(image, axis)
    flat = Transpose<perm = [0, 3, 1, 2]>(grey)
    quarter = MaxPool<kernel_shape = [4, 4], strides = [4, 4]>(flat)
    high_res_feats_0 = Transpose<perm = [0, 2, 3, 1]>(quarter)
    eighth = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(quarter)
    half = Transpose<perm = [0, 2, 3, 1]>(eighth)
    high_res_feats_1 = Concat<axis = 3>(half, half)
    sixteenth = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(eighth)
    least = Transpose<perm = [0, 2, 3, 1]>(sixteenth)
    image_embed = Concat<axis = 3>(least, least, least, least, least, least, least, least)
}
"""
DEVICE_DECODER = """
decoder (float[1, 4, 6, 8] image_embed, float[1, 16, 24, 1] high_res_feats_0,
         float[1, 8, 12, 2] high_res_feats_1, float[1, 4, 2] point_coords,
         float[1, 4] point_labels, float[1, 1, 16, 24] mask_input, float[1] has_mask_input)
    => (float[1, 3, 16, 24] masks, float[1, 3] iou_predictions,
        float[1, 1, 16, 24] single_mask, float[1, 1] single_iou, float[1, 1] object_score_logits)
    <int64[3] column = {1, 4, 1}, int64[2] row = {1, 8}, int64[1] last = {1},
     int64[4] one = {1, 1, 1, 1}, int64[2] single = {1, 1}, float[1, 3] three = {1, 2, 3}>
{
    labels = Reshape(point_labels, column)
    weighed = Mul(point_coords, labels)
    flat = Reshape(weighed, row)
    most = ReduceMax<keepdims = 1>(flat, last)
    wave = Sin(most)
    shift = Reshape(wave, one)
    has = Reshape(has_mask_input, one)
    given = Mul(mask_input, has)
    bright = Transpose<perm = [0, 3, 1, 2]>(high_res_feats_0)
    moved = Sub(bright, shift)
    single_mask = Add(moved, given)
    twice = Add(single_mask, single_mask)
    thrice = Add(twice, single_mask)
    masks = Concat<axis = 1>(single_mask, twice, thrice)
    single_iou = Reshape(wave, single)
    object_score_logits = Neg(single_iou)
    iou_predictions = Mul(single_iou, three)
}
"""


def device_graphs() -> dict[str, onnx.ModelProto]:
    """Both graphs as devices have them."""
    texts = {"encoder": DEVICE_ENCODER, "decoder": DEVICE_DECODER}
    return {
        name: onnx.shape_inference.infer_shapes(
            onnx.parser.parse_model(HEAD + text), data_prop=True
        )
        for name, text in texts.items()
    }


def write(folder: Path, kind: str = "onnx", precision: str = "float") -> Bundle:
    """Write a bundle to a new folder: .tflite files, or ONNX with the ending of another kind."""
    folder.mkdir()
    texts = {"encoder": ENCODER, "decoder": DECODER}
    models = device_graphs()
    if kind == "onnx":
        models = {name: onnx.parser.parse_model(HEAD + text) for name, text in texts.items()}
    paths = {name: folder / f"{name}.{kind}" for name in models}
    for name, path in paths.items():
        model = models[name]
        path.write_bytes(to_tflite(model) if kind == "tflite" else model.SerializeToString())
    graphs = described(paths, models)
    weights = "random:0" if kind == "onnx" else "checkpoint:0"
    info = ModelInfo("toy", "nano", INPUT_SIZE, weights, precision)
    bundle = Bundle(folder, info, 18, graphs, {"by": "hand"})
    bundle.seal()
    return bundle
