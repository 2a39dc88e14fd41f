from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch

from sam2lab.export.onnx import export
from sam2lab.graphs.half import to_half
from sam2lab.measure.layer_trace import first_layer_above, trace_layers
from sam2lab.measure.layers_onnx import SCOPES, layer_tensors
from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Decoded, Features, Float32, ModelInfo, PromptBatch
from tests.exporting import without_memory

PHOTO = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
# Odd multiples of 16, so that the export's padding and cropping are looked at as well.
INPUT_SIZE = (112, 144)
PARTS = ["photo", "encoder", "prompt", "decoder"]


@pytest.fixture(scope="module")
def model() -> ZooModel:
    return zoo.load("nano", weights="random", input_size=INPUT_SIZE)


@pytest.fixture(scope="module")
def original(model: ZooModel) -> TorchEngine:
    return TorchEngine(model)


@pytest.fixture(scope="module")
def exported(model: ZooModel, tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    with without_memory():
        bundle = export(model, tmp_path_factory.mktemp("models") / "sound")
    return OnnxEngine(bundle, threads=1)


def broken_copy(model: ZooModel) -> ZooModel:
    """A model of its own, to be broken."""
    return replace(model, module=copy.deepcopy(model.module))


@pytest.mark.parametrize("kind", ["point + negative", "box + point", "refine"])
def test_a_sound_export_has_no_layer_above_the_threshold(
    original: TorchEngine, exported: OnnxEngine, kind: str
) -> None:
    table = trace_layers(original, exported, PHOTO, kind=kind)
    assert first_layer_above(table) is None
    # A hundredth of the threshold: what is left is float32 rounding.
    assert (table["relative_error"] < 1e-4).all()


def test_every_layer_of_the_original_is_found_in_the_export_in_its_order(
    original: TorchEngine, exported: OnnxEngine
) -> None:
    across = trace_layers(original, exported, PHOTO)
    alone = trace_layers(original, original, PHOTO)
    # The two finest stages go through the neck and the decoder's projections at once.
    merged = {"laterals.0", "laterals.1"}
    assert across["layer"].tolist() == [s for s in alone["layer"] if s not in merged]
    assert across["part"].unique().tolist() == PARTS
    blocks = [layer for layer in across["layer"] if layer.startswith("blocks.")]
    assert blocks == [f"blocks.{i}" for i in range(8)]


def test_two_exports_are_compared_without_the_original(exported: OnnxEngine) -> None:
    table = trace_layers(exported, exported, PHOTO)
    assert (table["max_abs_error"] == 0).all()
    assert table["part"].unique().tolist() == PARTS


def test_missing_no_mem_embed_is_found_in_the_image_embed(
    model: ZooModel, exported: OnnxEngine
) -> None:
    broken = broken_copy(model)
    broken.module.directly_add_no_mem_embed = False
    table = trace_layers(TorchEngine(broken), exported, PHOTO)
    assert first_layer_above(table) == "image_embed"


def test_missing_normalisation_is_found_in_the_pixels(
    original: TorchEngine, exported: OnnxEngine, tmp_path: Path
) -> None:
    folder = shutil.copytree(exported.bundle.folder, tmp_path / "broken")
    info = replace(exported.info, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    replace(exported.bundle, folder=folder, info=info).seal()
    table = trace_layers(original, OnnxEngine(folder), PHOTO)
    assert first_layer_above(table) == "pixels"


def test_swapped_labels_are_found_in_the_prompt_tokens(
    model: ZooModel, exported: OnnxEngine
) -> None:
    broken = broken_copy(model)
    embeddings = broken.module.sam_prompt_encoder.point_embeddings
    embeddings[0], embeddings[1] = embeddings[1], embeddings[0]
    table = trace_layers(TorchEngine(broken), exported, PHOTO)
    assert first_layer_above(table) == "prompt tokens"
    # The mask's part of the prompt, which comes next, is as it was.
    assert not table.set_index("layer").loc["prompt mask", "above"]


@pytest.mark.parametrize(
    ("path", "layer"),
    [
        ("image_encoder.trunk.patch_embed.proj", "patch_embed"),
        ("image_encoder.trunk.blocks.1.attn.qkv", "blocks.1"),
        ("image_encoder.neck.convs.0.conv", "laterals.3"),
        ("sam_mask_decoder.conv_s1", "high_res_feats_1"),
        ("sam_mask_decoder.transformer.layers.1.norm2", "layers.1 tokens"),
        ("sam_mask_decoder.transformer.final_attn_token_to_image.v_proj", "final tokens"),
        ("sam_mask_decoder.output_upscaling.3", "upscaled 4x"),
        ("sam_mask_decoder.output_hypernetworks_mlps.2.layers.0", "kernels.2"),
        ("sam_mask_decoder.iou_prediction_head.layers.2", "scores"),
    ],
)
def test_a_changed_weight_is_found_in_its_own_block(
    model: ZooModel, exported: OnnxEngine, path: str, layer: str
) -> None:
    changed = broken_copy(model)
    with torch.no_grad():
        changed.module.get_submodule(path).bias.add_(0.1)
    assert first_layer_above(trace_layers(TorchEngine(changed), exported, PHOTO)) == layer


def test_a_changed_position_encoding_is_found_after_the_patches(
    model: ZooModel, exported: OnnxEngine
) -> None:
    changed = broken_copy(model)
    with torch.no_grad():
        changed.module.image_encoder.trunk.pos_embed_window.add_(0.1)
    assert first_layer_above(trace_layers(TorchEngine(changed), exported, PHOTO)) == "position"


@pytest.mark.parametrize("graph", ["encoder", "decoder"])
def test_a_halved_graph_keeps_the_names_of_its_layers(exported: OnnxEngine, graph: str) -> None:
    whole = onnx.load(exported.bundle.path(graph))
    layers = [
        set(layer_tensors([(n.name, n.output[0]) for n in each.graph.node], SCOPES[graph]))
        for each in (whole, to_half(copy.deepcopy(whole)))
    ]
    assert layers[0] == layers[1]
    assert layers[0]


def test_looking_leaves_both_engines_as_they_were(
    model: ZooModel, original: TorchEngine, exported: OnnxEngine
) -> None:
    def hooks() -> int:
        return sum(
            len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.module.modules()
        )

    before, sessions = hooks(), dict(exported._opened)
    trace_layers(original, exported, PHOTO)
    assert hooks() == before
    assert exported._opened == sessions


class Closed:
    """An engine that does not show its insides, and answers what it is told."""

    def __init__(self, answer: float, input_size: tuple[int, int] = (64, 64)) -> None:
        self.info = ModelInfo("closed", "nano", input_size, "random:0")
        self.key = "closed"
        self.answer = answer

    def encode(self, pixels: Float32) -> Features:
        return Features(*(np.zeros((1, 8, side, side), np.float32) for side in (4, 16, 8)))

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        logits = np.linspace(-1, 1, 4 * 16 * 16, dtype=np.float32).reshape(1, 4, 16, 16)
        return Decoded(logits * np.float32(self.answer), np.ones((1, 4), np.float32))


def test_of_an_engine_that_hides_its_insides_the_ends_are_compared() -> None:
    table = trace_layers(Closed(1.0), Closed(1.5), PHOTO)
    ends = ["pixels", "high_res_feats_0", "high_res_feats_1", "image_embed", "logits", "scores"]
    assert table["layer"].tolist() == ends
    assert first_layer_above(table) == "logits"


def test_an_answer_that_is_not_a_number_is_above_every_threshold() -> None:
    assert (
        first_layer_above(trace_layers(Closed(1.0), Closed(np.nan), PHOTO, threshold=1e9))
        == "logits"
    )


def test_the_threshold_can_be_changed_afterwards() -> None:
    table = pd.DataFrame(
        {"layer": ["a", "b"], "relative_error": [1e-5, 1e-2], "above": [False, True]}
    )
    assert first_layer_above(table) == "b"
    assert first_layer_above(table, 1e-6) == "a"
    assert first_layer_above(table, 1.0) is None


def test_engines_of_different_input_sizes_are_not_traced() -> None:
    with pytest.raises(ValueError, match=r"engine_a takes \(64, 64\) and engine_b \(64, 96\)"):
        trace_layers(Closed(1.0), Closed(1.0, (64, 96)), PHOTO)
