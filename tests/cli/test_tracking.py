"""`sam2lab tracking` prints the figures of a folder, and says what is wrong in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sam2lab.cli import main
from sam2lab.measure.davis import DavisFolder
from sam2lab.measure.tracking import tracking_study
from sam2lab.measure.tracking_metrics import summarise_tracking
from sam2lab.runtime.segmenter import Segmenter
from tests.cli.test_accuracy import table as cells
from tests.measure.test_davis import lists, write
from tests.measure.test_tracking import Engine, squares


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record what the command opens, and give it fakes."""
    asked = []

    def open_segmenter(model: str, **options: Any) -> Segmenter:
        asked.append((model, options))
        weights = "random:0" if model == "random" else "trained-here:0"
        return Segmenter(Engine(weights, is_trained=model != "new"))

    monkeypatch.setattr("sam2lab.opening.open_segmenter", open_segmenter)
    return asked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cat", "dog"):
        write(tmp_path / "davis", name, [squares().labels(t) for t in range(4)])
    return tmp_path / "davis"


def test_each_prompt_and_way_has_a_row_with_the_three_figures(
    folder: Path, opened: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["tracking", str(folder), "--prompt", "box", "--prompt", "mask", "--engine", "torch"]
    assert main([*given, "--table", str(folder / "all.csv")]) == 0
    assert opened == [("nano", {"engine": "torch"})]
    printed = capsys.readouterr().out
    assert printed.startswith("nano, memory trained\n")
    head, _, *rows = cells(printed)
    assert head == ["prompt", "way", "videos", "objects", "J&F", "J", "F"]
    assert [row[:4] for row in rows] == [
        [prompt, way, "2", "4"]
        for prompt in ("box", "mask")
        for way in ("memory", "box again", "held still")
    ]
    expected = tracking_study({"nano": Engine()}, DavisFolder(folder), ("box", "mask"))
    figures = summarise_tracking(expected)[["j_and_f", "j", "f"]].to_numpy()
    assert [[float(cell) for cell in row[4:]] for row in rows] == figures.round(3).tolist()
    kept = pd.read_csv(folder / "all.csv")
    assert list(kept.columns) == list(expected.columns)
    assert len(kept) == len(expected)


def test_a_split_without_baselines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists(folder, train="dog", val="cat")
    assert main(["tracking", str(folder), "--split", "train", "--no-baselines"]) == 0
    _, _, *rows = cells(capsys.readouterr().out)
    assert [row[:4] for row in rows] == [["mask", "memory", "1", "2"]]


def test_without_a_folder_the_clip_that_ships_is_followed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.rename(folder.with_name("clips"))
    monkeypatch.setattr("sam2lab.settings.data_folder", lambda: folder.parent)
    assert main(["tracking", "--no-baselines"]) == 0
    _, _, *rows = cells(capsys.readouterr().out)
    assert [row[:4] for row in rows] == [["mask", "memory", "2", "4"]]


# The command line prints warnings, which are errors elsewhere.
@pytest.mark.filterwarnings("default:the memory of engines")
def test_a_memory_that_was_never_trained_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tracking", str(folder), "--model", "new", "--no-baselines"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("new, memory untrained\n")
    assert "was never trained" in told.err


def test_what_is_finished_is_kept(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    given = ["tracking", str(folder), "--no-baselines", "--keep-in", str(tmp_path / "kept")]
    assert main(given) == 0
    first = capsys.readouterr().out
    monkeypatch.setattr(Engine, "encode", lambda *_: pytest.fail("everything is finished"))
    assert main(given) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--model", "random"], "has random weights"),
        (["--split", "test"], "split is 'test'"),
        (["--resolution", "8K"], "resolution is '8K'"),
        (["--keep-in", "davis/ImageSets/2017/val.txt"], "--keep-in is"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    folder: Path,
    given: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lists(folder, val="cat")
    monkeypatch.chdir(folder.parent)
    assert main(["tracking", str(folder), *given]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
    assert not told.out
