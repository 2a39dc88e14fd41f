"""A file about a video brings work and masks back, and a wrong one is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session import SessionFileError, VideoSession
from sam2lab.widgets.session.session_file import JSON_NAME
from tests.runtime.video.fake import FakeVideoEngine, centre, clip
from tests.widgets.session.videos import (
    CLIP,
    FRAMES,
    GREEN,
    RED,
    Fragile,
    masks,
    opened,
    results,
    two_objects,
)


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
    return tmp_path / "work.zip"


def rewrite(file: Path, change: Callable[[dict[str, bytes]], Any]) -> None:
    """Change the parts of a file, by their names."""
    with ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


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


def go_on(session: VideoSession) -> None:
    """Follow on from the middle, correct, and follow back."""
    list(session.propagate(start=5))
    session.go_to(2)
    session.add_point(*centre(2, 1), positive=True)
    session.add_point(*centre(2, 2), positive=False)
    list(session.propagate(start=4, reverse=True))


def test_nano_goes_on_from_the_middle_as_if_there_had_been_no_break(file: Path) -> None:
    """To the last bit: memories, pointers and logits of tracked frames are in the file."""
    model = zoo.load("nano", weights="random", input_size=(64, 64))
    with torch.no_grad():
        # These weights find nothing anywhere; so much more, and they find most things.
        model.module.sam_mask_decoder.pred_obj_score_head.layers[-1].bias += 0.8
    segmenter = Segmenter(TorchEngine(model))
    session, loaded, forgetful = (VideoSession(segmenter, CLIP) for _ in range(3))
    session.add_point(*RED)
    session.commit("red")
    session.add_point(*GREEN)
    list(session.propagate(frames=4))
    session.save(file, with_masks=False)
    forgetful.load(file)
    session.save(file)
    loaded.load(file)
    for each in (session, loaded, forgetful):
        list(each.propagate(start=5, frames=0))
    assert results(loaded) == results(session)
    assert results(forgetful)[1, 5] != results(session)[1, 5]
    for each in (session, loaded):
        go_on(each)
    assert results(loaded) == results(session)


def test_a_correction_is_taken_back_after_loading(file: Path) -> None:
    session = worked()
    session.save(file)
    loaded = opened()
    loaded.load(file)
    for each in (session, loaded):
        go_on(each)
        for frame in (2, 4):
            each.go_to(frame)
            each.clear()
    assert results(loaded) == results(session)
    assert not loaded.timeline().corrected.any()


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


def test_a_folder_with_video_and_file_may_move(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "frames").mkdir(parents=True)
    for number, picture in enumerate(CLIP):
        Image.fromarray(picture).save(home / "frames" / f"{number:05d}.png")
    session = VideoSession(Segmenter(FakeVideoEngine()), home / "frames")
    session.add_point(*centre(0, 0))
    session.save(home / "work.zip")
    moved = home.rename(tmp_path / "moved")
    loaded = VideoSession(Segmenter(FakeVideoEngine()))
    loaded.load(moved / "work.zip")
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
    assert results(loaded) == results(session)


def test_an_engine_with_other_weights_is_told_the_prompts_anew(file: Path) -> None:
    worked().save(file)
    engine = FakeVideoEngine()
    engine.info = replace(engine.info, weights="random:1")
    loaded = VideoSession({"plain": Segmenter(engine)}, CLIP)
    with pytest.warns(UserWarning, match="masks of 'plain', which .* other weights"):
        loaded.load(file)
    assert set(masks(loaded)) == {(1, 0), (2, 0), (2, 4)}


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(version=2),
        lambda c: c.update(format="sam2lab click session"),
        lambda c: c.pop("video"),
        lambda c: c.update(mode="maybe"),
        lambda c: c.update(frame=FRAMES),
        lambda c: c.update(present=99),
        lambda c: c["states"][-1].update(active=9),
        lambda c: c["states"][-1].update(objects=[-1]),
        lambda c: c["states"][-1].update(engines={"plain": -1}),
        lambda c: c["video"].update(size=[48]),
        lambda c: c["video"].update(frames="7"),
        lambda c: c["objects"][1].update(colour="red"),
        lambda c: c["objects"][2].update(prompts=[]),
        lambda c: c["objects"][1]["prompts"][0].update(frame=-1),
        lambda c: c["objects"][1]["prompts"][0].update(prompts=[]),
        lambda c: c["objects"][1]["prompts"][0]["prompts"][0].update(x=65),
        lambda c: c["made"][-1]["told"][0]["prompts"][0].update(x=65),
        lambda c: c["made"][-1]["objects"][0].update(id="1"),
        lambda c: c["made"][-1]["objects"][0]["followed"][0].update(frame=7),
        lambda c: c["made"][-1]["objects"][0]["followed"][0].update(result=999),
        lambda c: c["results"][0].update(iou="high"),
        lambda c: c["results"][0].update(logits=999),
        lambda c: c["made"][-1]["objects"][0]["tracked"][0].update(reverse=1),
        lambda c: c["made"][-1]["objects"][0]["prompts"][0].update(labels=[]),
        lambda c: c["made"][-1]["corrected"][0].pop("object"),
        lambda c: c["states"][-1].update(engines=[]),
    ],
)
def test_a_file_that_was_not_written_by_a_session_is_refused(
    file: Path, change: Callable[[dict], Any]
) -> None:
    def rewritten(parts: dict[str, bytes]) -> None:
        content = json.loads(parts[JSON_NAME])
        change(content)
        parts[JSON_NAME] = json.dumps(content).encode()

    worked().save(file)
    rewrite(file, rewritten)
    is_refused(file)


@pytest.mark.parametrize(
    "array", [np.zeros((1, 1, 8, 8), np.float32), np.zeros((1, 1, 16, 16)), np.array([{}, {}])]
)
def test_arrays_of_another_kind_are_refused(file: Path, array: np.ndarray) -> None:
    np.save(file.with_name("array.npy"), array, allow_pickle=True)
    other = file.with_name("array.npy").read_bytes()
    worked().save(file)
    rewrite(file, lambda parts: parts.update({"0.npy": other}))
    is_refused(file)


def test_a_damaged_file_is_refused(file: Path) -> None:
    """One bit of what engines remember is wrong, which would not be noticed otherwise."""
    session = worked()
    session.save(file)
    content = bytearray(file.read_bytes())
    state = session.state.followed_by("plain").state
    content[content.index(state.result(2, 5).memory.tobytes())] ^= 1
    file.write_bytes(content)
    is_refused(file)
    file.write_bytes(content[: len(content) // 2])
    is_refused(file)


def is_refused(file: Path) -> None:
    session = two_objects()
    before = session.state
    with pytest.raises(SessionFileError, match=r"work\.zip.* cannot be loaded"):
        session.load(file)
    assert session.state is before
