"""Where VideoPredictor differs from upstream: each fault of upstream, and what we do instead."""

from __future__ import annotations

import numpy as np
import pytest

from sam2lab.reference.video import upstream_video_predictor
from tests.reference.video_bench import Bench, click, go, make_bench


@pytest.fixture(scope="module")
def nano(tmp_path_factory) -> Bench:
    folder = tmp_path_factory.mktemp("deviations")
    # Nothing is absent, so that every mask can be told from another.
    return make_bench(folder, "nano", 64, frames=6, video_size=(48, 64), centre=-2)


@pytest.fixture
def both(nano):
    """Upstream as it is and ours as it is, each with a state."""
    upstream = upstream_video_predictor(nano.model)
    ours = nano.ours("torch", add_all_frames_to_correct_as_cond=True)
    return tuple((each, each.init_state(str(nano.clip.folder))) for each in (upstream, ours))


def do(predictor_and_state, step):
    """What a step answers: masks by frame."""
    predictor, state = predictor_and_state
    verb, arguments = step
    returned = getattr(predictor, verb)(state, **arguments)
    answers = [returned] if isinstance(returned, tuple) else returned
    return {frame: np.array(logits) for frame, _, logits in answers}


def correct(nano, frame):
    return click(frame, 1, nano.clip.point(frame, 0), [3.0, 3.0], labels=[1, 0])


class TestCorrections:
    def test_hold_where_upstreams_next_propagation_overwrites_them(self, nano, both):
        held = []
        for side in both:
            do(side, click(0, 1, nano.clip.point(0, 0)))
            before = do(side, go())
            corrected = do(side, correct(nano, 4))
            after = do(side, go())
            assert np.abs(corrected[4] - before[4]).max() > 0.1
            held.append(np.array_equal(after[4], corrected[4]))
        assert held == [False, True]

    def test_are_seen_by_the_frames_after_them(self, nano, both):
        """Upstream's correction leaves no trace, not even on the next frame."""
        traces = []
        for side in both:
            do(side, click(0, 1, nano.clip.point(0, 0)))
            before = do(side, go())
            do(side, correct(nano, 3))
            after = do(side, go())
            traces.append(float(np.abs(after[4] - before[4]).max()))
        assert traces[0] < 1e-5 < 0.01 < traces[1]

    def test_are_overwritten_as_upstream_does_where_that_is_asked_for(self, nano, both):
        predictor = nano.ours("torch", add_all_frames_to_correct_as_cond=False)
        ours = predictor, predictor.init_state(str(nano.clip.folder))
        answers = []
        for side in (both[0], ours):
            for step in (click(0, 1, nano.clip.point(0, 0)), go(), correct(nano, 4)):
                do(side, step)
            answers.append(do(side, go()))
        for frame in answers[0]:
            # The largest difference comes from memories rounded to eight bits.
            np.testing.assert_allclose(answers[1][frame], answers[0][frame], atol=5e-3)


def test_frames_before_all_prompts_can_be_tracked_where_upstream_stumbles(nano, both):
    upstream, ours = both
    for side in both:
        do(side, click(4, 1, nano.clip.point(4, 0)))
    # A memory in bfloat16 is multiplied by float32 weights.
    with pytest.raises(RuntimeError, match="dtype"):
        do(upstream, go(start_frame_idx=0))
    assert list(do(ours, go(start_frame_idx=0))) == list(range(6))


def test_an_object_without_prompts_leaves_the_others_alone_where_upstream_raises(nano, both):
    for side in both:
        do(side, click(0, 1, nano.clip.point(0, 0)))
        do(side, click(0, 2, nano.clip.point(0, 1)))
        do(side, go())
        clear = {"frame_idx": 0, "obj_id": 1}
        do(side, ("clear_all_prompts_in_frame", clear))
    upstream, ours = both
    with pytest.raises(RuntimeError, match="No input points or masks are provided for object id 1"):
        do(upstream, go(start_frame_idx=0))
    with pytest.raises(AssertionError):
        do(upstream, click(3, 1, nano.clip.point(3, 0)))
    assert len(do(ours, go(start_frame_idx=0))) == 6
    assert (do(ours, click(3, 1, nano.clip.point(3, 0)))[3][0] > -1024).all()


