"""A file about a video brings work and masks back, and a wrong one is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session import SessionFileError, VideoSession
from tests.runtime.video.fake import FakeVideoEngine, centre, clip
from tests.widgets.session.videos import CLIP, FRAMES, Fragile, masks, opened, two_objects


def worked() -> VideoSession:
    """A session with a correction, on frame 4."""
    session = two_objects()
    list(session.propagate())
    session.go_to(4)
    session.add_point(*centre(4, 2))
    session.rename(2, "green \N{CAT FACE}")
    session.mode = "negative"
    return session


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "work.json"


def test_masks_show_as_they_were_without_asking_the_engine(file: Path) -> None:
    session = worked()
    session.save(file)
    fragile = Fragile()
    fragile.breaks_in = "encode"
    loaded = opened(fragile)
    loaded.load(file)
    assert (loaded.state, loaded.frame, loaded.mode) == (session.state, 4, "negative")
    assert masks(loaded) == masks(session)
    assert loaded.timeline().corrected[4]
    loaded.rename(1, "cat")
    loaded.hide(2)
    assert masks(loaded) == masks(session)


def test_work_goes_on_after_loading(file: Path) -> None:
    session = two_objects()
    list(session.propagate(frames=3))
    session.save(file)
    loaded = opened()
    loaded.load(file)
    for each in (session, loaded):
        list(each.propagate())
    assert masks(loaded) == masks(session)


def test_a_correction_refines_a_mask_that_only_the_file_has(file: Path) -> None:
    session = worked()
    session.save(file)
    loaded = opened()
    loaded.load(file)
    before = masks(loaded)
    loaded.go_to(2)
    loaded.add_point(*centre(2, 2), positive=False)
    assert loaded.answer().prompted
    assert loaded.answer().area > 0
    assert loaded.timeline().corrected[2]
    assert {key for key, mask in masks(loaded).items() if mask != before[key]} == {(2, 2)}
    loaded.clear()
    assert masks(loaded) == before


def test_without_masks_the_file_is_small_and_prompts_are_answered_anew(file: Path) -> None:
    session = two_objects()
    list(session.propagate())
    session.save(file)
    size = file.stat().st_size
    session.save(file, with_masks=False)
    assert file.stat().st_size < size / 2
    loaded = opened()
    loaded.load(file)
    assert set(masks(loaded)) == {(1, 0), (2, 0)}
    list(loaded.propagate())
    assert masks(loaded) == masks(session)


def test_masks_in_the_file_are_coco_run_lengths(file: Path) -> None:
    session = worked()
    session.save(file)
    rows = json.loads(file.read_text())["masks"]["plain"]
    assert len(rows) == 2 * FRAMES
    for row in rows:
        runs = coco.frPyObjects({"size": [48, 64], "counts": row["counts"]}, 48, 64)
        answer = session.answer(row["object"], row["frame"])
        assert np.array_equal(coco.decode(runs).astype(bool), answer.mask)


def test_a_folder_with_video_and_file_may_move(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "frames").mkdir(parents=True)
    for number, picture in enumerate(CLIP):
        Image.fromarray(picture).save(home / "frames" / f"{number:05d}.png")
    session = VideoSession(Segmenter(FakeVideoEngine()), home / "frames")
    session.add_point(*centre(0, 0))
    session.save(home / "work.json")
    moved = home.rename(tmp_path / "moved")
    loaded = VideoSession(Segmenter(FakeVideoEngine()))
    loaded.load(moved / "work.json")
    assert loaded.video is not None
    assert (loaded.video.name, loaded.video.count) == ("frames", FRAMES)
    assert masks(loaded) == masks(session)


@pytest.mark.parametrize("other", [CLIP[:-1], clip(FRAMES, size=(48, 80)), [CLIP[1], *CLIP[1:]]])
def test_another_video_is_refused_and_nothing_changes(file: Path, other: list[np.ndarray]) -> None:
    worked().save(file)
    session = VideoSession(Segmenter(FakeVideoEngine()), other)
    session.add_point(*centre(0, 0))
    before = session.state
    with pytest.raises(SessionFileError, match="7 frames of 64x48"):
        session.load(file)
    assert session.state is before


def test_a_video_that_was_no_file_is_opened_first(file: Path) -> None:
    worked().save(file)
    with pytest.raises(SessionFileError, match=r"open_video\(\.\.\.\) first"):
        VideoSession(Segmenter(FakeVideoEngine())).load(file)


def test_a_missing_engine_is_reported(file: Path) -> None:
    session = worked()
    session.use_engine("bold")
    session.save(file)
    loaded = VideoSession({"plain": Segmenter(FakeVideoEngine())}, CLIP)
    with pytest.warns(UserWarning, match="answered by 'bold'"):
        loaded.load(file)
    session.use_engine("plain")
    assert masks(loaded) == masks(session)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(version=2),
        lambda c: c.update(format="sam2lab click session"),
        lambda c: c.pop("video"),
        lambda c: c.update(mode="maybe"),
        lambda c: c.update(frame=FRAMES),
        lambda c: c.update(active=9),
        lambda c: c["video"].update(size=[48]),
        lambda c: c["video"].update(frames="7"),
        lambda c: c["objects"][0].update(colour="red"),
        lambda c: c["objects"][0].update(prompts=[]),
        lambda c: c["objects"][0]["prompts"][0].update(frame=-1),
        lambda c: c["objects"][0]["prompts"][0].update(prompts=[]),
        lambda c: c["objects"][0]["prompts"][0]["prompts"][0].update(x=65),
        lambda c: c["masks"]["plain"][0].update(object=7),
        lambda c: c["masks"]["plain"][0].update(frame=7),
        lambda c: c["masks"]["plain"][0].update(counts=[5]),
        lambda c: c["masks"]["plain"][0].update(counts=[-1, 3073]),
        lambda c: c["masks"]["plain"][0].update(counts=[]),
        lambda c: c["masks"]["plain"][1].update(prompted=True),
        lambda c: c["masks"]["plain"][0].update(iou="high"),
        lambda c: c.update(masks=[]),
    ],
)
def test_a_file_that_was_not_written_by_a_session_is_refused(
    file: Path, change: Callable[[dict], Any]
) -> None:
    worked().save(file)
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    session = two_objects()
    before = session.state
    with pytest.raises(SessionFileError, match=r"work\.json.* cannot be loaded"):
        session.load(file)
    assert session.state is before
