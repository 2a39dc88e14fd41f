from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import sam2lab
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.state import VideoState
from tests.runtime.fakes import FakeEngine
from tests.runtime.video.fake import FakeVideoEngine, centre, clip

FRAMES = clip(12, squares=3)


@pytest.fixture
def engine() -> FakeVideoEngine:
    return FakeVideoEngine()


@pytest.fixture
def predictor(engine: FakeVideoEngine) -> VideoPredictor:
    return VideoPredictor(engine)


@pytest.fixture
def state(predictor: VideoPredictor) -> VideoState:
    return predictor.init_state(FRAMES)


def click(
    predictor: VideoPredictor, state: VideoState, frame_idx: int, square: int, **more: object
) -> np.ndarray:
    """Prompt square i as object i + 1."""
    points = [centre(frame_idx, square)]
    answer = predictor.add_new_points_or_box(
        state, frame_idx, square + 1, points=points, labels=[1], **more
    )
    return answer[2]


def propagate(
    predictor: VideoPredictor, state: VideoState, *args: object, **kwargs: object
) -> dict[int, np.ndarray]:
    steps = predictor.propagate_in_video(state, *args, progress=False, **kwargs)
    return {frame_idx: masks for frame_idx, _, masks in steps}


def truth(frame_idx: int, square: int) -> np.ndarray:
    """Where a square is, well within its edge."""
    x, y = map(round, centre(frame_idx, square))
    inside = np.zeros(FRAMES[0].shape[:2], bool)
    inside[y - 3 : y + 3, x - 3 : x + 3] = True
    return inside