def test_memories_near_a_correction_are_cleared_by_the_method_that_upstream_lacks(nano):
    steps = [click(0, 1, nano.clip.point(0, 0)), go()]
    settings = {
        "clear_non_cond_mem_around_input": True,
        "add_all_frames_to_correct_as_cond": True,
    }
    upstream = upstream_video_predictor(nano.model, **settings)
    side = upstream, upstream.init_state(str(nano.clip.folder))
    do(side, steps[0])
    with pytest.raises(AttributeError, match="_clear_obj_non_cond_mem_around_input"):
        do(side, steps[1])

    def clear_for_one_object(state, frame_idx, obj_idx):
        assert list(state["output_dict_per_obj"]) == [obj_idx]
        upstream._clear_non_cond_mem_around_input(state, frame_idx)

    upstream._clear_obj_non_cond_mem_around_input = clear_for_one_object
    ours = nano.ours("torch", **settings)
    steps += [correct(nano, 3), go()]
    answers = []
    for predictor in (upstream, ours):
        side = predictor, predictor.init_state(str(nano.clip.folder))
        answers.append([do(side, step) for step in steps])
    for theirs, mine in zip(*answers, strict=True):
        for frame in theirs:
            np.testing.assert_allclose(mine[frame], theirs[frame], atol=5e-3)


def test_holes_are_filled_without_compiled_extras_where_upstream_only_warns(nano):
    step = click(0, 1, nano.clip.point(0, 0))
    upstream = upstream_video_predictor(nano.model, fill_hole_area=8)
    plain = nano.ours("torch")
    expected = do((plain, plain.init_state(str(nano.clip.folder))), step)[0]
    with pytest.warns(UserWarning, match="_C"):
        theirs = do((upstream, upstream.init_state(str(nano.clip.folder))), step)[0]
    np.testing.assert_allclose(theirs, expected, atol=1e-4)
    filling = nano.ours("torch", fill_hole_area=10_000)
    filled = do((filling, filling.init_state(str(nano.clip.folder))), step)[0]
    assert (filled > 0).sum() > (expected > 0).sum()


def test_a_refused_prompt_leaves_no_object_behind_where_upstreams_blocks_everything(nano, both):
    for side in both:
        do(side, click(0, 1, nano.clip.point(0, 0)))
        with pytest.raises(ValueError, match="points"):
            do(side, click(0, 2))
    upstream, ours = both
    with pytest.raises(RuntimeError, match="No input points or masks are provided for object id 2"):
        do(upstream, go())
    assert len(do(ours, go())) == 6


def test_an_answer_shows_all_new_prompts_where_upstream_shows_those_of_one_kind(nano, both):
    """One object is prompted for the first time on a frame, where another is corrected."""
    is_shown = []
    for side in both:
        do(side, click(0, 1, nano.clip.point(0, 0)))
        do(side, go())
        do(side, click(3, 2, nano.clip.point(3, 1)))
        answer = do(side, correct(nano, 3))[3]
        is_shown.append([bool((masks > -1024).all()) for masks in answer])
    assert is_shown == [[True, False], [True, True]]


def test_a_correction_in_a_video_of_one_frame_finds_the_object_where_upstream_divides_by_0(
    nano, tmp_path
):
    first = nano.clip.folder / "00000.jpg"
    (tmp_path / first.name).write_bytes(first.read_bytes())
    answers = []
    for predictor in (upstream_video_predictor(nano.model), nano.ours("torch")):
        side = predictor, predictor.init_state(str(tmp_path))
        for step in (click(0, 1, nano.clip.point(0, 0)), go()):
            do(side, step)
        answers.append(do(side, correct(nano, 0))[0])
    # A score that is no number counts as that of an absent object.
    assert (answers[0] == -1024).all()
    assert (answers[1] > -1024).all()


def test_objects_may_go_while_others_are_followed_where_upstream_raises(nano, both):
    for side in both:
        do(side, click(0, 1, nano.clip.point(0, 0)))
        do(side, click(0, 2, nano.clip.point(0, 1)))

    def remove_midway(side):
        predictor, state = side
        seen = []
        for frame, obj_ids, masks in predictor.propagate_in_video(state):
            assert len(masks) == len(obj_ids)
            seen.append(len(masks))
            if frame == 1:
                predictor.remove_object(state, 2)
        return seen

    upstream, ours = both
    with pytest.raises(KeyError):
        remove_midway(upstream)
    assert remove_midway(ours) == [2, 2, 1, 1, 1, 1]
