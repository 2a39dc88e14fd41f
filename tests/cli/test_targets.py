"""`sam2lab targets` prints what files for each target cost, as a table in Markdown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from sam2lab.cli import main
from tests.cli.test_accuracy import table as cells
from tests.plots.test_targets import TABLE

COMPILED = pd.DataFrame(
    {
        "precision": ["float"],
        "on_qnn": [295],
        "on_cpu": [0],
        "megabytes": [7.1],
        "seconds": [4.2],
        "peak_mb": [430],
        "masks": [12],
        "mean_iou": [0.99912],
        "least_iou": [0.9962],
    }
)


def stubs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Nothing is exported and compared; what would be is listed."""
    asked: list[Any] = []

    def write(_: Any, folder: Any, only: list[str], chip: Any) -> list[Any]:
        asked.append(chip and chip.part)
        return [SimpleNamespace(name=name, target=name.partition("-")[0]) for name in only]

    def compare(_: Any, bundles: Any, photos: Any, runs: int) -> pd.DataFrame:
        asked.append(([bundle.name for bundle in bundles], len(photos), runs))
        return TABLE

    def compile_(_: Any, bundles: Any, photos: Any) -> pd.DataFrame:
        asked.append(([bundle.name for bundle in bundles], len(photos)))
        return COMPILED.head(len(bundles))

    monkeypatch.setattr("sam2lab.export.everywhere.export_everywhere", write)
    monkeypatch.setattr("sam2lab.measure.by_target.compare_targets", compare)
    monkeypatch.setattr("sam2lab.qnn.emulated.compiled", compile_)
    return asked


def test_each_target_and_precision_has_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = stubs(monkeypatch)
    monkeypatch.setattr("sam2lab.export.everywhere.targets_here", lambda: ["onnx", "litert"])
    command = ["targets", "nano", "--weights", "random", "--input-size", "64x80"]
    chosen = ["onnx-float", "litert-w8a8"]
    command += ["--only", chosen[0], "--only", chosen[1]]
    assert main([*command, "--photos", "2", "--runs", "3"]) == 0
    assert asked == [None, (chosen, 2, 3), ([], 0)]
    heading, table, absent = capsys.readouterr().out.split("\n\n")
    assert heading.startswith("nano at 64 x 80; ")
    rows = cells(table)[2:]
    assert rows[0][:3] == ["onnx", "float", "9.4"]
    assert rows[0][6] == "84 ms"
    assert rows[1] == [
        *("litert", "w8a8", "6.4", "120 on 20 photos", "0.98400", "0.93000"),
        *("0.80 [0.78, 0.83]", "170 (39 to 1,500, 14 chips)"),
    ]
    assert rows[2][6:] == ["not here", "–"]
    assert absent == "not here: qnn; pip install 'sam2lab[qnn]' brings it\n"


def test_encoders_for_npus_have_a_table_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = stubs(monkeypatch)
    command = ["targets", "nano", "--weights", "random", "--input-size", "64x80"]
    command += ["--only", "qnn-float", "--chip", "sm8650", "--emulate", "2"]
    assert main([*command, "--photos", "3", "--runs", "3"]) == 0
    assert asked == ["SM8650", (["qnn-float"], 3, 3), (["qnn-float"], 2)]
    _, title, table, *_ = capsys.readouterr().out.split("\n\n")[1:]
    assert title == "The encoder, compiled for Snapdragon 8 Gen 3:"
    assert cells(table)[2] == ["float", "295, 0", "7.1", "4", "0.43", "0.9991 (0.9962) of 12 masks"]


@pytest.mark.parametrize("emulate", [["--emulate", "1"], ["--emulate", "21", "--chip", "sm8650"]])
def test_an_emulator_is_of_one_chip(emulate: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "nano", *emulate]) == 2
    assert "wanted at most --photos, 20, and --chip" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--photos", "0"], ["--photos", "21"], ["--runs", "1"]])
def test_what_cannot_be_measured_is_said_in_one_line(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["targets", "nano", *argv]) == 2
    assert "wanted 1 to 20, and at least 2" in capsys.readouterr().err