class TestFollowing:
    def test_finds_every_object_on_every_frame(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        for square in range(3):
            click(predictor, state, 0, square)
        masks = propagate(predictor, state)
        assert list(masks) == list(range(12))
        for frame_idx, found in masks.items():
            assert (found.shape, found.dtype) == ((3, 1, 48, 64), np.float32)
            for square in range(3):
                assert (found[square, 0] > 0)[truth(frame_idx, square)].all()
                assert not (found[square, 0] > 0)[truth(frame_idx, (square + 1) % 3)].any()

    def test_says_that_an_object_is_away_and_finds_it_again(
        self, predictor: VideoPredictor
    ) -> None:
        state = predictor.init_state(clip(8, hidden=range(3, 5)))
        click(predictor, state, 0, 0)
        masks = propagate(predictor, state)
        there = [bool((masks[t] > 0).any()) for t in range(8)]
        assert there == [True, True, True, False, False, True, True, True]
        assert (masks[3] == -1024).all()
        absent = state.result(1, 3)
        assert absent is not None
        assert absent.object_score < 0
        np.testing.assert_array_equal(absent.pointer, predictor.settings.no_obj_ptr)

    @pytest.mark.parametrize(
        ("arguments", "wanted"),
        [
            ({}, range(5, 12)),
            ({"start_frame_idx": 3}, range(3, 12)),
            ({"max_frame_num_to_track": 2}, range(5, 8)),
            ({"max_frame_num_to_track": 0}, range(5, 6)),
            ({"reverse": True}, range(5, -1, -1)),
            ({"reverse": True, "max_frame_num_to_track": 2}, range(5, 2, -1)),
            ({"start_frame_idx": 11, "reverse": True}, range(11, -1, -1)),
            ({"start_frame_idx": 0, "reverse": True}, ()),
        ],
    )
    def test_passes_the_frames_that_upstream_passes(
        self, predictor: VideoPredictor, state: VideoState, arguments: dict, wanted: range
    ) -> None:
        click(predictor, state, 5, 0)
        assert list(propagate(predictor, state, **arguments)) == list(wanted)
        assert set(state.tracked(1)) == set(wanted)

    def test_takes_an_object_that_comes_after_tracking(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        click(predictor, state, 0, 0)
        propagate(predictor, state)
        click(predictor, state, 7, 1)
        masks = propagate(predictor, state, start_frame_idx=0)
        assert (masks[2][1, 0] > 0)[truth(2, 1)].all()

    def test_looks_at_no_pointer_where_all_prompts_are_ahead(
        self, predictor: VideoPredictor, state: VideoState, engine: FakeVideoEngine
    ) -> None:
        click(predictor, state, 5, 0)
        propagate(predictor, state, start_frame_idx=0, max_frame_num_to_track=0)
        assert engine.looked_at[-1].object_pointers.shape == (1, 0, 24)

    def test_encodes_a_frame_once_for_all_that_is_asked_about_it(
        self, predictor: VideoPredictor, state: VideoState, engine: FakeVideoEngine
    ) -> None:
        for square in range(3):
            click(predictor, state, 0, square)
        propagate(predictor, state, max_frame_num_to_track=3)
        assert engine.encoded == [1] * 4

    def test_answers_objects_together_and_as_it_would_alone(
        self, predictor: VideoPredictor, engine: FakeVideoEngine
    ) -> None:
        """The fake computes each object by itself, so together gives the same bits."""

        def run(squares: tuple[int, ...]) -> dict[int, np.ndarray]:
            state = predictor.init_state(FRAMES)
            for square in squares:
                click(predictor, state, 0, square)
            return propagate(predictor, state)

        together = run((0, 1, 2))
        assert engine.conditioned == [3] * 11
        alone = [run((square,)) for square in range(3)]
        for frame_idx, masks in together.items():
            np.testing.assert_array_equal(masks, np.concatenate([one[frame_idx] for one in alone]))


class TestPrompts:
    def test_answers_with_the_masks_of_all_objects(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        click(predictor, state, 0, 0)
        frame_idx, obj_ids, masks = predictor.add_new_points_or_box(
            state, 4, "b", points=np.array([centre(4, 1)]), labels=np.array([1])
        )
        assert (frame_idx, obj_ids, masks.shape) == (4, [1, "b"], (2, 1, 48, 64))
        # The first object has no answer on this frame.
        assert (masks[0] == -1024).all()
        assert (masks[1, 0] > 0)[truth(4, 1)].all()

    def test_takes_a_box_and_coordinates_as_shares(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        x, y = centre(0, 1)
        _, _, boxed = predictor.add_new_points_or_box(state, 0, 1, box=[x - 5, y - 5, x + 5, y + 5])
        assert (boxed[0, 0] > 0)[truth(0, 1)].all()
        _, _, shares = predictor.add_new_points_or_box(
            state, 0, 2, points=[[x / 64, y / 48]], labels=[1], normalize_coords=False
        )
        assert (shares[1, 0] > 0)[truth(0, 1)].all()

    def test_takes_a_mask_as_the_answer(self, predictor: VideoPredictor, state: VideoState) -> None:
        mask = np.zeros((48, 64), bool)
        mask[30:42, 4:16] = True
        _, _, masks = predictor.add_new_mask(state, 0, 1, mask)
        # The rows of 48 pixels go through 16 of the model's low-resolution ones and back.
        found = masks[0, 0] > 0
        assert (found & mask).sum() / (found | mask).sum() > 0.8
        result = state.result(1, 0)
        assert result is not None
        assert (result.object_score, result.iou, result.is_prompted) == (10, 1, True)
        assert (propagate(predictor, state)[6][0, 0] > 0)[truth(6, 2)].all()

    def test_takes_an_empty_mask_for_an_absent_object(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        predictor.add_new_mask(state, 0, 1, np.zeros((48, 64)))
        result = state.result(1, 0)
        assert result is not None
        assert result.object_score == -10
        np.testing.assert_array_equal(result.pointer, predictor.settings.no_obj_ptr)

    def test_adds_points_to_those_before_only_when_it_is_told(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        click(predictor, state, 0, 0)
        click(predictor, state, 0, 0, clear_old_points=False)
        assert state.prompts(1)[0].point_labels.tolist() == [[1, 1]]
        click(predictor, state, 0, 0)
        assert state.prompts(1)[0].point_labels.tolist() == [[1]]

    def test_gives_each_pixel_to_one_object_where_it_is_told(self, engine: FakeVideoEngine) -> None:
        predictor = VideoPredictor(engine, non_overlap_masks=True)
        state = predictor.init_state(FRAMES)
        click(predictor, state, 0, 0)
        point = [centre(0, 0)]
        _, _, masks = predictor.add_new_points_or_box(state, 0, 9, points=point, labels=[1])
        assert ((masks > 0).sum(axis=0) <= 1).all()
        assert (masks.min(axis=0) <= -10).all()

    def test_fills_holes_in_what_it_shows_and_corrects(self, engine: FakeVideoEngine) -> None:
        ring = np.kron(np.pad([[0]], 1, constant_values=1), np.ones((16, 16)))
        filled = VideoPredictor(engine, fill_hole_area=36)
        state = filled.init_state([np.zeros((48, 48, 3), np.uint8)])
        _, _, masks = filled.add_new_mask(state, 0, 1, ring)
        assert (masks[0, 0] > 0).mean() == 1
        result = state.result(1, 0)
        assert result is not None
        assert np.unique(result.logits).tolist()[:1] == [np.float32(0.1)]
        _, _, masks = VideoPredictor(engine, fill_hole_area=4).add_new_mask(state, 0, 1, ring)
        assert (masks[0, 0] > 0).mean() < 1


class TestCorrections:
    def corrected(self, predictor: VideoPredictor, state: VideoState) -> np.ndarray:
        """Follow square 0, then say on frame 6 that it is square 1 that was meant."""
        click(predictor, state, 0, 0)
        propagate(predictor, state)
        _, _, masks = predictor.add_new_points_or_box(
            state, 6, 1, points=[centre(6, 1)], labels=[1]
        )
        return masks

    def test_hold_and_are_looked_at(self, predictor: VideoPredictor, state: VideoState) -> None:
        wanted = self.corrected(predictor, state)
        before = predictor.frame_masks(state, 7)
        masks = propagate(predictor, state)
        np.testing.assert_array_equal(masks[6], wanted)
        assert (masks[7] != before).any()

    def test_are_replaced_as_upstream_replaces_them(self, engine: FakeVideoEngine) -> None:
        predictor = VideoPredictor(engine, add_all_frames_to_correct_as_cond=False)
        state = predictor.init_state(FRAMES)
        wanted = self.corrected(predictor, state)
        masks = propagate(predictor, state)
        assert (masks[6] != wanted).any()

    def test_hold_on_a_frame_that_was_prompted(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        click(predictor, state, 0, 0)
        propagate(predictor, state)
        wanted = click(predictor, state, 0, 0, clear_old_points=False)
        np.testing.assert_array_equal(propagate(predictor, state)[0], wanted)

    def test_look_in_the_direction_in_which_the_frame_was_tracked(
        self, predictor: VideoPredictor, state: VideoState, engine: FakeVideoEngine
    ) -> None:
        click(predictor, state, 8, 0)
        propagate(predictor, state, reverse=True)
        click(predictor, state, 4, 0)
        # Frame 8 first, then 7, 6 and 5 on its way here.
        assert engine.looked_at[-1].memory_age.tolist() == [[6, 2, 1, 0]]

    def test_forget_what_is_near_where_it_is_told(self, engine: FakeVideoEngine) -> None:
        predictor = VideoPredictor(engine, clear_non_cond_mem_around_input=True)
        state = predictor.init_state(FRAMES)
        click(predictor, state, 0, 0)
        propagate(predictor, state)
        click(predictor, state, 11, 0)
        predictor.propagate_in_video_preflight(state)
        there = [t for t in range(12) if state.result(1, t) is not None]
        assert there == [0, 1, 2, 3, 11]
        assert len(propagate(predictor, state)) == 12

    def test_work_in_a_video_of_one_frame(
        self, predictor: VideoPredictor, engine: FakeVideoEngine
    ) -> None:
        state = predictor.init_state(FRAMES[:1])
        click(predictor, state, 0, 0)
        propagate(predictor, state)
        assert np.isfinite(click(predictor, state, 0, 0)).all()
        assert engine.looked_at[-1].pointer_time.tolist() == [[0]]


class TestRemoving:
    def test_clears_a_prompt_and_keeps_what_was_found(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        click(predictor, state, 0, 0)
        click(predictor, state, 6, 0)
        found = propagate(predictor, state)
        answer = predictor.clear_all_prompts_in_frame(state, 6, 1)
        assert answer is not None
        assert answer[:2] == (6, [1])
        np.testing.assert_array_equal(answer[2], found[6])
        result = state.result(1, 6)
        assert result is not None
        assert not result.is_prompted
        assert (propagate(predictor, state)[6] != found[6]).any()

    def test_goes_on_with_others_where_one_has_no_prompt_left(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        click(predictor, state, 0, 0)
        click(predictor, state, 0, 1)
        assert predictor.clear_all_prompts_in_frame(state, 0, 1, need_output=False) is None
        masks = propagate(predictor, state)
        assert (masks[3][0] == -1024).all()
        assert (masks[3][1, 0] > 0)[truth(3, 1)].all()

    def test_prompts_anew_what_was_tracked_and_has_no_prompt_left(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        click(predictor, state, 0, 0)
        propagate(predictor, state)
        predictor.clear_all_prompts_in_frame(state, 0, 1)
        click(predictor, state, 5, 0)
        assert (propagate(predictor, state)[7][0, 0] > 0)[truth(7, 0)].all()

    def test_removes_an_object_and_shows_the_others_where_it_was_prompted(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        for square in range(3):
            click(predictor, state, square, square)
        propagate(predictor, state)
        obj_ids, updated = predictor.remove_object(state, 2)
        assert (obj_ids, state.obj_ids) == ([1, 3], [1, 3])
        ((frame_idx, masks),) = updated
        assert (frame_idx, masks.shape) == (1, (2, 1, 48, 64))
        assert predictor.remove_object(state, 2) == ([1, 3], [])
        with pytest.raises(ValueError, match=r"obj_id is 2; wanted one of the objects, \[1, 3\]"):
            predictor.remove_object(state, 2, strict=True)

    def test_removes_an_object_while_a_propagation_goes_on(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        click(predictor, state, 0, 0)
        click(predictor, state, 0, 1)
        shapes = []
        for frame_idx, obj_ids, masks in predictor.propagate_in_video(state, progress=False):
            shapes.append((obj_ids, len(masks)))
            if frame_idx == 1:
                predictor.remove_object(state, 1)
        assert shapes == [([1, 2], 2)] * 2 + [([2], 1)] * 10

    def test_resets(self, predictor: VideoPredictor, state: VideoState) -> None:
        click(predictor, state, 0, 0)
        propagate(predictor, state)
        predictor.reset_state(state)
        assert (state.obj_ids, state.nbytes) == ([], 0)
        with pytest.raises(RuntimeError, match="No object has a prompt"):
            propagate(predictor, state)


class TestState:
    def test_a_copy_is_where_one_can_go_back_to(
        self, predictor: VideoPredictor, state: VideoState, engine: FakeVideoEngine
    ) -> None:
        click(predictor, state, 0, 0)
        before = state.copy()
        propagate(predictor, state)
        click(predictor, state, 3, 1)
        assert before.obj_ids == [1]
        assert before.result(1, 3) is None
        encoded = len(engine.encoded)
        masks = propagate(predictor, before)
        # Features are shared.
        assert len(engine.encoded) == encoded
        np.testing.assert_array_equal(masks[11], predictor.frame_masks(state, 11)[:1])

    def test_features_of_few_frames_are_kept(
        self, predictor: VideoPredictor, state: VideoState, engine: FakeVideoEngine
    ) -> None:
        frame = engine.encode(np.zeros((1, 3, 64, 64), np.float32)).nbytes
        state.features.max_bytes = 2 * frame
        for frame_idx in (0, 1, 0, 1):
            click(predictor, state, frame_idx, 0)
        assert len(engine.encoded) == 1 + 2
        for frame_idx in (2, 0):
            click(predictor, state, frame_idx, 0)
        assert len(engine.encoded) == 1 + 4

    def test_a_window_changes_no_bit_and_stays_flat(self, predictor: VideoPredictor) -> None:
        frames = clip(40)
        sizes, answers = {}, {}
        for keep in ("all", "window"):
            state = predictor.init_state(frames, keep=keep)
            click(predictor, state, 0, 0)
            click(predictor, state, 0, 1)
            steps = predictor.propagate_in_video(state, progress=False)
            answers[keep], sizes[keep] = zip(
                *[(masks, state.nbytes) for _, _, masks in steps], strict=True
            )
        np.testing.assert_array_equal(answers["all"], answers["window"])
        assert sizes["window"][39] == sizes["window"][20] < sizes["all"][39] / 2

    def test_a_window_goes_back_and_takes_corrections(self, predictor: VideoPredictor) -> None:
        state = predictor.init_state(clip(30), keep="window")
        click(predictor, state, 15, 0)
        propagate(predictor, state)
        propagate(predictor, state, reverse=True)
        for frame_idx in (2, 12, 15, 28):
            click(predictor, state, frame_idx, 0)
        assert len(propagate(predictor, state, start_frame_idx=0)) == 30


class TestInterrupts:
    @pytest.mark.parametrize("method", ["encode", "decode_objects", "condition", "remember"])
    @pytest.mark.parametrize("calls", [0, 1, 3])
    def test_at_any_stage_leave_a_state_that_goes_on(
        self, engine: FakeVideoEngine, method: str, calls: int
    ) -> None:
        def run(state: VideoState) -> dict[int, np.ndarray]:
            click(predictor, state, 0, 0)
            click(predictor, state, 2, 1)
            return propagate(predictor, state)

        predictor = VideoPredictor(engine)
        wanted = run(predictor.init_state(FRAMES))
        state = predictor.init_state(FRAMES)
        engine.fail_in, engine.calls_left = method, calls
        with pytest.raises(KeyboardInterrupt):
            run(state)
        engine.fail_in = ""
        for obj_id in state.obj_ids:
            assert state.prompts(obj_id)
        masks = run(state) if len(state.obj_ids) < 2 else propagate(predictor, state)
        if method in ("condition", "remember"):
            np.testing.assert_array_equal(masks[11], wanted[11])
        assert list(masks) == list(range(12))

    def test_closing_keeps_what_was_done(
        self, predictor: VideoPredictor, state: VideoState
    ) -> None:
        click(predictor, state, 0, 0)
        steps = predictor.propagate_in_video(state, progress=False)
        for _ in range(4):
            next(steps)
        steps.close()
        assert sorted(state.tracked(1)) == [0, 1, 2, 3]
        went_on = propagate(predictor, state, start_frame_idx=4)
        other = predictor.init_state(FRAMES)
        click(predictor, other, 0, 0)
        np.testing.assert_array_equal(went_on[11], propagate(predictor, other)[11])


class TestRefusals:
    @pytest.mark.parametrize(
        ("prompt", "message"),
        [
            ({"points": [[5, 5]]}, "labels is missing"),
            ({}, "no prompt"),
            ({"box": [1, 1, 9, 9], "clear_old_points": False}, "clear_old_points is False"),
            ({"box": [[1, 1, 9, 9]] * 2}, "are for 2 objects"),
            ({"points": [[500, 5]], "labels": [1]}, r"points holds the point \(500, 5\)"),
        ],
    )
    def test_of_prompts_change_nothing(
        self, predictor: VideoPredictor, state: VideoState, prompt: dict, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            predictor.add_new_points_or_box(state, 0, 1, **prompt)
        assert state.obj_ids == []

    def test_of_masks_name_their_shape(self, predictor: VideoPredictor, state: VideoState) -> None:
        with pytest.raises(ValueError, match=r"shape \(1, 4, 4\)"):
            predictor.add_new_mask(state, 0, 1, np.ones((1, 4, 4)))

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda p, s: p.add_new_mask(s, 12, 1, np.ones((4, 4))), "frame_idx is 12"),
            (lambda p, s: p.propagate_in_video(s, start_frame_idx=-1), "start_frame_idx is -1"),
            (
                lambda p, s: p.propagate_in_video(s, max_frame_num_to_track=-1),
                "max_frame_num_to_track is -1",
            ),
            (lambda p, s: p.clear_all_prompts_in_frame(s, 0, 7), "obj_id is 7"),
            (lambda p, s: p.init_state(FRAMES, keep="some"), "keep is 'some'"),
            (lambda p, s: p.reset_state({}), "inference_state is dict"),
        ],
    )
    def test_name_the_argument(
        self,
        predictor: VideoPredictor,
        state: VideoState,
        call: Callable[[VideoPredictor, VideoState], object],
        message: str,
    ) -> None:
        with pytest.raises(ValueError, match=message):
            call(predictor, state)

    def test_of_a_state_of_another_model(self, state: VideoState) -> None:
        other = VideoPredictor(FakeVideoEngine(input_size=(32, 32)))
        with pytest.raises(ValueError, match="call init_state anew"):
            click(other, state, 0, 0)

    def test_of_models_without_memory_say_what_to_do(self) -> None:
        with pytest.raises(ValueError, match="FakeEngine, which cannot follow objects"):
            VideoPredictor(Segmenter(FakeEngine()))
        engine = FakeVideoEngine()
        engine.video = None
        with pytest.raises(ValueError, match="export them anew"):
            VideoPredictor(engine)
        with pytest.raises(ValueError, match="model is str"):
            VideoPredictor("nano")


def test_is_offered_by_the_package() -> None:
    assert sam2lab.VideoPredictor is VideoPredictor
