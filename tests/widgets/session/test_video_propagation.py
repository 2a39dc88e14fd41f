"""A propagation can be ended at any time, keeps what was done, and is one step to undo."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from sam2lab.runtime.engines.protocol import Features
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.protocol import Memories
from sam2lab.widgets.session import EngineFailed, VideoSession
from tests.runtime.video.fake import FakeVideoEngine
from tests.widgets.session.videos import CLIP, FRAMES, RED, Fragile, masks, two_objects


@pytest.fixture(scope="module")
def whole() -> dict[tuple[int, int], bytes]:
    """The masks of an undisturbed propagation."""
    session = two_objects()
    list(session.propagate())
    return masks(session)


@pytest.mark.parametrize("end", ["close", "cancel", "click", "switch"])
@pytest.mark.parametrize("last", range(FRAMES))
def test_it_ends_after_any_frame_and_goes_on_from_there(
    last: int, end: str, whole: dict[tuple[int, int], bytes]
) -> None:
    session = two_objects()
    start = masks(session)
    steps = session.propagate()
    for frame in steps:
        assert session.is_propagating
        if frame == last:
            break
    if end == "close":
        steps.close()
    elif end == "cancel":
        session.cancel()
    elif end == "click":
        session.add_point(30, 40, positive=False)
        session.undo()
    else:
        session.use_engine("bold")
        session.use_engine("plain")
    assert list(steps) == []
    assert not session.is_propagating
    done = masks(session)
    assert done == {key: mask for key, mask in whole.items() if key[1] <= last}
    session.undo()
    assert masks(session) == start
    session.redo()
    assert masks(session) == done
    assert list(session.propagate(start=last)) == list(range(last, FRAMES))
    assert masks(session) == whole


def test_it_goes_back_from_the_last_prompt_and_only_as_far_as_wanted() -> None:
    session = two_objects()
    session.go_to(5)
    session.add_point(*RED)
    assert list(session.propagate(reverse=True, frames=2)) == [5, 4, 3]
    assert list(session.propagate(frames=0)) == [0]
    assert list(session.propagate(start=2, frames=2)) == [2, 3, 4]


@pytest.mark.parametrize("arguments", [{"start": FRAMES}, {"start": -1}, {"frames": -1}])
def test_impossible_frames_are_refused_at_once(arguments: dict[str, int]) -> None:
    session = two_objects()
    with pytest.raises(ValueError, match=next(iter(arguments))):
        session.propagate(**arguments)


def test_there_is_nothing_to_follow_before_the_first_prompt() -> None:
    session = two_objects()
    session.undo()
    session.undo()
    session.undo()
    with pytest.raises(ValueError, match="nothing to follow"):
        session.propagate()


def test_listeners_hear_of_each_frame_when_its_masks_are_there() -> None:
    session = two_objects()
    reached: list[int] = []

    def listen(changes: frozenset[str]) -> None:
        assert changes == {"masks"}
        reached.append(max(frame for _, frame in masks(session)))

    session.subscribe(listen)
    assert list(session.propagate()) == reached


@pytest.mark.parametrize(
    "act",
    [
        lambda s: s.rename(1, "cat"),
        lambda s: s.hide(2),
        lambda s: s.go_to(3),
        lambda s: s.select(1),
        lambda s: (s.rename(1, "cat"), s.undo()),
        lambda s: s.commit(),
    ],
)
def test_what_changes_no_mask_goes_on_beside_it(
    act: Callable[[VideoSession], object], whole: dict[tuple[int, int], bytes]
) -> None:
    session = two_objects()
    start = masks(session)
    for frame in session.propagate():
        if frame == 2:
            act(session)
    assert masks(session) == whole
    while session.can_undo and masks(session) == whole:
        session.undo()
    assert masks(session) == start


@pytest.mark.parametrize(
    "act",
    [lambda s: s.undo(), lambda s: s.delete(1), lambda s: s.clear(), lambda s: s.open_video(CLIP)],
)
def test_what_changes_masks_ends_it(act: Callable[[VideoSession], object]) -> None:
    session = two_objects()
    steps = session.propagate()
    assert [next(steps), next(steps)] == [0, 1]
    act(session)
    after = masks(session)
    assert list(steps) == []
    assert masks(session) == after


def test_a_second_one_ends_the_first() -> None:
    session = two_objects()
    first, second = session.propagate(), session.propagate(start=2)
    assert next(first) == 0
    assert next(second) == 2
    assert list(first) == []
    assert list(second) == [3, 4, 5, 6]


@pytest.mark.parametrize("good", range(3))
def test_an_engine_that_fails_on_the_way_keeps_what_was_done(
    good: int, whole: dict[tuple[int, int], bytes]
) -> None:
    fragile = Fragile()
    session = two_objects(fragile)
    start = masks(session)
    steps = session.propagate()
    fragile.breaks_in, fragile.good = "condition", good
    with pytest.raises(EngineFailed, match="the line is dead"):
        list(steps)
    assert masks(session) == {key: mask for key, mask in whole.items() if key[1] <= good}
    assert not session.is_propagating
    fragile.breaks_in = ""
    list(session.propagate())
    assert masks(session) == whole
    session.undo()
    session.undo()
    assert masks(session) == start


def test_an_engine_that_fails_on_the_first_frame_leaves_no_step() -> None:
    fragile = Fragile()
    session = two_objects(fragile)
    before = session.state
    session.go_to(1)
    fragile.breaks_in = "condition"
    with pytest.raises(EngineFailed):
        list(session.propagate(start=1))
    assert session.state == before
    session.undo()
    assert session.prompts == ()
    assert [item.name for item in session.objects] == ["red", "object 2"]


class Gated(FakeVideoEngine):
    """Looks at memories once its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_end = threading.Event(), threading.Event()

    def condition(self, features: Features, memories: Memories) -> Features:
        self.begun.set()
        assert self.may_end.wait(30)
        return super().condition(features, memories)


def test_another_thread_reads_acts_and_cancels_while_a_frame_is_worked_on() -> None:
    gated = Gated()
    session = VideoSession(Segmenter(gated), CLIP)
    session.add_point(*RED)
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.extend(session.propagate()))
    thread.start()
    assert gated.begun.wait(30)
    session.rename(1, "cat")
    session.go_to(4)
    assert session.answer(1, 0).area > 0
    assert session.timeline().prompted[0]
    session.add_point(30, 22)
    session.cancel()
    gated.may_end.set()
    thread.join(30)
    assert done == [0]
    assert set(masks(session)) == {(1, 0), (1, 4)}
