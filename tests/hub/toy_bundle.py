"""A bundle of two small graphs with the names and shapes of a real one: masks of bright pixels."""

from __future__ import annotations

from pathlib import Path

import onnx

from sam2lab.graphs.writing import write_graph
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


def write(folder: Path, kind: str = "onnx") -> Bundle:
    """Write the bundle to a new folder."""
    folder.mkdir()
    graphs = {
        name: write_graph(onnx.parser.parse_model(HEAD + text), folder / f"{name}.{kind}")
        for name, text in (("encoder", ENCODER), ("decoder", DECODER))
    }
    info = ModelInfo("toy", "nano", INPUT_SIZE, "random:0")
    bundle = Bundle(folder, info, 18, graphs, {"by": "hand"})
    bundle.seal()
    return bundle
