"""Random sequences of verbs never break what must always hold."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.state import VideoState
from tests.runtime.video.fake import FakeVideoEngine, centre, clip

COUNT = 7
SIZE = (32, 48)

numbers = st.integers(0, COUNT - 1)
objects = st.sampled_from([3, 1, "two"])


class Verbs(RuleBasedStateMachine):
    """A user who does anything in any order, and sometimes goes back to an earlier state."""

    @initialize(
        keep=st.sampled_from(["all", "window"]),
        hold=st.booleans(),
        around=st.booleans(),
        stride=st.integers(1, 2),
        most=st.sampled_from([-1, 2]),
        memories=st.sampled_from([3, 7]),
        pointers=st.sampled_from([3, 16]),
    )
    def open(
        self,
        keep: str,
        hold: bool,
        around: bool,
        stride: int,
        most: int,
        memories: int,
        pointers: int,
    ) -> None:
        engine = FakeVideoEngine(
            input_size=(32, 48),
            memory_temporal_stride_for_eval=stride,
            max_cond_frames_in_attn=most,
            num_maskmem=memories,
            max_obj_ptrs_in_encoder=pointers,
        )
        self.predictor = VideoPredictor(
            engine,
            add_all_frames_to_correct_as_cond=hold,
            clear_non_cond_mem_around_input=around,
            fill_hole_area=2,
        )
        self.state = self.predictor.init_state(clip(COUNT, SIZE, hidden=range(2, 4)), keep=keep)
        self.saved: list[tuple[VideoState, dict]] = []
        self.held: dict = {}

    @rule(t=numbers, obj_id=objects, square=st.integers(0, 1), anew=st.booleans())
    def click(self, t: int, obj_id: object, square: int, anew: bool) -> None:
        point = centre(t, square, SIZE)
        frame_idx, obj_ids, masks = self.predictor.add_new_points_or_box(
            self.state, t, obj_id, [point], [1], clear_old_points=anew
        )
        assert (frame_idx, obj_ids) == (t, self.state.obj_ids)
        self.check(masks)
        assert self.state.result(obj_id, t).is_prompted

    @rule(t=numbers, obj_id=objects, empty=st.booleans())
    def mask(self, t: int, obj_id: object, empty: bool) -> None:
        mask = np.zeros(SIZE, bool)
        mask[4:12, 4:12] = not empty
        self.check(self.predictor.add_new_mask(self.state, t, obj_id, mask)[2])

    @rule(t=numbers, obj_id=objects)
    def clear(self, t: int, obj_id: object) -> None:
        if obj_id in self.state.obj_ids:
            self.check(self.predictor.clear_all_prompts_in_frame(self.state, t, obj_id)[2])
            assert t not in self.state.prompts(obj_id)

    @rule(obj_id=objects)
    def remove(self, obj_id: object) -> None:
        obj_ids, updated = self.predictor.remove_object(self.state, obj_id)
        assert obj_id not in obj_ids
        for _, masks in updated:
            self.check(masks)

    @precondition(lambda self: self.has_prompts())
    @rule(start=st.none() | numbers, most=st.none() | numbers, reverse=st.booleans(), leave=numbers)
    def propagate(self, start: int | None, most: int | None, reverse: bool, leave: int) -> None:
        steps = self.predictor.propagate_in_video(self.state, start, most, reverse, progress=False)
        for frame_idx, obj_ids, masks in steps:
            assert obj_ids == self.state.obj_ids
            self.check(masks)
            np.testing.assert_array_equal(masks, self.predictor.frame_masks(self.state, frame_idx))
            if frame_idx == leave:
                break

    @rule()
    def reset(self) -> None:
        self.predictor.reset_state(self.state)
        assert self.state.obj_ids == []

    @rule()
    def save(self) -> None:
        self.saved.append((self.state.copy(), self.answers(self.state)))

    @precondition(lambda self: self.saved)
    @rule()
    def go_back(self) -> None:
        state, wanted = self.saved.pop()
        assert self.answers(state) == wanted
        self.state = state

    @invariant()
    def a_frame_of_an_object_has_one_place(self) -> None:
        for each in self.state.objects.values():
            assert not set(each.conditioning) & set(each.followed)
            assert set(each.pending) <= set(each.prompts)
            for result in each.conditioning.values():
                assert result.memory is not None
            if self.predictor._follower.corrections_hold:
                assert set(each.prompts) == set(each.pending) | set(each.conditioning)

    def has_prompts(self) -> bool:
        """Whether any object has a prompt that others may look at."""
        return any(
            each.conditioning or any(pending.is_conditioning for pending in each.pending.values())
            for each in self.state.objects.values()
        )

    def check(self, masks: np.ndarray) -> None:
        assert masks.shape == (len(self.state.obj_ids), 1, *SIZE)
        assert np.isfinite(masks).all()

    @staticmethod
    def answers(state: VideoState) -> dict:
        """Which object has which answer where; answers never change, so their identity will do."""
        return {
            (obj_id, t): id(result)
            for obj_id in state.obj_ids
            for t in range(COUNT)
            if (result := state.result(obj_id, t)) is not None
        }


Verbs.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestVerbs = Verbs.TestCase
