"""A stream gives what a predictor gives on the same frames, for any number of frames."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import sam2lab
from sam2lab.runtime.video.kept_frames import FrameError
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.stream import StreamState, VideoStream
from tests.runtime.video.fake import FakeVideoEngine, centre, clip

# As many as the pointers that upstream looks at; only in shorter videos does the length matter.
FRAMES = clip(20, squares=3, hidden=range(9, 12))


def box(frame_idx: int, square: int) -> tuple[float, float, float, float]:
    x, y = centre(frame_idx, square)
    return x - 6, y - 6, x + 6, y + 6


@pytest.fixture
def engine() -> FakeVideoEngine:
    return FakeVideoEngine()


@pytest.fixture
def stream(engine: FakeVideoEngine) -> VideoStream:
    return VideoStream(engine)


def test_masks_are_those_of_a_predictor_bit_for_bit(
    engine: FakeVideoEngine, stream: VideoStream
) -> None:
    """Two objects, one that comes later, and two clicks that correct one."""
    expected: dict[int, np.ndarray] = {}
    predictor = VideoPredictor(engine)
    video = predictor.init_state(FRAMES)

    def propagate(first: int, last: int) -> None:
        steps = predictor.propagate_in_video(video, first, last - first, progress=False)
        expected.update((frame_idx, masks[:, 0] > 0) for frame_idx, _, masks in steps)

    predictor.add_new_points_or_box(video, 0, 0, box=box(0, 0))
    predictor.add_new_points_or_box(video, 0, 1, box=box(0, 1))
    propagate(0, 5)
    predictor.add_new_points_or_box(video, 5, 2, [centre(5, 2)], [1])
    propagate(5, 14)
    point, beside = centre(14, 1), centre(14, 2)
    predictor.add_new_points_or_box(video, 14, 1, [point], [1])
    predictor.add_new_points_or_box(video, 14, 1, [beside], [0], clear_old_points=False)
    propagate(14, 19)

    found: dict[int, np.ndarray] = {}
    masks, ids, state = stream.prompt(FRAMES[0], [box(0, 0), box(0, 1)])
    for frame_idx in range(20):
        if frame_idx:
            masks, ids, state = stream.track(FRAMES[frame_idx], state)
        if frame_idx == 5:
            masks, ids, state = stream.prompt(
                FRAMES[5], state_dict=state, points=[centre(5, 2)], labels=[1]
            )
        if frame_idx == 14:
            for xy, label, anew in ((point, 1, True), (beside, 0, False)):
                masks, ids, state = stream.prompt(
                    FRAMES[14], None, state, anew, points=[xy], labels=[label], object_ids=1
                )
        found[frame_idx] = masks
        assert state.frame_idx == frame_idx
        for obj_id in ids.tolist():
            ours, theirs = (each.result(obj_id, frame_idx) for each in (state.video, video))
            assert np.array_equal(ours.logits, theirs.logits)
            assert np.array_equal(ours.pointer, theirs.pointer)

    assert ids.tolist() == video.obj_ids == [0, 1, 2]
    for frame_idx in range(20):
        # An object that is new on a frame has no mask before.
        assert np.array_equal(found[frame_idx], expected[frame_idx][: len(found[frame_idx])])
    assert not found[10][0].any()
    assert found[12][0].any()


def test_a_prompt_on_a_new_image_follows_the_others_to_it(stream: VideoStream) -> None:
    stream.prompt(FRAMES[0], box(0, 0))
    masks, ids, state = stream.prompt(FRAMES[1], box(1, 1), clear_old_points=False)
    assert (ids.tolist(), state.frame_idx) == ([0, 1], 1)
    tracked, _, _ = stream.track(FRAMES[2])
    for found, frame_idx in ((masks, 1), (tracked, 2)):
        for square in range(2):
            x, y = map(round, centre(frame_idx, square))
            assert found[square, y, x]
            assert not found[1 - square, y, x]


def test_each_image_is_encoded_once(engine: FakeVideoEngine, stream: VideoStream) -> None:
    stream.prompt(FRAMES[0], [box(0, 0), box(0, 1)])
    stream.track(FRAMES[1])
    stream.prompt(FRAMES[1], box(1, 2), clear_old_points=False)
    stream.track(FRAMES[2])
    assert len(engine.encoded) == 3


def test_a_state_can_be_gone_on_from_twice_and_by_another_stream(
    engine: FakeVideoEngine, stream: VideoStream
) -> None:
    _, _, start = stream.prompt(FRAMES[0], box(0, 0))
    one, _, after = stream.track(FRAMES[1], start)
    stream.prompt(FRAMES[1], box(1, 1), state_dict=after)
    stream.track(FRAMES[7])
    again, ids, _ = VideoStream(engine).track(FRAMES[1], start)
    assert ids.tolist() == [0]
    assert np.array_equal(one, again)
    assert start.frame_idx == 0


def test_one_stream_object_serves_two_cameras(engine: FakeVideoEngine, stream: VideoStream) -> None:
    other = [frame[:, ::-1].copy() for frame in FRAMES]
    alone = VideoStream(engine)
    _, _, left = stream.prompt(FRAMES[0], box(0, 0))
    x0, y0, x1, y1 = box(0, 1)
    _, _, right = stream.prompt(other[0], (64 - x1, y0, 64 - x0, y1))
    alone.prompt(FRAMES[0], box(0, 0))
    for frame_idx in range(1, 6):
        masks, _, left = stream.track(FRAMES[frame_idx], left)
        _, _, right = stream.track(other[frame_idx], right)
        assert np.array_equal(masks, alone.track(FRAMES[frame_idx])[0])


def test_a_failed_call_changes_nothing(engine: FakeVideoEngine, stream: VideoStream) -> None:
    stream.prompt(FRAMES[0], box(0, 0))
    with pytest.raises(ValueError, match="labels"):
        stream.prompt(FRAMES[1], clear_old_points=False, points=[[3, 3]], labels=[1, 1])
    engine.fail_in, engine.calls_left = "remember", 1
    with pytest.raises(KeyboardInterrupt):
        stream.track(FRAMES[1])
    engine.fail_in = ""
    _, ids, state = stream.track(FRAMES[1])
    assert (ids.tolist(), state.frame_idx) == ([0], 1)


def test_without_a_state_a_prompt_begins_anew(stream: VideoStream) -> None:
    stream.prompt(FRAMES[0], box(0, 0))
    stream.track(FRAMES[1])
    _, ids, state = stream.prompt(FRAMES[2], [box(2, 1), box(2, 2)])
    assert (ids.tolist(), state.frame_idx) == ([0, 1], 0)


def test_a_mask_is_a_prompt_and_objects_may_have_names(stream: VideoStream) -> None:
    mask = np.zeros(FRAMES[0].shape[:2], bool)
    x, y = map(round, centre(0, 1))
    mask[y - 6 : y + 6, x - 6 : x + 6] = True
    masks, ids, _ = stream.prompt(FRAMES[0], mask=mask, object_ids="green")
    assert ids.tolist() == ["green"]
    masks, _, _ = stream.track(FRAMES[1])
    x, y = map(round, centre(1, 1))
    assert masks[0, y, x]


def test_memory_is_flat(engine: FakeVideoEngine, stream: VideoStream) -> None:
    """The arrays of frame 200 are as large as those of frame 40."""
    frames = clip(48, squares=2)
    _, _, state = stream.prompt(frames[0], [box(0, 0), box(0, 1)])

    def track(until: int) -> tuple[int, int]:
        nonlocal state
        for frame_idx in range(state.frame_idx + 1, until + 1):
            _, _, state = stream.track(frames[frame_idx % 48], state)
            engine.looked_at.clear()
        gc.collect()
        held = state.video.nbytes + state.video.features.info().bytes
        return held, tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    early, early_traced = track(40)
    late, late_traced = track(200)
    tracemalloc.stop()
    assert late == early
    # A hundred bytes a frame are what the fake notes of each call, and Pillow loses. A frame's
    # features alone have 6,000.
    assert late_traced - early_traced < 160 * 300
    (each, _) = state.video.objects.values()
    assert len(each.followed) + len(each.tracked) < 40


def test_the_others_are_followed_as_if_a_removed_object_had_not_been_there(
    engine: FakeVideoEngine, stream: VideoStream
) -> None:
    """Bit for bit; the fake answers each object by itself, as upstream does."""
    before, _, state = stream.prompt(FRAMES[0], [box(0, 0), box(0, 1), box(0, 2)])
    alone = VideoStream(engine)
    _, _, expected = alone.prompt(FRAMES[0], [box(0, 0), box(0, 2)], object_ids=[0, 2])
    for frame_idx in range(1, 20):
        before, _, state = stream.track(FRAMES[frame_idx], state)
        _, _, expected = alone.track(FRAMES[frame_idx], expected)
        if frame_idx == 7:
            masks, ids, after = stream.remove_object(1, state)
            assert (ids.tolist(), after.frame_idx) == ([0, 2], 7)
            assert np.array_equal(masks, before[[0, 2]])
            # The state before is as it was.
            assert state.video.obj_ids == [0, 1, 2]
            state = after
        for obj_id in (0, 2):
            ours, theirs = (each.video.result(obj_id, frame_idx) for each in (state, expected))
            assert np.array_equal(ours.logits, theirs.logits)
            assert np.array_equal(ours.pointer, theirs.pointer)
            assert np.array_equal(ours.memory, theirs.memory)


def test_memory_is_flat_while_objects_come_and_go(stream: VideoStream) -> None:
    held = []
    _, _, state = stream.prompt(FRAMES[0], box(0, 0))
    for frame_idx in range(1, 120):
        image = FRAMES[frame_idx % 9]
        _, ids, state = stream.prompt(image, box(frame_idx % 9, 1), state)
        _, _, state = stream.remove_object(ids[-1].item(), state)
        held.append(state.video.nbytes)
    assert held[40] == held[-1]
    # Numbers are not used again, so that nobody takes an object for one that left.
    assert ids.tolist() == [0, 119]


def test_a_stream_goes_on_when_all_objects_have_left(stream: VideoStream) -> None:
    stream.prompt(FRAMES[0], box(0, 0))
    masks, ids, _ = stream.remove_object(0)
    assert (masks.shape, len(ids)) == ((0, 48, 64), 0)
    masks, _, _ = stream.track(FRAMES[1])
    assert masks.shape == (0, 48, 64)
    masks, ids, state = stream.prompt(FRAMES[2], box(2, 1), clear_old_points=False)
    assert (ids.tolist(), state.frame_idx) == ([1], 2)
    x, y = map(round, centre(2, 1))
    assert masks[0, y, x]


def test_removing_an_unknown_object_is_refused_only_where_asked(stream: VideoStream) -> None:
    with pytest.raises(RuntimeError, match="call prompt"):
        stream.remove_object(0)
    before, _, _ = stream.prompt(FRAMES[0], box(0, 0))
    assert np.array_equal(stream.remove_object(7)[0], before)
    with pytest.raises(ValueError, match="obj_id is 7"):
        stream.remove_object(7, strict=True)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s.track(FRAMES[0], {"a": "dict"}), "state_dict is dict"),
        (lambda s: s.remove_object(0, {"a": "dict"}), "state_dict is dict"),
        (lambda s: s.prompt(FRAMES[0], [1, 2, 3]), "bboxes has shape"),
        (lambda s: s.prompt(FRAMES[0], [box(0, 0)] * 2, object_ids=[1, 1]), "object_ids"),
        (lambda s: s.prompt(FRAMES[0], [box(0, 0)] * 2, object_ids=[1]), "object_ids"),
        (lambda s: s.prompt(FRAMES[0], [box(0, 0)] * 2, points=[[1, 1]], labels=[1]), "points"),
        (lambda s: s.prompt(FRAMES[0], box(0, 0), mask=np.ones((48, 64))), "mask is given"),
        (lambda s: s.prompt(FRAMES[0]), "point"),
    ],
)
def test_what_cannot_be_asked_is_refused(stream: VideoStream, call: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call(stream)


def test_images_of_another_size_are_refused(stream: VideoStream) -> None:
    stream.prompt(FRAMES[0], box(0, 0))
    with pytest.raises(FrameError, match="image is 32x24 pixels, those before 64x48"):
        stream.track(np.zeros((24, 32, 3), np.uint8))


def test_tracking_needs_a_prompt(stream: VideoStream) -> None:
    with pytest.raises(RuntimeError, match="call prompt"):
        stream.track(FRAMES[0])


def test_a_model_without_a_memory_is_refused(engine: FakeVideoEngine) -> None:
    engine.video = None
    with pytest.raises(ValueError, match="memory"):
        sam2lab.VideoStream(engine)


def test_options_are_those_of_the_predictor(engine: FakeVideoEngine) -> None:
    assert sam2lab.VideoStream(engine, non_overlap_masks=True).predictor.non_overlap_masks


def test_a_bound_on_prompts_that_are_looked_at_holds(engine: FakeVideoEngine) -> None:
    engine.video = replace(engine.video, max_cond_frames_in_attn=2)
    stream = VideoStream(engine)
    state: StreamState | None = None
    for frame_idx in range(8):
        _, _, state = stream.prompt(
            FRAMES[frame_idx], box(frame_idx, 1), state_dict=state, object_ids=[1]
        )
    _, _, state = stream.track(FRAMES[8], state)
    assert (engine.looked_at[-1].memory_age == 6).sum() == 2
