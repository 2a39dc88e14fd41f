"""Chooses what a frame looks at: which memories and which pointers, and in which order.

Everything here is about numbers of frames, so that it can be compared with upstream's choice in
`SAM2Base._prepare_memory_conditioned_features` without a model.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from typing import NamedTuple

from sam2lab.runtime.video.protocol import VideoSettings


class Chosen(NamedTuple):
    """What one object's frame looks at.

    `memories` are (frame, age), the age being a row of upstream's `maskmem_tpos_enc`. `pointers`
    are (frame, distance in frames), to be divided by `longest_distance`.
    """

    memories: list[tuple[int, int]]
    pointers: list[tuple[int, int]]


def choose(
    frame: int,
    conditioning: Collection[int],
    followed: Container[int],
    settings: VideoSettings,
    num_frames: int | None,
    reverse: bool = False,
) -> Chosen:
    """Choose as upstream does for a `frame` that is followed forward, or in `reverse`.

    `conditioning` are the frames whose prompts every other frame may look at, in the order in
    which upstream would have stored them; `followed` are all other frames that have a memory.
    `num_frames` is None for a stream without an end.
    """
    near, far = _closest(frame, conditioning, settings.max_cond_frames_in_attn)
    step = 1 if reverse else -1
    memories = [(each, settings.num_maskmem - 1) for each in near]
    for age in reversed(range(settings.num_maskmem - 1)):
        earlier = _earlier(frame, age, settings.memory_temporal_stride_for_eval, reverse)
        if earlier in followed or earlier in far:
            memories.append((earlier, age))

    sign = step if settings.use_signed_tpos_enc_to_obj_ptrs else 0
    pointers = [
        (each, (each - frame) * sign if sign else abs(each - frame))
        for each in near
        if not settings.only_obj_ptrs_in_the_past_for_eval or (each - frame) * step >= 0
    ]
    for distance in range(1, _pointers(settings, num_frames)):
        earlier = frame + distance * step
        if earlier in followed or earlier in far:
            pointers.append((earlier, distance))
    return Chosen(memories, pointers)


def longest_distance(settings: VideoSettings, num_frames: int | None) -> int:
    """What distances of pointers are divided by.

    Upstream divides by 0 in a video of one frame, where the only distance is 0.
    """
    return max(_pointers(settings, num_frames) - 1, 1)


class Needed(NamedTuple):
    """Whether a frame's memory, and whether its pointer, is still looked at."""

    memory: bool
    pointer: bool


def needed(
    frame: int, done: int, settings: VideoSettings, num_frames: int | None, reverse: bool
) -> Needed:
    """Whether any frame that comes after `done` in this direction looks at a followed `frame`."""
    if reverse:
        # Going back is going forward on a time line that is turned around.
        frame, done = -frame, -done
    if frame >= done:
        return Needed(memory=True, pointer=True)
    stride = settings.memory_temporal_stride_for_eval
    oldest = _earlier(done + 1, settings.num_maskmem - 2, stride, reverse=False)
    return Needed(
        memory=settings.num_maskmem > 2 and frame >= oldest and frame % stride == 0,
        pointer=done + 1 - frame < _pointers(settings, num_frames),
    )


def _closest(
    frame: int, conditioning: Collection[int], most: int
) -> tuple[Iterable[int], Container[int]]:
    """Conditioning frames that are looked at as such, and the others.

    With a bound: the closest one before, the closest one from here on, then whichever are closest.
    """
    if most == -1 or len(conditioning) <= most:
        return conditioning, ()
    before = [max((each for each in conditioning if each < frame), default=None)]
    after = [min((each for each in conditioning if each >= frame), default=None)]
    near = [each for each in before + after if each is not None]
    others = sorted(
        (each for each in conditioning if each not in near), key=lambda each: abs(each - frame)
    )
    room = most - len(near)
    return near + others[:room], set(others[room:])


def _earlier(frame: int, age: int, stride: int, reverse: bool) -> int:
    """The frame whose memory has this age: the last one, or one of every `stride`-th before it."""
    if reverse:
        return -_earlier(-frame, age, stride, reverse=False)
    if age == 0:
        return frame - 1
    return ((frame - 2) // stride - (age - 1)) * stride


def _pointers(settings: VideoSettings, num_frames: int | None) -> int:
    """Upstream's `max_obj_ptrs_in_encoder` for a video of this length."""
    most = settings.max_obj_ptrs_in_encoder
    return most if num_frames is None else min(num_frames, most)
