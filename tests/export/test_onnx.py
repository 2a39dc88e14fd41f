"""`export` writes what it promises, refuses what it must, and leaves the model as it was."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import sam2lab.export.onnx as exporting
from sam2lab.export.onnx import export
from sam2lab.reference import zoo
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.bundle import BUNDLE_FILE, GRAPHS, MEMORY_GRAPHS, Bundle
from sam2lab.runtime.engines.onnx import OnnxEngine
from tests.exporting import Export, Exported

SMALL = (64, 96)


@pytest.fixture(scope="module")
def small() -> ZooModel:
    return zoo.load("nano", weights="random", input_size=SMALL)


@pytest.fixture(params=["float", "fp16"])
def case(exported: Export, request: pytest.FixtureRequest) -> Exported:
    return exported("nano", None, request.param)


@pytest.fixture(params=["encoder", "decoder"])
def graph(case: Exported, request: pytest.FixtureRequest) -> onnx.ModelProto:
    return onnx.load(case.bundle.path(request.param))


def test_names_and_order_are_those_that_desktop_tools_know(case: Exported) -> None:
    def names(values: list) -> list[str]:
        return [value.name for value in values]

    assert names(case.encoder.get_inputs()) == ["image"]
    assert names(case.encoder.get_outputs()) == [
        *("high_res_feats_0", "high_res_feats_1", "image_embed")
    ]
    assert names(case.decoder.get_inputs()) == [
        *("image_embed", "high_res_feats_0", "high_res_feats_1", "point_coords", "point_labels"),
        *("mask_input", "has_mask_input"),
    ]
    assert names(case.decoder.get_outputs()) == [
        *("masks", "iou_predictions", "single_mask", "single_iou"),
        *("object_score_logits", "object_pointers"),
    ]


def test_nothing_is_resized_or_left_over_from_training(graph: onnx.ModelProto) -> None:
    operators = {node.op_type for node in graph.graph.node}
    assert not operators & {"Resize", "Upsample", "Dropout", "Identity", "Constant", "If", "Loop"}


def test_only_standard_operators_of_the_stated_opset_are_used(
    graph: onnx.ModelProto, case: Exported
) -> None:
    assert {node.domain for node in graph.graph.node} == {""}
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [
        ("", case.bundle.opset)
    ]


def test_the_encoder_computes_no_shapes(exported: Export) -> None:
    """Position encodings and sizes are constants: the batch is all that is open."""
    graph = onnx.load(exported("nano").bundle.path("encoder")).graph
    operators = {node.op_type for node in graph.node}
    assert not operators & {"Shape", "Expand", "Range", "Sin", "Cos", "Cast"}
    constants = {tensor.name for tensor in graph.initializer}
    chosen = [node.input[1] for node in graph.node if node.op_type == "Gather"]
    assert chosen
    assert constants.issuperset(chosen)


@pytest.mark.parametrize("name", [*GRAPHS, *MEMORY_GRAPHS])
@pytest.mark.parametrize(
    "of", [("nano",), ("nano", None, "fp16"), ("nano", (208, 336)), ("tiny", (64, 96))], ids=str
)
def test_no_tensor_has_more_dimensions_than_phones_know(
    exported: Export, of: tuple, name: str
) -> None:
    """Core ML takes five, TensorRT and DirectML eight; windows taken apart in one go have ten."""
    bundle = exported(*of).bundle
    graph = onnx.shape_inference.infer_shapes(onnx.load(bundle.path(name))).graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in graph.value_info}
    made = {output for node in graph.node for output in node.output}
    assert shapes.keys() >= made - {value.name for value in graph.output}
    assert max(map(len, shapes.values())) <= 4


def test_a_graph_is_one_file_and_names_no_place_on_this_machine(case: Exported) -> None:
    assert sorted(path.name for path in case.bundle.folder.iterdir()) == [
        *(BUNDLE_FILE, "decoder.onnx", "encoder.onnx", "memory_attention.onnx"),
        "memory_encoder.onnx",
    ]
    for name in (*GRAPHS, *MEMORY_GRAPHS):
        written = case.bundle.path(name).read_bytes()
        for place in (b".py", str(Path.home()).encode() + b"/", b"site-packages"):
            assert place not in written


def test_half_precision_halves_the_files(exported: Export) -> None:
    full, half = (exported("nano", None, p).bundle.graphs for p in ("float", "fp16"))
    for name in ("encoder", "decoder"):
        # Node names and shapes do not shrink, and position encodings are factors in float32 only.
        assert half[name].bytes < 0.65 * full[name].bytes


def test_the_bundle_says_what_it_is_and_where_it_came_from(exported: Export) -> None:
    case = exported("nano", None, "fp16")
    bundle = Bundle.open(case.bundle.folder)
    assert bundle.info.precision == "fp16"
    assert bundle.info.weights == "random:0"
    assert bundle.info.input_size == (512, 512)
    assert bundle.made_with["torch"] == torch.__version__
    image = bundle.graphs["encoder"].inputs[0]
    assert (image.name, image.dtype, image.shape) == ("image", "float32", ("B", 3, 512, 512))
    coords = bundle.graphs["decoder"].inputs[3]
    assert (coords.name, coords.shape) == ("point_coords", ("L", "P", 2))
    memory = bundle.graphs["memory_attention"].inputs
    assert [(each.name, each.dtype, each.shape) for each in memory] == [
        ("image_embed", "float32", ("I", 128, 32, 32)),
        ("memory", "float32", ("L", "M", 32 * 32, 32)),
        ("memory_age", "int64", ("L", "M")),
        ("object_pointers", "float32", ("L", "P", 128)),
        ("pointer_time", "float32", ("L", "P")),
    ]
    outputs = bundle.graphs["decoder"].outputs
    assert [each.shape for each in outputs[4:]] == [("L", 1), ("L", 4, 128)]


LOAD_AND_RUN = """
import sys, numpy as np, onnxruntime as ort
from pathlib import Path
folder, height, width = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
ort.set_default_logger_severity(2)
encoder, decoder = (ort.InferenceSession(folder / f"{g}.onnx") for g in ("encoder", "decoder"))
fine, middle, embed = encoder.run(None, {"image": np.zeros((2, 3, height, width), np.float32)})
for objects, points, masks in ((1, 1, 1), (2, 3, 1), (2, 0, 2)):
    decoder.run(None, {
        "image_embed": embed[:1], "high_res_feats_0": fine[:1], "high_res_feats_1": middle[:1],
        "point_coords": np.zeros((objects, points, 2), np.float32),
        "point_labels": np.ones((objects, points), np.float32),
        "mask_input": np.zeros((masks, 1, height // 4, width // 4), np.float32),
        "has_mask_input": np.zeros(masks, np.float32),
    })
"""


@pytest.mark.parametrize("precision", ["float", "fp16"])
def test_onnxruntime_has_nothing_to_warn_of(exported: Export, precision: str) -> None:
    case = exported("nano", None, precision)
    done = subprocess.run(
        [sys.executable, "-c", LOAD_AND_RUN, str(case.bundle.folder), "512", "512"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def settings(model: ZooModel) -> dict:
    modules = dict(model.module.named_modules())
    return {
        "flags": {name: module.training for name, module in modules.items()},
        "attributes": {name: sorted(vars(module)) for name, module in modules.items()},
        "hooks": {name: len(module._forward_hooks) for name, module in modules.items()},
        "places": {k: v.data_ptr() for k, v in model.module.state_dict().items()},
        "trainable": [p.requires_grad for p in model.module.parameters()],
        "gradients": torch.is_grad_enabled(),
        "default type": torch.get_default_dtype(),
        "attention": (
            torch.backends.cuda.flash_sdp_enabled(),
            torch.backends.cuda.mem_efficient_sdp_enabled(),
            torch.backends.cuda.math_sdp_enabled(),
        ),
    }


def numbers(model: ZooModel) -> dict:
    with torch.no_grad():
        features = model.module.forward_image(torch.ones(1, 3, *SMALL))["backbone_fpn"]
    weights = {name: value.clone() for name, value in model.module.state_dict().items()}
    return {"weights": weights, "features": features, "random": torch.get_rng_state()}


@dataclass(frozen=True)
class Again:
    """A second export, and the model's settings and numbers before and after it."""

    bundle: Bundle
    before: tuple[dict, dict]
    after: tuple[dict, dict]


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Again:
    model = zoo.load("nano", weights="random", input_size=SMALL)
    # Neither all in training nor all in evaluation: each module's flag is its own.
    model.module.sam_mask_decoder.train()
    folder = tmp_path_factory.mktemp("second") / "nano"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(b"precious")
    before = settings(model), numbers(model)
    bundle = export(model, folder)
    return Again(bundle, before, (settings(model), numbers(model)))


class TestASecondExport:
    """Of a model that is partly in training, into a folder that holds something."""

    def test_has_the_bytes_of_the_first(self, exported: Export, second: Again) -> None:
        first = exported("nano", SMALL).bundle
        assert first.graphs == second.bundle.graphs
        assert first.key == second.bundle.key

    def test_leaves_the_model_as_it_was(self, second: Again) -> None:
        assert second.after[0] == second.before[0]
        torch.testing.assert_close(second.after[1], second.before[1], rtol=0, atol=0)

    def test_goes_beside_what_its_folder_holds_already(self, second: Again) -> None:
        folder = second.bundle.folder
        assert Bundle.open(folder).key == second.bundle.key
        assert (folder / "weights.safetensors").read_bytes() == b"precious"
        assert [path.name for path in folder.parent.iterdir()] == ["nano"]


@pytest.mark.usefixtures("unsimplified")
def test_a_model_in_another_precision_is_exported_in_float32_at_any_size(tmp_path: Path) -> None:
    model = zoo.load("nano", weights="random", input_size=SMALL)
    model.module.bfloat16()
    bundle = export(model, tmp_path / "wide", input_size=(64, 128))
    ends = [t for graph in bundle.graphs.values() for t in (*graph.inputs, *graph.outputs)]
    assert {t.dtype for t in ends if t.name != "memory_age"} == {"float32"}
    assert next(model.module.parameters()).dtype == torch.bfloat16
    assert bundle.info.input_size == (64, 128)
    assert bundle.graphs["decoder"].inputs[5].shape == ("M", 1, 16, 32)


def test_a_size_that_no_model_takes_is_refused_with_the_nearest(
    small: ZooModel, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"input_size is \(700, 1280\).*\(704, 1280\)"):
        export(small, tmp_path / "odd", input_size=(700, 1280))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["tiny", torch.nn.Identity(), None])
def test_what_is_no_model_is_refused(model: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model is .*wanted what zoo\.load returns"):
        export(model, tmp_path / "nano")


def test_an_unknown_precision_is_refused(small: ZooModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"precision is 'int4'.*'float', 'fp16', 'w8a8'"):
        export(small, tmp_path / "nano", precision="int4")
    assert not list(tmp_path.iterdir())


def test_images_that_are_not_there_are_missed_before_anything_is_traced(
    small: ZooModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(exporting.torch.onnx, "export")
    with pytest.raises(ValueError, match=r"calibration is 'no/such/folder'"):
        export(small, tmp_path / "nano", precision="w8a8", calibration="no/such/folder")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("unsimplified")
@pytest.mark.parametrize(("step", "call"), [("slim", 2), ("check", 1), ("seal", 1)])
def test_an_interrupted_export_leaves_nothing(
    small: ZooModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: int
) -> None:
    owner, name = {
        "slim": (exporting.onnxslim, "slim"),
        "check": (onnx.checker, "check_model"),
        "seal": (Bundle, "seal"),
    }[step]
    real, calls = getattr(owner, name), []

    def interrupted(*arguments: object, **named: object) -> object:
        calls.append(arguments)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(small, tmp_path / "models" / "nano")
    assert not list((tmp_path / "models").iterdir())


def test_a_folder_with_a_bundle_is_not_overwritten(
    exported: Export, small: ZooModel, tmp_path: Path
) -> None:
    shutil.copytree(exported("nano", SMALL).bundle.folder, tmp_path / "nano")
    before = {path: path.read_bytes() for path in (tmp_path / "nano").iterdir()}
    with pytest.raises(ValueError, match=r"folder is .*nano'.*already has .*delete"):
        export(small, tmp_path / "nano")
    assert {path: path.read_bytes() for path in (tmp_path / "nano").iterdir()} == before


@pytest.mark.usefixtures("unsimplified")
def test_no_mem_embed_is_added_where_the_config_says_so(exported: Export, tmp_path: Path) -> None:
    with_it = exported("nano", SMALL)
    model = zoo.load("nano", weights="random", input_size=SMALL)
    assert model.module.directly_add_no_mem_embed
    model.module.directly_add_no_mem_embed = False
    pixels = with_it.pixels()
    embeds = [
        OnnxEngine(bundle).encode(pixels).image_embed
        for bundle in (with_it.bundle, export(model, tmp_path / "without"))
    ]
    added = np.broadcast_to(embeds[0] - embeds[1], embeds[0].shape)
    wanted = model.module.no_mem_embed.detach().numpy().reshape(1, -1, 1, 1)
    assert np.abs(wanted).max() > 0.01
    # It is added to values of a few in float32.
    np.testing.assert_allclose(added, np.broadcast_to(wanted, added.shape), atol=1e-5)
