"""`Tracker` answers one frame: from points, from a mask, or from what is remembered.

It does what upstream's `SAM2Base.track_step` does, on any engine with a memory, and knows neither
videos nor objects' names. Where upstream rounds or chooses, it does the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sam2lab.runtime import postprocess
from sam2lab.runtime.engines.protocol import Decoded, Features, Float32, PromptBatch
from sam2lab.runtime.masks import Mask
from sam2lab.runtime.resample import shrink
from sam2lab.runtime.segmenter import LOGIT_LIMIT
from sam2lab.runtime.video.protocol import Memories, VideoEngine, VideoSettings
from sam2lab.runtime.video.rounding import pack
from sam2lab.runtime.video.state import FrameResult

# The logits of a mask of an object that is not there.
NO_OBJECT = np.float32(-1024)

# Upstream's logits of a mask that was given, and the value of a hole that was filled.
GIVEN = np.float32(10)
FILLED = np.float32(0.1)

# The factor between the model's input and its masks.
MASK_STRIDE = 4


class Tracker:
    """Answers for objects on one frame.

    Holes of at most `fill_hole_area` low-resolution pixels are filled in what is answered, and in
    the memory of what was prompted, but not in the memory of what was followed.
    """

    def __init__(self, engine: VideoEngine, settings: VideoSettings, fill_hole_area: float) -> None:
        self.engine = engine
        self.settings = settings
        self.fill_hole_area = fill_hole_area

    def from_points(
        self,
        features: Features,
        prompts: PromptBatch,
        memories: Memories | None,
        previous: Float32 | None,
    ) -> FrameResult:
        """Answer points and a box; without `memories`, as on a photo.

        `previous` (1, 1, 4h, 4w) are the logits that the points correct, or None.
        """
        if memories is not None:
            features = self.engine.condition(features, memories)
        if previous is not None:
            previous = np.clip(previous, -LOGIT_LIMIT, LOGIT_LIMIT)
        asked = replace(prompts, mask_input=previous)
        (result,) = self._decode(features, asked, is_initial=memories is None)
        return replace(result, logits=self._filled(result.logits), is_prompted=True)

    def from_mask(self, features: Features, mask: Mask) -> FrameResult:
        """Take a mask of the size of the model's input as the answer, and let it be pointed to."""
        height, width = (side // MASK_STRIDE for side in mask.shape)
        pixels = mask.astype(np.float32)
        logits = shrink((2 * pixels - 1) * GIVEN, (height, width))[None, None]
        pointer = np.array(self.settings.no_obj_ptr, np.float32)
        if mask.any():
            kernel = np.array(self.settings.mask_downsample, np.float32)
            blocks = pixels.reshape(height, MASK_STRIDE, width, MASK_STRIDE).swapaxes(1, 2)
            prompt = blocks.reshape(height, width, -1) @ kernel
            prompt += np.float32(self.settings.mask_downsample_bias)
            asked = _no_points(1, prompt[None, None])
            # A mask is the only prompt for which upstream leaves `no_mem_embed` out.
            nothing_added = np.array(self.settings.no_mem_embed, np.float32)[:, None, None]
            bare = Features(
                features.image_embed - nothing_added,
                features.high_res_feats_0,
                features.high_res_feats_1,
            )
            pointer = self.engine.decode_objects(bare, asked).pointers[0, 0]
        score = float(GIVEN if mask.any() else -GIVEN)
        return FrameResult(self._filled(logits), score, 1.0, True, pointer)

    def follow(self, features: Features, memories: Memories) -> list[FrameResult]:
        """Answer for L objects from what they remember, and make their new memories."""
        conditioned = self.engine.condition(features, memories)
        asked = _no_points(len(memories.memory))
        results = self._decode(conditioned, asked, is_initial=False)
        remembered = self.remember(features, results, binarize=False)
        return [replace(each, logits=self._filled(each.logits)) for each in remembered]

    def remember(
        self, features: Features, results: Sequence[FrameResult], binarize: bool
    ) -> list[FrameResult]:
        """The same results of one frame with memories; `binarize` those that were prompted."""
        logits = np.concatenate([each.logits for each in results])
        scores = np.array([[each.object_score] for each in results], np.float32)
        made = self.engine.remember(features, logits, scores, binarize)
        return [replace(each, memory=pack(one)) for each, one in zip(results, made, strict=True)]

    def _decode(
        self, features: Features, prompts: PromptBatch, is_initial: bool
    ) -> list[FrameResult]:
        """Choose masks and pointers as upstream's `_forward_sam_heads` does."""
        logits, scores, object_scores, pointers = self.engine.decode_objects(features, prompts)
        objects = np.arange(len(logits))
        if self._wants_candidates(prompts.point_labels, is_initial):
            best = 1 + scores[:, 1:].argmax(axis=1)
            chosen = Decoded(logits[objects, best][:, None], scores[objects, best][:, None])
            pointed = pointers[objects, best]
        else:
            chosen = postprocess.choose(Decoded(logits, scores), multi_mask_output=False)
            # Upstream points by the single mask's token, even where a candidate replaces its mask.
            pointed = pointers[:, 0].copy()
        chosen.logits[object_scores[:, 0] <= 0] = NO_OBJECT
        return [
            FrameResult(
                chosen.logits[i : i + 1],
                float(object_scores[i, 0]),
                float(chosen.scores[i, 0]),
                is_prompted=False,
                pointer=pointed[i],
            )
            for i in objects
        ]

    def _wants_candidates(self, labels: Float32, is_initial: bool) -> bool:
        """Upstream's `_use_multimask`; a box counts as two points, "no points" as none."""
        settings = self.settings
        points = int(np.count_nonzero(labels[0] >= 0))
        return (
            settings.multimask_output_in_sam
            and (is_initial or settings.multimask_output_for_tracking)
            and settings.multimask_min_pt_num <= points <= settings.multimask_max_pt_num
        )

    def _filled(self, logits: Float32) -> Float32:
        if not self.fill_hole_area:
            return logits
        holes = postprocess.small_components(logits <= 0, self.fill_hole_area)
        return np.where(holes, FILLED, logits)


def _no_points(objects: int, mask_input: Float32 | None = None) -> PromptBatch:
    """A prompt without points: upstream pads it with one, to which the decoder adds its own."""
    coords = np.zeros((objects, 1, 2), np.float32)
    return PromptBatch(coords, np.full((objects, 1), -1, np.float32), mask_input)
