"""Models become files for Qualcomm's NPUs, compared with the model before they appear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2lab.export import export
from sam2lab.export.device import bundles
from sam2lab.measure.agreement import agreement
from sam2lab.qnn import QnnEmulator
from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.requirements import missing
from sam2lab.scenes import synthetic

S24 = "Snapdragon 8 Gen 3"

needs_qnn = pytest.mark.skipif(
    missing(["onnxruntime_qnn"]) != [],
    reason="pip install 'sam2lab[qnn]', whose wheels are for Linux with glibc 2.35 and Windows",
)


@pytest.fixture
def nano() -> zoo.ZooModel:
    return zoo.load("nano", input_size=(64, 64))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One photo to calibrate with, and one to check with."""
    monkeypatch.setattr(bundles, "CALIBRATED", 1)
    monkeypatch.setattr(bundles, "CHECKED", 1)


@needs_qnn
@pytest.mark.usefixtures("few")
def test_a_dlc_is_a_bundle_that_says_what_it_is(nano: zoo.ZooModel, tmp_path: Path) -> None:
    export(nano, tmp_path / "dlc", target="qnn", precision="w8a8")

    bundle = Bundle.open(tmp_path / "dlc")
    names = {path.name for path in bundle.folder.iterdir()}
    assert names == {"bundle.json", "encoder.dlc", "decoder.dlc"}
    assert (bundle.kind, bundle.info.precision) == ("dlc", "w8a8")
    assert bundle.agreement is not None
    assert bundle.agreement["float"]["least_iou"] > 0.999
    # 8 bits on pictures of 64 pixels; goals are measured on larger ones.
    assert bundle.agreement["w8a8"]["mean_iou"] > 0.8
    assert bundle.recipe is not None
    assert bundle.recipe["decoder"] == "float"
    for compiled in bundle.recipe["compiled"].values():
        assert compiled["on_qnn"] > 200
        assert compiled["on_cpu"] == {}


@needs_qnn
@pytest.mark.slow  # the emulator takes a minute
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("precision", "least"), [("float", 0.99), ("w8a8", 0.9), ("w8a16", 0.9)])
def test_the_emulator_gives_the_masks_of_the_model(
    tmp_path: Path, precision: str, least: float
) -> None:
    nano = zoo.load("nano", input_size=(128, 128))
    export(nano, tmp_path / "chip", target="qnn", precision=precision, chip=S24)
    photo = synthetic.draw(np.random.default_rng(3), (120, 160)).image
    with QnnEmulator(tmp_path / "chip") as emulator:
        found = agreement(TorchEngine(nano), emulator, [photo])
    # Half precision on maps of 32 x 32, where a pixel is a large share of a mask. One photo is too
    # few to calibrate with, for 16 bits as for 8: its ranges cut off what others have.
    assert found.mean_iou > least
