"""`sam2lab clips` prints J by frame and how often an object is rightly called there or gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sam2lab.cli import main
from sam2lab.runtime.segmenter import Segmenter
from tests.cli.test_accuracy import table as cells
from tests.measure.test_tracking import Engine


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record what the command opens, and give it fakes."""
    asked = []

    def open_segmenter(model: str, **options: Any) -> Segmenter:
        asked.append((model, options))
        return Segmenter(Engine("random:0" if model == "random" else "trained-here:0"))

    monkeypatch.setattr("sam2lab.opening.open_segmenter", open_segmenter)
    return asked


def test_each_way_has_a_row_of_three_frames_and_each_prompt_three_shares(
    opened: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["clips", "nano", "--clips", "2", "--frames", "6", "--keep-in", str(tmp_path)]
    assert main(command) == 0
    assert opened == [("nano", {"engine": "onnx"})]
    first = capsys.readouterr().out
    above, below = (cells(part) for part in first.split("\n\n"))
    assert above[0] == ["J (95 % interval)", "way", "clips", "frame 1", "frame 3", "frame 5"]
    assert [row[:3] for row in above[2:]] == [
        [prompt, way, "2"]
        for prompt in ("mask", "click")
        for way in ("memory", "box again", "held still")
    ]
    assert [row[:4] for row in below[2:6:3]] == [
        [prompt, "all", "2", "10"] for prompt in ("mask", "click")
    ]
    # What is kept is not followed again.
    assert main(command) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nano", "--clips", "0"], "--clips is 0 and --frames 24; wanted at least 1 and 3"),
        (["nano", "--frames", "2"], "--clips is 24 and --frames 2; wanted at least 1 and 3"),
        (["random", "--clips", "1", "--frames", "3"], "has random weights (random:0)"),
        (["nano", "--coco", "nowhere"], "there is no file"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clips", *argv]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert line.startswith("sam2lab clips: ")
    assert message in line
