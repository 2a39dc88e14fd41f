"""The recipes of CONTRIBUTING.md work as they are written, from the files that they show."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sam2lab
from sam2lab.peers import Job, compare
from sam2lab.peers import table as peers
from sam2lab.runtime import images
from sam2lab.runtime.engines import table as engines
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.formats import table as formats
from sam2lab.widgets.session import VideoSession
from tests.conftest import REPOSITORY
from tests.docs.markdown import code_blocks, section
from tests.runtime.video.fake import FakeVideoEngine, clip

PHOTO = REPOSITORY / "data" / "photos" / "cat.jpg"
CLICK = {"point_coordinates": [[170, 110]], "point_labels": [1]}


@pytest.fixture
def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """Follow a recipe: a block that begins with a file's name becomes that file, others run."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)

    def run(title: str) -> dict[str, object]:
        names: dict[str, object] = {}
        for code in code_blocks(section(REPOSITORY / "CONTRIBUTING.md", title)):
            file = re.match(r"# (\w+)\.py\n", code)
            if file:
                (tmp_path / f"{file[1]}.py").write_text(code)
            exec(f"from {file[1]} import *" if file else code, names)
        return names

    yield run
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) and (
            tmp_path in Path(sys.modules[name].__file__).parents
        ):
            del sys.modules[name]


@pytest.fixture
def restored() -> Iterator[None]:
    """Afterwards the tables hold what they held before."""
    tables = [engines.ENGINES, peers.PEERS, formats.FORMATS, formats.VIDEO_FORMATS]
    before = [dict(table) for table in tables]
    yield
    for table, rows in zip(tables, before, strict=True):
        table.clear()
        table.update(rows)


@pytest.mark.usefixtures("restored")
class TestEngine:
    @pytest.fixture
    def segmenter(self, follow) -> Segmenter:
        follow("Add an engine")
        return sam2lab.open_segmenter("nano", engine="plain", threads=1)

    def test_opens_by_name_and_gives_the_masks_of_the_other_engine(self, segmenter) -> None:
        (toy,) = segmenter.segment_images(PHOTO, **CLICK)
        (ours,) = sam2lab.open_segmenter("nano").segment_images(PHOTO, **CLICK)
        assert np.array_equal(toy.masks, ours.masks)

    def test_refuses_what_its_row_does_not_list(self, follow) -> None:
        follow("Add an engine")
        with pytest.raises(ValueError, match="providers"):
            sam2lab.open_segmenter("nano", engine="plain", providers=["CPUExecutionProvider"])

    def test_answers_clicks_in_the_clicker(self, segmenter) -> None:
        clicker = sam2lab.Clicker(segmenter, PHOTO)
        clicker.session.add_point(170, 110)
        clicker.wait()
        assert clicker.masks[1].any()

    def test_is_offered_by_the_command_line(self, follow, capsys) -> None:
        from sam2lab.cli import main

        follow("Add an engine")
        with pytest.raises(SystemExit):
            main(["accuracy", "--help"])
        assert "plain" in capsys.readouterr().out


@pytest.mark.usefixtures("restored")
class TestPeer:
    """Another toy goes through a whole comparison in tests/peers/test_registry.py."""

    def test_opens_files_and_gives_a_first_mask_in_four_steps(self, follow, tmp_path) -> None:
        follow("Add a peer")
        peer = peers.PEERS["sam2lab, one thread"].kind()
        photo = tmp_path / "photo.npy"
        np.save(photo, images.read(PHOTO))
        folder = str(REPOSITORY / "models" / "nano")
        job = Job(folder=folder, photo=str(photo), click=[170, 110], encodes=1)
        assert peer.open(job).engine.threads == 1
        *steps, mask = peer.first_mask(job)
        assert steps == [None] * 3
        (ours,) = sam2lab.open_segmenter("nano").segment_images(PHOTO, **CLICK)
        assert np.array_equal(mask, ours.best)

    @pytest.mark.slow
    def test_is_measured_beside_ours_and_gives_the_masks_of_the_original(
        self, follow, tmp_path
    ) -> None:
        follow("Add a peer")
        names = ["sam2lab, one thread"]
        result = compare("nano", names, rounds=1, starts=1, folder=tmp_path / "bench")
        summary = result.summary().set_index("contender")
        assert summary.loc[names[0], "state"] == "ran"
        assert summary.loc[names[0], "iou"] > 0.99


@pytest.mark.usefixtures("restored")
class TestTakeAwayFormat:
    def test_is_offered_by_the_clicker_and_makes_its_files(self, follow) -> None:
        follow("Add a take-away format")
        clicker = sam2lab.Clicker(sam2lab.open_segmenter("nano"), PHOTO)
        clicker.session.add_point(170, 110)
        clicker.wait()
        area = clicker.masks[1].sum()
        assert clicker.session.export("areas") == {"cat_areas.csv": f"object 1,{area}\n".encode()}
        panel = clicker.screen.take_away
        panel.format.value = "areas"
        panel.make.click()
        assert "cat_areas.csv" in panel.link.value

    def test_of_videos_makes_its_files(self, follow) -> None:
        follow("Add a take-away format")
        session = VideoSession(Segmenter(FakeVideoEngine()))
        session.open_video(clip(4), name="squares.mp4")
        session.add_point(8, 8)
        list(session.propagate(frames=2))
        assert session.export("presence") == {"squares_presence.csv": b"object 1,0 1 2\n"}


class TestStudy:
    def test_gives_a_row_for_each_run_of_each_size(self, follow) -> None:
        study = follow("Add a study")["photo_sizes"]
        engine = sam2lab.open_segmenter("nano").engine
        table = study(engine, Image.open(PHOTO), widths=(64, 128), runs=2)
        steps = table[table["run"] > 0]
        assert sorted(zip(steps["series"], steps["run"], strict=True)) == [
            *((64, 1), (64, 2)),
            *((128, 1), (128, 2)),
        ]
        assert (table["total_ms"] > 0).all()
