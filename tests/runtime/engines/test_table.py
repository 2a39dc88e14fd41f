"""An engine that is one module and one row works wherever engines are opened by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import sam2lab
from sam2lab import settings
from sam2lab.cli import main
from sam2lab.measure import accuracy, fresh, ground_truth, latency
from sam2lab.runtime.engines.table import ENGINES, EngineRow, open_by_name, register, row_of

TOY = '''
"""An engine whose masks are discs around the first point of each prompt."""

import numpy as np

from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import Decoded, Features
from sam2lab.runtime.engines.table import ONNX, EngineRow, register


class ToyEngine:
    def __init__(self, source, radius=8):
        self.info = Bundle.open(source, verify=False).info
        self.key = f"toy:{radius}"
        self.radius = radius

    def encode(self, pixels):
        h, w = self.info.embed_size
        sizes = [(8, h, w), (1, 4 * h, 4 * w), (2, 2 * h, 2 * w)]
        return Features(*(np.zeros((len(pixels), *size), np.float32) for size in sizes))

    def decode(self, features, prompts):
        height, width = self.info.mask_size
        y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
        points = prompts.point_coords[:, 0] / 4
        discs = [self.radius - np.hypot(x - px, y - py) for px, py in points]
        logits = np.repeat(np.array(discs, np.float32)[:, None], 4, axis=1)
        return Decoded(logits, np.full(logits.shape[:2], 0.5, np.float32))


def check_options(radius=8):
    if radius <= 0:
        raise ValueError(f"radius is {radius}; wanted more than 0")


open_engine = ToyEngine
register(EngineRow("toy", "toy_engine", (ONNX,), "discs, for a test", options=("radius",)))
'''


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineRow]:
    """The toy engine, which registers itself when it is imported, as an installed package would."""
    (tmp_path / "toy_engine.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "toy_engine", raising=False)
    __import__("toy_engine")
    yield row_of("toy")
    del ENGINES["toy"], sys.modules["toy_engine"]


@pytest.fixture
def photo() -> Path:
    return settings.data_folder() / "photos" / "cat.jpg"


@pytest.mark.parametrize("model", ["nano", "a folder"])
def test_it_is_opened_by_name(model: str, photo: Path) -> None:
    where = settings.nano_folder() if model == "a folder" else model
    segmenter = sam2lab.open_segmenter(where, engine="toy")
    (prediction,) = segmenter.segment_images(
        photo, point_coordinates=[[200, 150]], point_labels=[1]
    )
    assert prediction.best[150, 200]
    assert 0 < prediction.best.mean() < 0.2


def test_it_gets_its_own_options() -> None:
    assert sam2lab.open_segmenter("nano", engine="toy", radius=5).engine.key == "toy:5"
    with pytest.raises(ValueError, match="radius is 0; wanted more than 0"):
        sam2lab.open_segmenter("nano", engine="toy", radius=0)


@pytest.mark.parametrize("options", [{"radius": 5}, {"threads": 2, "size": 3}])
def test_an_option_of_another_engine_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match=r"(size|radius) would change nothing"):
        sam2lab.open_segmenter("nano", engine="onnx", **options)


def test_it_answers_clicks_in_the_clicker(photo: Path) -> None:
    clicker = sam2lab.Clicker(sam2lab.open_segmenter("nano", engine="toy"), photo)
    clicker.wait()
    clicker.session.add_point(200, 150)
    clicker.wait()
    (mask,) = clicker.masks.values()
    assert mask[150, 200]


def test_its_accuracy_is_measured_by_name() -> None:
    truth = ground_truth.coco(settings.data_folder() / "tiny_coco")
    result = accuracy.evaluate({"toy": {"model": "nano", "engine": "toy"}}, truth, ("box",))
    assert len(result.table)


def test_its_time_is_measured(photo: Path) -> None:
    engine = open_by_name(model="nano", engine="toy")
    table = latency.time_engines({"toy": engine}, photo, runs=2)
    assert set(table["series"]) == {"toy"}


def test_its_first_mask_is_measured_in_a_fresh_process(photo: Path) -> None:
    opening = {"model": settings.nano_folder(), "engine": "toy", "radius": 5}
    table = fresh.cold_start({"toy": opening}, photo, starts=1)
    assert table["first_mask_ms"].gt(0).all()


def test_the_command_line_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["accuracy", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "'toy': discs, for a test" in said


def test_an_engine_that_is_not_in_the_table_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"engine is 'tensorrt'; wanted 'onnx', .*'toy'"):
        sam2lab.open_segmenter("nano", engine="tensorrt")


def test_a_name_is_given_once(toy: EngineRow) -> None:
    with pytest.raises(ValueError, match="there is an engine 'toy' already"):
        register(toy)


def test_what_an_engine_needs_is_named_before_a_model_is_loaded() -> None:
    register(EngineRow("far", "far_engine", ("onnx",), "needs a library", needs=("farnn",)))
    try:
        with pytest.raises(
            ModuleNotFoundError, match=r"engine='far' needs farnn.*pip install farnn"
        ):
            sam2lab.open_segmenter("nano", engine="far")
    finally:
        del ENGINES["far"]


def test_files_that_nothing_exports_must_be_there() -> None:
    register(EngineRow("other", "toy_engine", ("mnn",), "other files"))
    try:
        with pytest.raises(ValueError, match="reads mnn files, which are not exported here"):
            sam2lab.open_segmenter("nano", engine="other")
    finally:
        del ENGINES["other"]


def test_masks_of_two_engines_differ(photo: Path) -> None:
    """The toy is really asked, not the engine that usually serves these files."""
    asked = {"point_coordinates": [[200, 150]], "point_labels": [1]}
    masks = [
        sam2lab.open_segmenter("nano", engine=name).segment_images(photo, **asked)[0].best
        for name in ("toy", "onnx")
    ]
    assert not np.array_equal(*masks)
