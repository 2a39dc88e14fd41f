"""`sam2lab track` writes the masks of every frame, and keeps what was done before an interrupt."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lab.cli import main
from sam2lab.runtime.masks import bounding_box
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.predictor import VideoPredictor
from tests.runtime.video.fake import FakeVideoEngine, centre, clip

COUNT = 12


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeVideoEngine:
    """What the command opens, whatever is asked for; `opened` on it says what that was."""
    fake = FakeVideoEngine()

    def open_segmenter(model: str, **options: Any) -> Segmenter:
        fake.opened = (model, options)
        return Segmenter(fake)

    monkeypatch.setattr("sam2lab.opening.open_segmenter", open_segmenter)
    return fake


@pytest.fixture
def video(tmp_path: Path) -> str:
    """A folder of pictures: three squares, of which the first is away for two frames."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number, frame in enumerate(clip(COUNT, squares=3, hidden=range(6, 8))):
        Image.fromarray(frame).save(folder / f"{number:05}.png")
    return str(folder)


def at(frame: int, square: int) -> str:
    x, y = centre(frame, square)
    return f"{frame}:{x:g},{y:g}"


def read(out: Path) -> tuple[dict[int, np.ndarray], list[dict[str, str]]]:
    """The label maps by frame, and the lines of the table."""
    labels = {int(file.stem): np.asarray(Image.open(file)) for file in sorted(out.glob("*.png"))}
    with (out / "objects.csv").open(newline="") as file:
        return labels, list(csv.DictReader(file))


def test_masks_of_several_objects_are_those_of_the_predictor(
    engine: FakeVideoEngine, video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Object 1 by a box and a point beside it, object 7 by a click in the middle of the video."""
    x, y = centre(0, 0)
    box = f"0:{x - 6},{y - 6},{x + 6},{y + 6}"
    out = tmp_path / "out"
    typed = ["--box", box, "--negative", at(0, 2), "--object", "7", "--point", at(4, 1)]
    assert main(["track", video, *typed, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert "12/12" in said.err

    predictor = VideoPredictor(engine)
    state = predictor.init_state(video)
    predictor.add_new_points_or_box(
        state, 0, 1, [centre(0, 2)], [0], box=[x - 6, y - 6, x + 6, y + 6]
    )
    predictor.add_new_points_or_box(state, 4, 7, [centre(4, 1)], [1])
    labels, lines = read(out)
    assert list(labels) == list(range(COUNT))
    table = {(int(line["frame"]), int(line["object"])): line for line in lines}
    for frame, ids, logits in predictor.propagate_in_video(state, progress=False):
        assert ids == [1, 7]
        for number, mask in zip(ids, logits[:, 0] > 0, strict=True):
            assert np.array_equal(labels[frame] == number, mask)
            line, result = table[frame, number], state.result(number, frame)
            assert int(line["area_px"]) == mask.sum()
            assert float(line["object_score"]) == pytest.approx(result.object_score, 1e-5)
            assert float(line["iou_score"]) == pytest.approx(result.iou, 1e-5)
            assert line["prompted"] == str(int((frame, number) in {(0, 1), (4, 7)}))
            edges = [line[edge] for edge in ("x0", "y0", "x1", "y1")]
            assert edges == ([str(edge) for edge in bounding_box(mask)] if mask.any() else [""] * 4)
    assert int(table[6, 1]["area_px"]) == 0


def test_frames_before_the_first_prompt_are_followed_backwards(
    engine: FakeVideoEngine, video: str, tmp_path: Path
) -> None:
    assert main(["track", video, "--point", at(9, 1), "--out", str(tmp_path / "out")]) == 0
    labels, lines = read(tmp_path / "out")
    assert list(labels) == [int(line["frame"]) for line in lines] == list(range(COUNT))
    for frame in range(COUNT):
        x, y = map(round, centre(frame, 1))
        assert labels[frame][y, x] == 1


def test_what_was_done_before_an_interrupt_is_kept(
    engine: FakeVideoEngine, video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.fail_in, engine.calls_left = "condition", 5
    assert main(["track", video, "--point", at(0, 1), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
    labels, lines = read(tmp_path / "out")
    assert list(labels) == [int(line["frame"]) for line in lines] == list(range(6))


def test_the_model_is_the_one_that_was_asked_for(
    engine: FakeVideoEngine, video: str, tmp_path: Path
) -> None:
    typed = "--model tiny --engine openvino --precision fp16 --input-size 64x96 --version 2.0"
    out = ["--out", str(tmp_path / "out")]
    assert main(["track", video, "--point", at(0, 1), *typed.split(), *out]) == 0
    model, options = engine.opened
    assert model == "tiny"
    assert options == {
        "engine": "openvino",
        "precision": "fp16",
        "version": "2.0",
        "input_size": (64, 96),
    }


@pytest.mark.filterwarnings("default:the memory of nano")
def test_an_untrained_memory_is_told(
    video: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    untrained = Segmenter(FakeVideoEngine(is_trained=False))
    monkeypatch.setattr("sam2lab.opening.open_segmenter", lambda *_, **__: untrained)
    assert main(["track", video, "--point", at(0, 1), "--out", str(tmp_path / "out")]) == 0
    assert "warning: the memory of nano has random weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "nothing to follow"),
        ("--point 120,80", "'120,80' is not FRAME:X,Y, such as 0:120,80"),
        ("--box 0:1,2,3", "'0:1,2,3' is not FRAME:X0,Y0,X1,Y1"),
        ("--object 0 --point 0:1,1", "'0' is not a whole number from 1 to 255"),
        ("--point 12:1,1", "frame 12 was prompted; clip has 12 frames, 0 to 11"),
        ("--point 0:65,1", "0:65,1 lies outside the frames of clip, which are 64 pixels wide"),
        ("--box 0:1,1,9,9 --box 0:2,2,9,9", "object 1 has 2 boxes on frame 0"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    engine: FakeVideoEngine,
    video: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    said: str,
) -> None:
    out = tmp_path / "out"
    try:
        code: Any = main(["track", video, *typed.split(), "--out", str(out)])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not out.exists()


def test_a_folder_that_holds_something_is_left_alone(
    engine: FakeVideoEngine, video: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["track", video, "--point", at(0, 1), "--out", video]) == 2
    assert "not empty" in capsys.readouterr().err
