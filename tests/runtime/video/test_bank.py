from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sam2.modeling import sam2_base

from sam2lab.runtime.video.bank import Chosen, choose, longest_distance, needed
from sam2lab.runtime.video.protocol import VideoSettings
from tests.runtime.video.fake import SETTINGS

LONG = 10**6


def upstream(
    frame: int,
    conditioning: list[int],
    followed: set[int],
    how: VideoSettings,
    num_frames: int,
    reverse: bool,
) -> tuple[list[tuple[int, int]], list[tuple[int, float]]]:
    """The memories with their ages and the pointers with their times that upstream looks at.

    Each memory and each pointer is one number, that of its frame, so that it can be told from what
    upstream hands to its attention.
    """

    def out(number: int) -> dict:
        whole = torch.tensor(float(number))
        return {
            "maskmem_features": whole.reshape(1, 1, 1, 1),
            "maskmem_pos_enc": [torch.zeros(1, 1, 1, 1)],
            "obj_ptr": whole.reshape(1, 1),
        }

    attention = mock.Mock(return_value=torch.zeros(1, 1, 1))
    model = SimpleNamespace(
        **{name: value for name, value in vars(how).items() if name != "memory_channels"},
        hidden_dim=1,
        mem_dim=1,
        training=False,
        maskmem_tpos_enc=torch.arange(float(how.num_maskmem)).reshape(-1, 1, 1, 1),
        use_obj_ptrs_in_encoder=True,
        add_tpos_enc_to_obj_ptrs=True,
        proj_tpos_enc_in_obj_ptrs=True,
        obj_ptr_tpos_proj=torch.nn.Identity(),
        memory_attention=attention,
    )
    # The times themselves in place of their sines.
    with mock.patch.object(sam2_base, "get_1d_sine_pe", lambda times, dim: times[:, None]):
        sam2_base.SAM2Base._prepare_memory_conditioned_features(
            model,
            frame_idx=frame,
            is_init_cond_frame=False,
            current_vision_feats=[torch.zeros(1, 1, 1)],
            current_vision_pos_embeds=[torch.zeros(1, 1, 1)],
            feat_sizes=[(1, 1)],
            output_dict={
                "cond_frame_outputs": {each: out(each) for each in conditioning},
                "non_cond_frame_outputs": {each: out(each) for each in followed},
            },
            num_frames=num_frames,
            track_in_reverse=reverse,
        )
    given_to = attention.call_args.kwargs
    frames = given_to["memory"].flatten().tolist()
    marks = given_to["memory_pos"].flatten().tolist()
    pairs = list(zip(map(int, frames), marks, strict=True))
    count = len(pairs) - given_to["num_obj_ptr_tokens"]
    return [(number, int(age)) for number, age in pairs[:count]], pairs[count:]


frame_numbers = st.integers(0, 45)
ways = st.builds(
    replace,
    st.just(SETTINGS),
    num_maskmem=st.integers(1, 8),
    max_obj_ptrs_in_encoder=st.integers(2, 18),
    max_cond_frames_in_attn=st.sampled_from([-1, 2, 3, 4]),
    memory_temporal_stride_for_eval=st.integers(1, 5),
    only_obj_ptrs_in_the_past_for_eval=st.booleans(),
    use_signed_tpos_enc_to_obj_ptrs=st.booleans(),
)


@given(
    frame_numbers,
    st.lists(frame_numbers, min_size=1, max_size=8, unique=True),
    st.sets(frame_numbers, max_size=46),
    ways,
    st.one_of(st.none(), st.integers(46, 60), st.just(3)),
    st.booleans(),
)
@settings(max_examples=150)
@example(10, [40, 20, 3], set(range(45)), SETTINGS, None, False)
def test_looks_at_what_upstream_looks_at(
    frame: int,
    conditioning: list[int],
    followed: set[int],
    how: VideoSettings,
    num_frames: int | None,
    reverse: bool,
) -> None:
    if num_frames == 3:
        frame, conditioning, followed = frame % 3, [conditioning[0] % 3], {t % 3 for t in followed}
    followed -= set(conditioning)
    chosen = choose(frame, conditioning, followed, how, num_frames, reverse)
    memories, pointers = upstream(frame, conditioning, followed, how, num_frames or LONG, reverse)
    assert chosen.memories == memories
    longest = longest_distance(how, num_frames)
    # One rounding of float32, which upstream divides in.
    times = [(t, torch.tensor(distance).div(longest).item()) for t, distance in chosen.pointers]
    assert times == pointers


def test_looks_forward_and_back_as_the_paper_says() -> None:
    chosen = choose(9, [0], range(1, 9), SETTINGS, 24)
    assert chosen == Chosen(
        [(0, 6), (3, 5), (4, 4), (5, 3), (6, 2), (7, 1), (8, 0)],
        [(0, 9), *((9 - back, back) for back in range(1, 9))],
    )
    # Only prompts ahead: their memory is looked at, their pointers are not.
    assert choose(2, [5], (), SETTINGS, 24) == Chosen([(5, 6)], [])


def test_divides_by_something_in_a_video_of_one_frame() -> None:
    assert longest_distance(SETTINGS, 1) == 1
    assert longest_distance(SETTINGS, 5) == 4
    assert longest_distance(SETTINGS, None) == 15


@given(st.integers(0, 60), ways, st.sampled_from([None, 5, 90]), st.booleans())
@settings(max_examples=60)
def test_needs_exactly_what_a_later_frame_looks_at(
    done: int, how: VideoSettings, num_frames: int | None, reverse: bool
) -> None:
    step = -1 if reverse else 1
    everything = range(-200, 260)
    memories, pointers = set(), set()
    for later in range(1, 60):
        looks = choose(done + later * step, [1000], everything, how, num_frames, reverse)
        memories |= {frame for frame, _ in looks.memories}
        pointers |= {frame for frame, _ in looks.pointers}
    for frame in range(done, done - 50 * step, -step):
        memory, pointer = needed(frame, done, how, num_frames, reverse)
        # The last memory is kept even by a model that never looks at it.
        assert memory == (frame in memories or frame == done)
        assert pointer == (frame in pointers or frame == done)
