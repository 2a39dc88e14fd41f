"""`sam2lab accuracy` prints a table that is right, and says what is wrong in one line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sam2lab.cli import main
from sam2lab.cli.accuracy import with_interval
from sam2lab.measure.accuracy import evaluate
from sam2lab.measure.accuracy_summaries import headline_accuracy
from sam2lab.measure.ground_truth import drawn
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.scenes.mixture import Mixture
from sam2lab.scenes.split import held_out
from tests.runtime.fakes import FakeEngine

KEPT = next(number for number in range(100) if held_out(number))
READ = next(number for number in range(100) if not held_out(number))


def engine(weights: str = "trained-here:0") -> FakeEngine:
    fake = FakeEngine((64, 64))
    fake.info = replace(fake.info, weights=weights)
    return fake


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record what the command opens, and give it fakes."""
    asked = []

    def open_segmenter(model: str, **options: Any) -> Segmenter:
        asked.append((model, options))
        return Segmenter(engine("random:0" if model == "random" else "trained-here:0"))

    monkeypatch.setattr("sam2lab.opening.open_segmenter", open_segmenter)
    return asked


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Two photos, one of which training would read, each with a crowd, a small and a large one."""
    large, small = [[5, 5, 60, 5, 60, 60, 5, 60]], [[2, 2, 30, 2, 30, 30, 2, 30]]
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for number in (KEPT, READ):
        name = f"{number}.png"
        Image.new("RGB", (64, 64), (number, 90, 0)).save(tmp_path / name)
        content["images"].append({"id": number, "file_name": name, "height": 64, "width": 64})
        for i, (polygon, crowd) in enumerate([(large, 0), (small, 0), (large, 1)]):
            content["annotations"].append(
                {
                    "id": 1 + 10 * number + i,
                    "image_id": number,
                    "segmentation": polygon,
                    "iscrowd": crowd,
                }
            )
    (tmp_path / "instances.json").write_text(json.dumps(content))
    return tmp_path


def table(text: str) -> list[list[str]]:
    """The cells of a Markdown table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_scenes_get_a_row_with_the_figures_and_their_intervals(
    opened: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accuracy", "nano", "--scenes", "9"]) == 0
    header, rule, row = table(capsys.readouterr().out)
    scenes = drawn(Mixture(held_out=True), 9, (64, 64))
    measured = evaluate({"nano": engine()}, scenes, ("clicks", "box"), clicks=3)
    expected = headline_accuracy(measured.table)
    assert header[1:] == ["objects", "pictures", *expected["question"]]
    assert set("".join(rule)) == {"-", ":"}
    assert row[0] == "synthetic scenes and cut-outs"
    assert row[1:3] == [str(expected["objects"].max()), str(expected["photos"].max())]
    assert row[3:] == [
        with_interval(mean.value, mean.low, mean.high) for mean in expected.itertuples()
    ]
    assert opened == [("nano", {"engine": "onnx"})]


@pytest.mark.parametrize(("flags", "pictures"), [([], "2"), (["--held-out"], "1")])
def test_photos_count_their_larger_objects_and_tell_of_crowds(
    opened: list[Any],
    coco: Path,
    flags: list[str],
    pictures: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["accuracy", "nano", "--coco", str(coco), "--scenes", "0", *flags]) == 0
    out = capsys.readouterr().out
    (*_, row) = table(out)
    named = f"{coco.name}, objects > 32² px"
    assert row[:3] == [named, pictures, pictures]
    assert f"skipped of {named}: {pictures} crowd" in out


def test_all_sources_make_one_table(
    opened: list[Any], coco: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = coco.parent / "more"
    shutil.copytree(coco, more)
    given = ["--coco", str(coco), "--coco", str(more / "instances.json"), "--pictures", "1"]
    assert main(["accuracy", "nano", *given, "--scenes", "2"]) == 0
    rows = table(capsys.readouterr().out)[2:]
    photos = [f"{folder.name}, objects > 32² px" for folder in (coco, more)]
    assert [row[0] for row in rows] == ["synthetic scenes and cut-outs", *photos]
    assert [row[2] for row in rows[1:]] == ["1", "1"]


def test_what_is_kept_is_not_measured_again(
    opened: list[Any],
    coco: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["accuracy", "nano", "--coco", str(coco), "--scenes", "3"]
    command += ["--keep-in", str(tmp_path / "kept")]
    assert main(command) == 0
    first = capsys.readouterr().out
    monkeypatch.setattr(FakeEngine, "encode", interrupt)
    assert main(command) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nano", "--scenes", "0"], "nothing to measure on: give --coco PATH, or --scenes above 0"),
        (["nano", "--held-out"], "--held-out, --images and --pictures are about --coco PATH"),
        (["random", "--scenes", "1"], "has random weights (random:0): its masks mean nothing"),
        (["nano", "--coco", "nowhere"], "there is no file"),
        (["nano", "--cutouts", "nowhere"], "there is no folder"),
        (["nano", "--keep-in", __file__], "is a file; choose another place"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    opened: list[Any], argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accuracy", *argv]) == 2
    # Opening a size may mean to export it, for minutes.
    assert bool(opened) == (argv[0] == "random")
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()[-1:]
    assert line.startswith("sam2lab accuracy: ")
    assert message in line


def test_an_interrupt_leaves_with_its_own_code(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeEngine, "encode", interrupt)
    assert main(["accuracy", "nano", "--scenes", "2"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_few_pictures_give_a_mean_without_an_interval(
    opened: list[Any], coco: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accuracy", "nano", "--coco", str(coco), "--scenes", "0"]) == 0
    (*_, row) = table(capsys.readouterr().out)
    assert all(0 <= float(cell) <= 1 for cell in row[3:-1])
