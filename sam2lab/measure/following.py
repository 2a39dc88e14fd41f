"""Follow the objects of a labelled video: with the memory, and in two ways without it.

The memory is worth what it adds to the simplest that could be done: leave the first mask where it
is, or ask the image model in every frame for what is in the box of its last mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.measure.videos import Appearance, LabelledVideo, appearances
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.masks import Mask, bounding_box
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.frames import open_frames
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.protocol import VideoEngine
from sam2lab.scenes.clicks import centre_click

PROMPTS = ("mask", "click", "box")
MEMORY, BOX_AGAIN, HELD_STILL = "memory", "box again", "held still"
WAYS = (MEMORY, BOX_AGAIN, HELD_STILL)


class Followed(NamedTuple):
    """The masks (H, W) of the objects in a frame, by number, and how sure the model is of each.

    A score above 0 means that the object is there; it is NaN where nothing tells.
    """

    frame: int
    masks: dict[int, Mask]
    scores: dict[int, float]


def with_memory(engine: VideoEngine, video: LabelledVideo, prompt: str) -> Iterator[Followed]:
    """Prompt each object in the frame where it appears, and follow all of them to the end.

    The prompt is the true mask, a click in its middle, or its box. A pixel is given to the object
    that the model is surest of, as in upstream's evaluation.
    """
    predictor = VideoPredictor(engine, non_overlap_masks=True)
    state = predictor.init_state(video.frames, keep="window")
    objects = appearances(video)
    for number, first in objects.items():
        _prompt(predictor, state, number, first, prompt)
    for frame, _, logits in predictor.propagate_in_video(state, progress=False):
        results = {number: state.result(number, frame) for number in objects}
        yield Followed(
            frame,
            {number: logits[i, 0] > 0 for i, number in enumerate(objects)},
            {
                number: np.nan if result is None else result.object_score
                for number, result in results.items()
            },
        )


def box_again(
    engine: Engine, video: LabelledVideo, first: Mapping[int, Appearance]
) -> Iterator[Followed]:
    """Ask the image model in each frame for what is in the box of its last mask.

    `first` are the masks to begin with. An object whose mask is empty is looked for in its last
    box.
    """
    frames, segmenter = open_frames(video.frames), Segmenter(engine)
    boxes: dict[int, npt.NDArray[Any]] = {}
    for frame in range(len(frames)):
        new = {number: each.mask for number, each in first.items() if each.frame == frame}
        masks = {}
        if boxes:
            (answer,) = segmenter.segment_images(
                frames[frame],
                boxes=np.stack(list(boxes.values())),
                multi_mask_output=False,
                return_logits=True,
                use_embeddings_cache=False,
            )
            logits = answer.masks.reshape(len(boxes), *answer.masks.shape[-2:])
            surest = logits.argmax(axis=0)
            masks = {number: (logits[i] > 0) & (surest == i) for i, number in enumerate(boxes)}
        masks |= new
        for number, mask in masks.items():
            if mask.any():
                boxes[number] = np.array(bounding_box(mask), np.float32)
        yield Followed(frame, masks, dict.fromkeys(masks, np.nan))


def held_still(video: LabelledVideo, first: Mapping[int, Appearance]) -> Iterator[Followed]:
    """Leave the masks that `first` begins with where they are."""
    for frame in range(len(open_frames(video.frames))):
        masks = {number: each.mask for number, each in first.items() if each.frame <= frame}
        yield Followed(frame, masks, dict.fromkeys(masks, np.nan))


def _prompt(
    predictor: VideoPredictor, state: Any, number: int, first: Appearance, prompt: str
) -> None:
    at = first.frame, number
    if prompt == "mask":
        predictor.add_new_mask(state, *at, first.mask)
    elif prompt == "click":
        click = centre_click(first.mask)
        predictor.add_new_points_or_box(state, *at, points=[[click.x, click.y]], labels=[1])
    else:
        predictor.add_new_points_or_box(state, *at, box=bounding_box(first.mask))
