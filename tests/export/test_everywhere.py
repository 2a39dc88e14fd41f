"""One model is written for every target that is here, in every precision, and once only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sam2lab.export import everywhere, export_everywhere, targets_here
from sam2lab.export.device.bundles import images_for
from sam2lab.reference import zoo


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `export` is asked for, which writes nothing; Qualcomm's package is missing."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(
        everywhere, "export", lambda _, folder, **how: calls.append({"folder": folder, **how})
    )
    monkeypatch.setattr(
        everywhere, "missing", lambda modules: [m for m in modules if m == "onnxruntime_qnn"]
    )
    return calls


def test_each_target_that_is_here_is_asked_for_in_each_precision(
    asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert targets_here() == ["onnx", "litert"]
    list(export_everywhere(zoo.load("nano", weights="random"), tmp_path))
    assert [call["folder"].name for call in asked] == [
        *("onnx-float", "onnx-fp16", "onnx-w8a8", "litert-float", "litert-fp16"),
        *("litert-w8a8", "litert-w8a8-full", "litert-w8a16"),
    ]
    # Phones' files are calibrated with these by default.
    given = [call["folder"].name for call in asked if call["calibration"]]
    assert given == ["onnx-w8a8"]
    assert len(asked[2]["calibration"]) == len(images_for(None)[0])


def test_some_can_be_chosen(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    model = zoo.load("nano", weights="random")
    list(export_everywhere(model, tmp_path, only=["litert-w8a8"]))
    assert [(call["target"], call["precision"]) for call in asked] == [("litert", "w8a8")]


def test_images_to_judge_by_are_others_than_those_to_calibrate_with() -> None:
    calibrated, judged = images_for(None, 20)
    assert len(judged) == 20
    pixels = {reader().tobytes() for reader in calibrated}
    assert not pixels & {reader().tobytes() for reader in judged}
