from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from sam2lab import open_segmenter, settings
from sam2lab.export import onnx as exporting
from sam2lab.opening import bundle_name
from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.runtime import digests
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import SIZES
from tests.blocking import TORCH, run_without
from tests.exporting import Export

SMALL = (64, 96)
photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Kept bundles go to a folder of the test's own."""
    folder = tmp_path / "models"
    monkeypatch.setenv("SAM2LAB_MODELS", str(folder))
    return folder


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch, exported: Export) -> list[Path]:
    """The folders exported to, in order. What arrives there was exported once for all tests."""
    asked: list[Path] = []

    def copied(model: zoo.ZooModel, folder: Path, precision: str = "float", **_: object) -> Bundle:
        asked.append(folder)
        made = exported(model.info.size, model.info.input_size, precision=precision).bundle
        assert made.info == model.info
        return Bundle.open(shutil.copytree(made.folder, folder))

    monkeypatch.setattr(exporting, "export", copied)
    return asked


def test_a_folder_is_served_by_onnxruntime(nano_bundle: Path) -> None:
    segmenter = open_segmenter(nano_bundle)
    assert isinstance(segmenter.engine, OnnxEngine)
    assert segmenter.segment_images(photo, boxes=[5, 5, 30, 30])[0].masks.shape == (3, 40, 60)


def test_a_size_is_exported_once_and_kept(exports: list[Path], models: Path) -> None:
    for _ in range(2):
        open_segmenter("nano", weights="random", input_size=SMALL)
    assert exports == [models / "nano-random-64x96"]


def test_an_input_size_in_a_list_is_the_same(exports: list[Path]) -> None:
    for asked in (SMALL, list(SMALL), np.array(SMALL)):
        segmenter = open_segmenter("nano", weights="random", input_size=asked)
        assert segmenter.engine.info.input_size == SMALL
    assert len(exports) == 1


@pytest.mark.usefixtures("exports")
def test_both_engines_give_the_same_mask() -> None:
    masks = [
        open_segmenter("nano", engine=engine, weights="random", input_size=SMALL)
        .segment_images(photo, point_coordinates=[[30, 20]], point_labels=[1])[0]
        .masks
        for engine in ("onnx", "torch")
    ]
    assert (masks[0] != masks[1]).mean() < 1e-3


def test_the_torch_engine_needs_no_files(models: Path) -> None:
    segmenter = open_segmenter("nano", engine="torch", weights="random", input_size=SMALL)
    assert isinstance(segmenter.engine, TorchEngine)
    assert segmenter.engine.info.input_size == SMALL
    assert not models.exists()


def test_nano_opens_as_it_ships(exports: list[Path]) -> None:
    segmenter = open_segmenter("nano")
    assert segmenter.engine.info.weights.startswith("trained-here:")
    assert exports == []


def test_a_checkpoint_of_ones_own_is_told_apart_by_content(tmp_path: Path) -> None:
    names = set()
    for content in (b"one", b"two"):
        checkpoint = tmp_path / "finetuned.pt"
        checkpoint.write_bytes(content)
        names.add(bundle_name("tiny", weights=checkpoint))
    assert len(names) == 2


def test_a_checkpoint_of_ones_own_is_not_hashed_on_each_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path / "cache"))
    checkpoint = tmp_path / "finetuned.pt"
    checkpoint.write_bytes(b"one")
    os.utime(checkpoint, (1e9, 1e9))
    name = bundle_name("tiny", weights=checkpoint)
    monkeypatch.setattr(digests, "sha256_of", None)
    assert bundle_name("tiny", weights=checkpoint) == name


QUANTISED_WITHOUT_TORCH = """
import sam2lab
from sam2lab.quantize import qdq

# One image, where 24 would only find better ranges.
images = qdq.calibration_images
qdq.calibration_images = lambda source, count: images(source, 1)
for _ in range(2):
    print(sam2lab.open_segmenter("nano", precision="w8a8").engine.bundle.folder)
"""


def test_a_bundle_that_ships_is_quantised_without_torch(models: Path) -> None:
    done = run_without(TORCH, QUANTISED_WITHOUT_TORCH)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(models / "nano-w8a8")] * 2
    bundle = Bundle.open(models / "nano-w8a8")
    assert bundle.info.precision == "w8a8"
    assert bundle.info.weights == Bundle.open(settings.nano_folder()).info.weights


def test_a_float_bundle_that_was_exported_is_quantised(exports: list[Path], models: Path) -> None:
    asked = {"weights": "random", "input_size": SMALL}
    open_segmenter("nano", **asked)
    open_segmenter("nano", precision="w8a8", **asked)
    assert exports == [models / "nano-random-64x96"]


