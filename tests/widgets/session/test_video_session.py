"""Every action of a session on a video, with an engine whose answers are known in advance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session import Box, EngineFailed, Point, VideoSession
from sam2lab.widgets.session.timeline import ABSENT, NOT_TRACKED, PRESENT
from tests.runtime.fakes import FakeEngine
from tests.runtime.video.fake import FakeVideoEngine, centre
from tests.widgets.session.videos import (
    CLIP,
    FRAMES,
    GREEN,
    RED,
    Fragile,
    masks,
    opened,
    two_objects,
)


def followed() -> VideoSession:
    session = two_objects()
    assert list(session.propagate()) == list(range(FRAMES))
    return session


def test_a_click_is_answered_at_once_and_only_on_its_frame() -> None:
    session = opened()
    assert session.answer() is None
    session.add_point(*RED)
    answer = session.answer()
    assert answer is not None
    assert answer.prompted
    assert answer.object_score > 0
    assert answer.mask[8, 8]
    assert not answer.mask[22, 8]
    assert session.answer(frame=1) is None


def test_prompts_belong_to_an_object_and_a_frame() -> None:
    session = two_objects()
    session.go_to(2)
    assert session.prompts == ()
    session.add_box(10, 30, 20, 12)
    session.mode = "negative"
    session.add_point(3, 4)
    assert session.prompts == (Box(10, 12, 20, 30), Point(3, 4, False))
    assert session.prompts_at(1, 0) == (Point(*RED),)
    assert session.prompts_at(2, 0) == (Point(*GREEN),)
    assert session.prompts_at(1, 2) == ()
    assert session.prompt_at(3.5, 4, radius=2) == 1
    session.remove_prompt(1)
    assert session.prompts == (Box(10, 12, 20, 30),)
    session.clear()
    assert session.prompts == ()
    session.go_to(0)
    assert session.prompts == (Point(*GREEN),)


def test_the_video_says_what_it_is_and_each_frame_is_shown() -> None:
    session = opened()
    assert session.video is not None
    assert (session.video.count, session.video.size, session.video.fps) == (FRAMES, (48, 64), None)
    session.go_to(5)
    assert session.frame == 5
    assert np.array_equal(session.photo, CLIP[5])
    session.open_video(CLIP[2:4], name="short")
    assert (session.video.name, session.video.count, session.frame) == ("short", 2, 0)
    assert session.objects[0].name == "object 1"
    assert not session.can_undo


@pytest.mark.parametrize("index", [-1, FRAMES, 1.5, True])
def test_a_frame_that_does_not_exist_is_refused(index: int) -> None:
    session = opened()
    with pytest.raises(ValueError, match="index is"):
        session.go_to(index)
    assert session.frame == 0


def test_following_gives_the_masks_that_the_predictor_gives() -> None:
    session = followed()
    predictor = session._engines._predictors["plain"]
    state = predictor.init_state(CLIP)
    predictor.add_new_points_or_box(state, 0, 1, [RED], [1])
    predictor.add_new_points_or_box(state, 0, 2, [GREEN], [1])
    for frame, object_ids, logits in predictor.propagate_in_video(state, progress=False):
        for object_id, each in zip(object_ids, logits[:, 0], strict=True):
            answer = session.answer(object_id, frame)
            assert answer is not None
            assert np.array_equal(answer.mask, each > 0)


def test_a_timeline_shows_presence_prompts_and_corrections() -> None:
    session = followed()
    session.go_to(5)
    session.select(1)
    session.add_point(40, 40, positive=False)
    line = session.timeline()
    expected = np.full(FRAMES, PRESENT)
    expected[3] = ABSENT
    assert line.presence.tolist() == expected.tolist()
    assert np.flatnonzero(line.prompted).tolist() == [0, 5]
    assert np.flatnonzero(line.corrected).tolist() == [5]
    assert line.object_scores[3] < 0
    assert session.answer(1, 3).area == 0
    assert session.timeline(2).presence.tolist() == [PRESENT] * FRAMES
    session.commit()
    assert session.timeline().presence.tolist() == [NOT_TRACKED] * FRAMES


def test_a_correction_changes_its_frame_at_once_and_later_ones_by_following() -> None:
    session = followed()
    before = masks(session)
    session.select(1)
    session.go_to(4)
    # From here on the object is the green square.
    session.add_point(*centre(4, 1))
    assert session.answer().mask[22, 16]
    changed = {key for key, mask in masks(session).items() if mask != before[key]}
    assert changed == {(1, 4)}
    assert list(session.propagate(start=4)) == [4, 5, 6]
    after = masks(session)
    assert all(after[key] == before[key] for key in before if key[1] < 4)
    assert session.answer(1, 4).mask[22, 16]
    assert session.timeline(1).prompted[4]


def test_taking_a_correction_back_brings_back_what_was_followed() -> None:
    session = followed()
    before = masks(session)
    session.go_to(4)
    for remove in (session.clear, lambda: session.remove_prompt(0), session.undo):
        session.add_point(40, 40, positive=False)
        assert masks(session) != before
        remove()
        assert masks(session) == before
        assert not session.timeline().corrected.any()


@pytest.mark.parametrize("follow", [False, True])
def test_a_removed_prompt_leaves_no_trace_in_the_mask(follow: bool) -> None:
    session, other = followed(), followed()
    for each in (session, other):
        each.go_to(4)
    session.add_point(*centre(4, 0))
    if follow:
        list(session.propagate(start=4, frames=0))
    session.add_point(2, 40, positive=False)
    session.remove_prompt(0)
    other.add_point(2, 40, positive=False)
    assert masks(session)[2, 4] == masks(other)[2, 4]


def test_negative_clicks_alone_wait_for_a_positive_one_but_correct_what_was_followed() -> None:
    session = opened()
    session.add_point(30, 40, positive=False)
    assert session.answer() is None
    with pytest.raises(ValueError, match="nothing to follow"):
        session.propagate()
    session.add_point(*RED)
    assert session.answer() is not None
    list(session.propagate())
    session.go_to(2)
    session.add_point(30, 40, positive=False)
    assert session.answer().prompted
    session.go_to(0)
    session.remove_prompt(1)
    assert session.answer() is None


def test_negative_clicks_alone_correct_once_a_propagation_has_passed_them() -> None:
    session, corrected_later = opened(), opened()
    for each in (session, corrected_later):
        each.add_point(*RED)
    session.go_to(2)
    session.add_point(*RED, positive=False)
    assert session.answer() is None
    list(session.propagate())
    list(corrected_later.propagate())
    corrected_later.go_to(2)
    corrected_later.add_point(*RED, positive=False)
    assert session.timeline().corrected.tolist() == [frame == 2 for frame in range(FRAMES)]
    assert masks(session) == masks(corrected_later)
    for each in (session, corrected_later):
        list(each.propagate(start=2))
    assert masks(session) == masks(corrected_later)
    session.undo()
    session.undo()
    assert session.answer() is None


def test_a_preview_is_what_a_click_would_give_and_changes_nothing() -> None:
    session = two_objects()
    list(session.propagate())
    session.go_to(2)
    before = masks(session)
    preview = session.preview(*RED)
    assert preview is not None
    assert masks(session) == before
    session.undo()
    assert session.preview(*RED, positive=False) is None
    session.redo()
    session.add_point(*RED)
    answer = session.answer()
    assert answer is not None
    assert np.array_equal(preview.unpack(), answer.mask)


def test_an_object_that_is_deleted_is_not_followed_and_comes_back_whole() -> None:
    session = followed()
    before = masks(session)
    session.delete(1)
    assert set(masks(session)) == {(2, frame) for frame in range(FRAMES)}
    list(session.propagate())
    session.undo()
    session.undo()
    assert masks(session) == before


def test_objects_are_renamed_recoloured_and_hidden_without_touching_masks() -> None:
    session = followed()
    before = masks(session)
    session.rename(1, "cat")
    session.recolour(1, "#ABCDEF")
    session.hide(1)
    item = session.objects[0]
    assert (item.name, item.colour, item.hidden) == ("cat", "#abcdef", True)
    session.show(1)
    assert masks(session) == before


def test_each_engine_has_masks_of_its_own_for_the_same_prompts() -> None:
    session = followed()
    plain = masks(session)
    session.use_engine("bold")
    assert set(masks(session)) == {(1, 0), (2, 0)}
    assert session.answer(1, 0).area > 0
    assert masks(session)[1, 0] != plain[1, 0]
    list(session.propagate())
    bold = masks(session)
    assert bold.keys() == plain.keys()
    session.go_to(6)
    session.add_point(*centre(6, 1))
    session.use_engine("plain")
    assert session.answer().prompted
    session.undo()
    assert masks(session) == plain
    session.use_engine("bold")
    assert masks(session) == bold
    session.undo()
    assert set(masks(session)) == {(1, 0), (2, 0)}


def test_disagreement_compares_two_engines_on_the_current_frame() -> None:
    session = followed()
    plain = session.answer(2, 0).mask
    seen = session.disagreement("bold")
    session.use_engine("bold")
    bold = session.answer(2, 0).mask
    assert np.array_equal(seen.only_b, bold & ~plain)
    assert np.array_equal(seen.only_a, plain & ~bold)
    assert seen.iou == (plain & bold).sum() / (plain | bold).sum()
    session.use_engine("plain")
    session.go_to(3)
    assert session.disagreement("bold") is None


def test_listeners_get_what_changed() -> None:
    session = opened()
    heard: list[set[str]] = []
    session.subscribe(lambda changes: heard.append(set(changes)))
    session.add_point(*RED)
    session.go_to(1)
    list(session.propagate(frames=0))
    session.hide(1)
    session.commit()
    session.use_engine("bold")
    session.mode = "negative"
    assert heard == [
        {"objects", "prompts", "masks"},
        {"frame"},
        {"masks"},
        {"objects"},
        {"objects", "active"},
        {"engine", "masks"},
        {"mode"},
    ]


@pytest.mark.parametrize(
    "act",
    [
        lambda s: s.add_point(20, 20),
        lambda s: s.add_box(5, 5, 20, 20),
        lambda s: s.remove_prompt(1),
        lambda s: s.go_to(2) or s.add_point(20, 20),
    ],
)
def test_an_engine_that_fails_changes_nothing(act: Callable[[VideoSession], object]) -> None:
    fragile = Fragile()
    session = two_objects(fragile)
    session.add_point(30, 40, positive=False)
    before, known = session.state, masks(session)
    heard: list[frozenset[str]] = []
    session.subscribe(heard.append)
    fragile.breaks_in = "decode_objects"
    with pytest.raises(EngineFailed, match=r"'plain' failed \(RuntimeError: the line is dead\)"):
        act(session)
    assert session.state is before
    assert masks(session) == known
    assert set(heard) <= {frozenset({"frame"})}


def test_an_engine_that_fails_does_not_take_over() -> None:
    fragile = Fragile()
    session = opened(fragile)
    session.use_engine("bold")
    session.add_point(*RED)
    known = masks(session)
    fragile.breaks_in = "encode"
    with pytest.raises(EngineFailed):
        session.use_engine("plain")
    with pytest.raises(EngineFailed):
        session.disagreement("plain")
    assert session.engine == "bold"
    assert masks(session) == known


def test_undo_and_redo_ask_the_engine_nothing() -> None:
    fragile = Fragile()
    session = two_objects(fragile)
    list(session.propagate())
    known = masks(session)
    fragile.breaks_in = "decode_objects"
    for _ in range(4):
        session.undo()
    assert not session.can_undo
    assert masks(session) == {}
    for _ in range(4):
        session.redo()
    assert masks(session) == known


def test_without_a_video_the_error_names_the_way_out() -> None:
    session = VideoSession(Segmenter(FakeVideoEngine()))
    assert session.video is None
    assert not session.can_undo
    session.undo()
    for act in (
        lambda: session.state,
        lambda: session.photo,
        lambda: session.add_point(1, 2),
        session.propagate,
        session.timeline,
        lambda: session.go_to(0),
        lambda: session.export("areas"),
    ):
        with pytest.raises(ValueError, match="open one with open_video"):
            act()


def test_an_engine_without_a_memory_is_refused_when_the_session_is_made() -> None:
    with pytest.raises(ValueError, match="cannot follow objects"):
        VideoSession(Segmenter(FakeEngine()), CLIP)


def test_a_video_that_cannot_be_opened_leaves_the_open_one() -> None:
    session = two_objects()
    with pytest.raises(ValueError, match="no file or folder"):
        session.open_video("nowhere.mp4")
    assert len(masks(session)) == 2
