"""`sam2lab targets` prints what files for each target cost, as a table in Markdown."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from sam2lab.cli import main
from tests.cli.test_accuracy import table as cells
from tests.plots.test_targets import TABLE


def test_each_target_and_precision_has_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def compare(_: Any, bundles: Any, photos: Any, runs: int) -> pd.DataFrame:
        asked.append((bundles, len(photos), runs))
        return TABLE

    monkeypatch.setattr(
        "sam2lab.export.everywhere.export_everywhere", lambda _, folder, only: iter(only)
    )
    monkeypatch.setattr("sam2lab.export.everywhere.targets_here", lambda: ["onnx", "litert"])
    monkeypatch.setattr("sam2lab.measure.by_target.compare_targets", compare)
    command = ["targets", "nano", "--weights", "random", "--input-size", "64x80"]
    chosen = ["onnx-float", "litert-w8a8"]
    command += ["--only", chosen[0], "--only", chosen[1]]
    assert main([*command, "--photos", "2", "--runs", "3"]) == 0
    assert asked == [(chosen, 2, 3)]
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


@pytest.mark.parametrize("argv", [["--photos", "0"], ["--photos", "21"], ["--runs", "1"]])
def test_what_cannot_be_measured_is_said_in_one_line(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["targets", "nano", *argv]) == 2
    assert "wanted 1 to 20, and at least 2" in capsys.readouterr().err