@pytest.mark.usefixtures("exports")
def test_a_kept_bundle_of_another_kind_is_not_served_in_its_place(models: Path) -> None:
    exporting.export(zoo.load("nano", weights="random", input_size=SMALL), models / "nano-random")
    open_segmenter("nano", weights="random")
    (models / "nano-random").rename(models / "tiny-random")
    with pytest.raises(ValueError, match=r"holds nano float 2\.1 at .*, not tiny float 2\.1"):
        open_segmenter("tiny", weights="random")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "tinny"}, "model is 'tinny': neither a size"),
        ({"model": None}, r"model is None; wanted a size \(nano, .*or a folder"),
        ({"model": "no/such/folder"}, "neither a size .* nor a folder"),
        ({"model": "nano", "engine": "tensorrt"}, "engine is 'tensorrt'"),
        ({"model": "nano", "weights": "no.pt"}, "weights is 'no.pt': no such file"),
        ({"model": "nano", "weights": "random", "input_size": (100, 64)}, "input_size"),
        ({"model": "nano", "input_size": 64}, r"input_size is 64; wanted \(height, width\)"),
        ({"model": "nano", "version": 2.1}, "version is 2.1; wanted"),
        ({"model": "nano", "weights": "random", "precision": "int3"}, "precision is 'int3'"),
    ],
)
def test_what_cannot_be_opened_is_explained(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_segmenter(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threads": 0}, "threads is 0; wanted a whole number"),
        ({"engine": "openvino", "threads": "2"}, "threads is '2'; wanted a whole number"),
        (
            {"engine": "openvino", "encoder_precision": "bf16"},
            "encoder_precision is 'bf16'; wanted 'preferred' or 'f32'",
        ),
        ({"providers": "CPUExecutionProvider"}, "providers is 'CPUExecutionProvider'; wanted a"),
        ({"providers": ["TPU"]}, "providers: 'TPU' is not in this onnxruntime"),
        ({"precision": "int3"}, "precision is 'int3'"),
        (
            {"engine": "openvino", "precision": "w8a8"},
            "precision is 'w8a8', which engine='openvino' does not",
        ),
        ({"engine": "torch", "device": "nonsense"}, "device is 'nonsense'; this machine has"),
    ],
)
def test_what_cannot_be_served_is_refused_before_a_model_is_loaded(
    arguments: dict, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "load", None)
    with pytest.raises(ValueError, match=message):
        open_segmenter("nano", weights="random", **arguments)


def test_a_missing_openvino_is_told_before_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "openvino" else found(name)
    )
    monkeypatch.setattr(zoo, "load", None)
    with pytest.raises(ModuleNotFoundError, match=r"sam2lab\[openvino\].*engine='onnx'"):
        open_segmenter("nano", engine="openvino", weights="random")


def test_a_place_that_cannot_be_written_to_is_told_before_a_model_is_loaded(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.write_text("a file")
    monkeypatch.setattr(zoo, "load", None)
    with pytest.raises(ValueError, match=r"folder is .*, but .*models is a file"):
        open_segmenter("nano", weights="random")


@pytest.mark.parametrize("size", SIZES)
def test_the_usual_input_size_has_the_usual_name(size: str) -> None:
    usual = OmegaConf.load(zoo.config_file(size, "2.1")).model.image_size
    assert bundle_name(size, input_size=(usual, usual)) == bundle_name(size) == size
    assert bundle_name(size, input_size=[usual, 64]) == f"{size}-{usual}x64"


def test_nano_asked_for_at_its_own_size_is_the_one_that_ships(exports: list[Path]) -> None:
    assert open_segmenter("nano", input_size=(512, 512)).engine.info.input_size == (512, 512)
    assert exports == []


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_weights_that_are_no_path_are_refused_by_name(engine: str) -> None:
    with pytest.raises(ValueError, match=r"^weights is None; wanted 'auto', 'random' or the path"):
        open_segmenter("nano", engine=engine, weights=None)


@pytest.mark.parametrize(
    "unheard",
    [
        {"precision": "w8a8"},
        {"weights": "random"},
        {"version": "2.0"},
        {"input_size": SMALL},
        {"device": "cuda"},
        {"engine": "openvino", "providers": ["CPUExecutionProvider"]},
    ],
)
def test_a_folder_is_not_opened_as_if_it_were_another(nano_bundle: Path, unheard: dict) -> None:
    with pytest.raises(ValueError, match=rf"^{[*unheard][-1]} would change nothing: .*folder"):
        open_segmenter(nano_bundle, **unheard)


@pytest.mark.parametrize(
    "unheard", [{"precision": "w8a8"}, {"threads": 1}, {"providers": ["CPUExecutionProvider"]}]
)
def test_torch_is_not_told_what_it_does_not_hear(unheard: dict) -> None:
    with pytest.raises(
        ValueError, match=rf"^{next(iter(unheard))} would change nothing: .*'torch'"
    ):
        open_segmenter("nano", engine="torch", **unheard)


def test_an_engine_is_not_given_files_that_it_does_not_read(nano_bundle: Path) -> None:
    message = "read the onnx files .* wanted 'onnx' or 'openvino', or a size"
    with pytest.raises(ValueError, match=message):
        open_segmenter(nano_bundle, engine="torch")


def test_without_torch_a_missing_bundle_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"sam2lab\[torch\].*bundle"):
        open_segmenter("nano", weights="random")
