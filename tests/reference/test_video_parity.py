"""VideoPredictor beside upstream's SAM2VideoPredictor: the same masks, whatever one does.

nano's weights are random, so that every number matters, and the score of objects is such that some
objects count as absent on some frames.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2lab.export.onnx import export
from sam2lab.measure.video_parity import Step, answers
from sam2lab.runtime.engines.onnx import OnnxEngine
from tests.reference.clips import Clip
from tests.reference.video_bench import Bench, click, go, make_bench, mask


@pytest.fixture(scope="module")
def nano(tmp_path_factory) -> Bench:
    folder = tmp_path_factory.mktemp("parity")
    bench = make_bench(folder, "nano", 64, frames=10, video_size=(192, 256), centre=0.6)
    bench.engines["onnx"] = OnnxEngine(export(bench.model, folder / "bundle").folder)
    return bench


CORNER = [5.0, 5.0]


def every_prompt(clip: Clip) -> list[Step]:
    """Forward, backward, a correction in the middle, and again."""
    a, b, c = (clip.point(3, thing) for thing in range(3))
    return [
        click(3, 7, a),
        click(3, 7, CORNER, labels=[0], clear_old_points=False),
        click(3, 2, box=clip.box(3, 1)),
        click(3, 2, b, box=clip.box(3, 1)),
        mask(3, 9, clip.masks[3, 2]),
        go(),
        go(reverse=True),
        click(6, 7, clip.point(6, 0), CORNER, labels=[1, 0]),
        go(start_frame_idx=6),
        mask(1, 9, clip.masks[1, 2]),
        click(5, 2, [c[0] + 3, c[1]], labels=[0]),
        go(start_frame_idx=5, reverse=True),
        go(),
    ]


def many_prompted_frames(clip: Clip) -> list[Step]:
    """Every other frame is prompted before anything is followed; the first passes see no past."""
    return [
        *(click(frame, 1, clip.point(frame, 0)) for frame in (8, 3, 6, 4)),
        mask(5, 2, clip.masks[5, 1]),
        click(9, 2, box=clip.box(9, 1)),
        go(start_frame_idx=0),
        go(start_frame_idx=9, reverse=True),
        go(start_frame_idx=2, max_frame_num_to_track=4),
    ]


def late_objects(clip: Clip) -> list[Step]:
    """Objects come while others are followed already."""
    return [
        click(2, 1, clip.point(2, 0)),
        go(max_frame_num_to_track=4),
        click(5, 2, box=clip.box(5, 1)),
        go(start_frame_idx=5, max_frame_num_to_track=2),
        mask(4, 3, clip.masks[4, 2]),
        go(start_frame_idx=0),
        go(start_frame_idx=7, reverse=True, max_frame_num_to_track=3),
    ]


def removed_prompts(clip: Clip) -> list[Step]:
    """Prompts are cleared, an object is removed, and everything is begun anew."""
    return [
        click(1, 1, clip.point(1, 0)),
        click(4, 1, clip.point(4, 0)),
        click(4, 2, clip.point(4, 1)),
        mask(3, 3, clip.masks[3, 2]),
        ("clear_all_prompts_in_frame", {"frame_idx": 1, "obj_id": 1}),
        click(1, 1, clip.point(1, 0), CORNER, labels=[1, 0]),
        go(max_frame_num_to_track=5),
        ("clear_all_prompts_in_frame", {"frame_idx": 4, "obj_id": 1}),
        go(start_frame_idx=4, max_frame_num_to_track=3),
        ("remove_object", {"obj_id": 2}),
        ("remove_object", {"obj_id": 77}),
        go(start_frame_idx=8, reverse=True, max_frame_num_to_track=5),
        click(5, 2, clip.point(5, 1)),
        go(start_frame_idx=5, max_frame_num_to_track=1),
        ("reset_state", {}),
        click(2, 4, clip.point(2, 2)),
        go(max_frame_num_to_track=2),
    ]


def whole_clip(clip: Clip) -> list[Step]:
    """40 frames: every kind of prompt, forward, backward, a correction, and both ways again."""
    return [
        click(10, 1, clip.point(10, 0)),
        click(10, 1, CORNER, labels=[0], clear_old_points=False),
        click(10, 2, clip.point(10, 1), box=clip.box(10, 1)),
        mask(10, 3, clip.masks[10, 2]),
        go(),
        go(reverse=True),
        click(25, 1, clip.point(25, 0), CORNER, labels=[1, 0]),
        click(25, 2, box=clip.box(25, 1)),
        mask(30, 3, clip.masks[30, 2]),
        go(start_frame_idx=25),
        go(start_frame_idx=25, reverse=True),
    ]


CASES = [
    (every_prompt, {}),
    (
        every_prompt,
        {
            "add_all_frames_to_correct_as_cond": True,
            "memory_temporal_stride_for_eval": 3,
            "use_signed_tpos_enc_to_obj_ptrs": False,
            "max_obj_ptrs_in_encoder": 4,
            "multimask_output_for_tracking": False,
        },
    ),
    (
        many_prompted_frames,
        {"max_cond_frames_in_attn": 2, "only_obj_ptrs_in_the_past_for_eval": False},
    ),
    (many_prompted_frames, {"max_cond_frames_in_attn": 3, "multimask_max_pt_num": 2}),
    (late_objects, {}),
    (removed_prompts, {}),
]
# Memories are kept with eight bits. A number whose last bits differ is sometimes rounded the other
# way there, by 0.4 %, and the frames after it remember that: logits were off by up to 1.3e-3.
LARGEST_ERROR = 1e-2


@pytest.mark.parametrize(
    ("script", "settings"), CASES, ids=lambda value: getattr(value, "__name__", None)
)
def test_exported_files_give_the_masks_of_upstream(nano, script, settings):
    _check(nano, "onnx", script, settings)


def test_the_reference_engine_gives_the_masks_of_upstream(nano):
    _check(nano, "torch", every_prompt, {})


def _check(bench, engine, script, settings):
    table = bench.compare(engine, script, **settings)
    assert table.iou.min() >= 0.999
    assert table.max_logit_error.max() <= LARGEST_ERROR


def test_pixels_are_given_to_one_object_as_upstream_does(nano):
    """Both do it last, to masks in the video's size: no memory is made of what is left.

    The rule is the same, so that only pixels that are as good as tied can go to another object.
    These weights find nearly the same for all objects, and 18 pixels do, which leaves an IoU of
    0.990 at least; where no object is absent, 366 pixels and 0.941.
    """
    rule = nano.upstream()._apply_non_overlapping_constraints
    answered = []
    for apart in (False, True):
        ours = nano.ours("onnx", non_overlap_masks=apart)
        answered.append(nano.expected(every_prompt, non_overlap_masks=apart))
        answered.append(list(answers(ours, nano.clip.folder, every_prompt(nano.clip))))
    for upstream, ours, upstream_apart, ours_apart in zip(*answered, strict=True):
        for whole, apart in ((upstream, upstream_apart), (ours, ours_apart)):
            np.testing.assert_array_equal(rule(torch.from_numpy(whole.logits)), apart.logits)
        error = np.abs(upstream.logits - ours.logits).max()
        assert error <= LARGEST_ERROR
        first, *others = np.sort(upstream.logits[:, 0], axis=0)[::-1]
        is_tied = np.abs(first) <= error
        if others:
            is_tied |= first - others[0] <= 2 * error
        differs = (upstream_apart.logits > 0) != (ours_apart.logits > 0)
        assert is_tied[differs.any(axis=(0, 1))].all()


def test_the_scripts_meet_objects_that_are_there_and_objects_that_are_not(nano):
    found = [(each.logits > 0).any(axis=(1, 2, 3)) for each in nano.expected(every_prompt)]
    assert 0.2 < np.concatenate(found).mean() < 0.8


@pytest.mark.slow
@pytest.mark.parametrize(("size", "centre"), [("nano", 0.08), ("tiny", -0.31)])
def test_forty_frames_are_those_of_upstream(tmp_path, size, centre):
    bench = make_bench(tmp_path, size, 256, frames=40, video_size=(240, 320), centre=centre)
    bench.engines["onnx"] = OnnxEngine(export(bench.model, tmp_path / "bundle").folder)
    table = bench.compare("onnx", whole_clip, add_all_frames_to_correct_as_cond=True)
    print(size, table.groupby(["step", "verb"])[["iou", "max_logit_error"]].agg(["min", "max"]))
    assert table.iou.min() >= 0.999
    assert table.max_logit_error.max() <= LARGEST_ERROR
    assert 0.2 < (table.area_px > 0).mean() < 0.98
