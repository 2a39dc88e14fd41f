from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sam2lab import open_segmenter
from sam2lab.cli import main
from sam2lab.quantize.model_parts import expected_parts, load_graphs, parts
from sam2lab.reference import zoo
from sam2lab.runtime.bundle import Bundle
from sam2lab.train.schedule import Phase, Schedule

photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with a nano in it, as the command writes it after two steps."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAM2LAB_MODELS", str(folder))
        # Where the command takes it from, which may have it already.
        patch.setattr("sam2lab.train.TOY", Schedule(1, (Phase(64, 2, 2, 1),)))
        run, out = str(folder / "run"), str(folder / "nano")
        assert main(["train", "--toy", "--run", run, "--out", out, "--workers", "0"]) == 0
    return folder


@pytest.fixture
def trained(models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAM2LAB_MODELS", str(models))
    return models / "nano"


def test_the_shipped_data_set_is_small_enough_for_a_repository(trained: Path) -> None:
    assert sum(file.stat().st_size for file in trained.iterdir()) <= 30e6


def test_a_folder_that_holds_a_model_is_refused_before_a_step_and_left_alone(
    models: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file.name: file.read_bytes() for file in trained.iterdir()}
    run = tmp_path / "run"
    assert main(["train", "--toy", "--run", str(run), "--out", str(trained)]) == 2
    assert "already has bundle.json and decoder.onnx" in capsys.readouterr().err
    assert not run.exists()
    assert {file.name: file.read_bytes() for file in trained.iterdir()} == before


def test_weights_are_kept_in_half_precision(trained: Path) -> None:
    assert {v.dtype for v in load_file(trained / "weights.safetensors").values()} == {
        np.dtype(np.float16)
    }


def test_the_bundle_stores_them_in_half_precision_too_and_quantisation_finds_them(
    trained: Path,
) -> None:
    bundle = Bundle.open(trained)
    for name, graph in load_graphs(bundle).items():
        # Some are products of weights, which have more digits.
        assert bundle.graphs[name].bytes < 0.7 * graph.ByteSize()
    assert set(parts(bundle)) == set(expected_parts(blocks=8, layers=2, memory_layers=2))


def test_the_config_is_the_one_that_was_trained(trained: Path) -> None:
    source = Path(zoo.__file__).with_name("nano.yaml")
    assert (trained / "nano.yaml").read_bytes() == source.read_bytes()


def test_the_bundle_and_the_weights_say_the_same_origin(trained: Path) -> None:
    origin = zoo.load("nano").info.weights
    assert origin.startswith("trained-here:")
    assert Bundle.open(trained).info.weights == origin


def test_the_trained_nano_is_what_opens(trained: Path, recwarn: pytest.WarningsRecorder) -> None:
    masks = [
        open_segmenter("nano", engine=engine)
        .segment_images(photo, point_coordinates=[[40, 30]], point_labels=[1])[0]
        .logits
        for engine in ("onnx", "torch")
    ]
    # Kept in half precision, exported from what was kept: no rounding in between.
    np.testing.assert_allclose(masks[0], masks[1], atol=2e-4 * np.abs(masks[1]).max())
    assert not recwarn.list
