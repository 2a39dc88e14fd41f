"""`FakeVideoEngine` follows colours through `clip(...)` without a network, in numpy alone.

Use it wherever the verbs of `VideoPredictor` matter and the weights do not: a prompt on a coloured
square gives that square, following finds it again by its colour, and where the colour is gone, the
object is not there. Every answer also depends a little on every memory, age, pointer and time that
was looked at, so that a wrong choice of memories changes it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sam2lab.runtime.engines.protocol import (
    Decoded,
    Features,
    Float32,
    ModelInfo,
    PromptBatch,
)
from sam2lab.runtime.video.protocol import DecodedObjects, Memories, VideoSettings

C, D = 24, 4
COLOURS = ((220, 40, 40), (40, 200, 60), (50, 80, 230), (230, 210, 40), (200, 60, 210))

SETTINGS = VideoSettings(
    memory_channels=D,
    num_maskmem=7,
    max_obj_ptrs_in_encoder=16,
    max_cond_frames_in_attn=-1,
    memory_temporal_stride_for_eval=1,
    only_obj_ptrs_in_the_past_for_eval=True,
    use_signed_tpos_enc_to_obj_ptrs=True,
    multimask_output_in_sam=True,
    multimask_output_for_tracking=True,
    multimask_min_pt_num=0,
    multimask_max_pt_num=1,
    no_mem_embed=(0.0,) * (C - 1) + (0.5,),
    no_obj_ptr=(-1.0,) * C,
    mask_downsample=(1 / 16,) * 16,
    mask_downsample_bias=-0.5,
    is_trained=True,
)


def clip(
    frames: int, size: tuple[int, int] = (48, 64), squares: int = 2, hidden: range = range(0)
) -> list[np.ndarray]:
    """Coloured squares that move to the right on grey; square 0 is away on the `hidden` frames.

    Square i has COLOURS[i], and its centre on frame t is `centre(t, i, size)`.
    """
    pictures = []
    for t in range(frames):
        picture = np.full((*size, 3), 128, np.uint8)
        for i in range(squares):
            if i == 0 and t in hidden:
                continue
            x, y = map(round, centre(t, i, size))
            picture[y - 6 : y + 6, x - 6 : x + 6] = COLOURS[i]
        pictures.append(picture)
    return pictures


def centre(t: int, square: int, size: tuple[int, int] = (48, 64)) -> tuple[float, float]:
    """Where a square of `clip` is on frame t, as (x, y)."""
    return 8.0 + (2 * t) % (size[1] - 16), 8.0 + 14 * square


class FakeVideoEngine:
    """Finds pixels of the colour that was prompted, and remembers it; counts its work.

    `encoded`, `conditioned` and `remembered` hold the number of images or objects of each call.
    `fail_in` is the name of a method that raises KeyboardInterrupt, after `calls_left` calls.
    """

    def __init__(
        self, input_size: tuple[int, int] = (64, 64), key: str = "fake-video", **settings: object
    ) -> None:
        self.info = ModelInfo("fake", "nano", input_size, "random:0")
        self.key = key
        self.video: VideoSettings | None = replace(SETTINGS, **settings)
        self.encoded: list[int] = []
        self.conditioned: list[int] = []
        self.remembered: list[int] = []
        self.looked_at: list[Memories] = []
        self.fail_in = ""
        self.calls_left = 0

    def encode(self, pixels: Float32) -> Features:
        """Mean colours in three sizes."""
        self._called("encode")
        self.encoded.append(len(pixels))
        batch, height, width = len(pixels), *self.info.embed_size
        embed = np.zeros((batch, C, height, width), np.float32)
        embed[:, :3] = _mean(pixels, 16)
        embed[:, -1] = 0.5  # no_mem_embed
        fine = _mean(pixels, 4)
        middle = np.zeros((batch, C // 4, 2 * height, 2 * width), np.float32)
        return Features(embed, fine, middle)

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """The first two of `decode_objects`."""
        return Decoded(*self.decode_objects(features, prompts)[:2])

    def decode_objects(self, features: Features, prompts: PromptBatch) -> DecodedObjects:
        """Four masks of pixels near the colour asked for, with ever wider limits."""
        self._called("decode_objects")
        height, width = self.info.mask_size
        objects = max(prompts.objects, len(features.image_embed))
        logits = np.empty((objects, 4, height, width), np.float32)
        pointers = np.empty((objects, 4, C), np.float32)
        for i in range(objects):
            embed = features.image_embed[i % len(features.image_embed)]
            points = i % max(len(prompts.point_coords), 1)
            coords, labels = prompts.point_coords[points], prompts.point_labels[points]
            mask = prompts.mask_input
            previous = None if mask is None else mask[i % len(mask), 0]
            colour = self._wanted(features, embed, coords, labels, previous)
            gap = np.sqrt(((features.high_res_feats_0[0] - colour[:, None, None]) ** 2).sum(0))
            limits = np.float32([0.6, 0.5, 0.7, 0.8])[:, None, None]
            logits[i] = 12 * (limits - gap)
            if previous is not None:
                logits[i] += np.float32(0.01) * previous
            # A trace of everything that was remembered.
            logits[i] += np.float32(0.01) * np.tanh(embed[6:12].mean())
            pointers[i] = np.pad(colour, (0, C - 3)) + np.arange(4, dtype=np.float32)[:, None] / 9
        found = (logits[:, 0] > 0).sum((1, 2)).astype(np.float32)
        object_scores = (found - 2)[:, None]
        pointers[found <= 2] = np.float32(self.video.no_obj_ptr)
        scores = 1 / (1 + np.abs(logits).mean((2, 3)))
        return DecodedObjects(logits, scores, object_scores, pointers)

    def condition(self, features: Features, memories: Memories) -> Features:
        """Write the remembered colour, and a trace of everything else, into the embedding."""
        self._called("condition")
        objects, count = memories.memory_age.shape
        assert memories.memory.shape == (objects, count, features.image_embed[0, 0].size, D)
        assert memories.object_pointers.shape == (*memories.pointer_time.shape, C)
        assert count > 0
        self.conditioned.append(objects)
        self.looked_at.append(memories)
        embed = np.repeat(features.image_embed, objects, axis=0)
        for i in range(objects):
            weight = 1 / (2 + memories.memory_age[i].astype(np.float32))
            seen = (memories.memory[i].sum(1) * weight[:, None]).sum(0)
            embed[i, 3:6] = (seen[:3] / max(seen[3], np.float32(1e-3)))[:, None, None]
            embed[i, 6:10] = seen[:, None, None]
            times = np.cos(memories.pointer_time[i])[:, None]
            embed[i, 10:12] = (memories.object_pointers[i] * times).sum(0)[:2, None, None]
        return replace(features, image_embed=embed)

    def remember(
        self, features: Features, mask_logits: Float32, object_scores: Float32, binarize: bool
    ) -> Float32:
        """The colours under each mask, and how much of each cell it covers."""
        self._called("remember")
        self.remembered.append(len(mask_logits))
        chance = np.clip(mask_logits / 8, 0, 1)
        cover = (mask_logits > 0).astype(np.float32) if binarize else chance
        cover = cover * (object_scores > 0)[:, :, None, None]
        seen = _mean(features.high_res_feats_0 * cover, 4)
        memory = np.concatenate([seen, _mean(cover, 4)], axis=1)
        return memory.reshape(len(memory), D, -1).transpose(0, 2, 1).astype(np.float32)

    def _wanted(
        self,
        features: Features,
        embed: Float32,
        coords: Float32,
        labels: Float32,
        previous: Float32 | None,
    ) -> Float32:
        """The colour at a point, in the middle of a box, under a mask, or in the memory."""
        fine = features.high_res_feats_0[0]
        spots = coords[labels == 1]
        if not len(spots) and (labels >= 2).any():
            spots = coords[labels >= 2].mean(0, keepdims=True)
        if len(spots):
            limit = np.array(fine.shape[:0:-1]) - 1
            x, y = np.clip(spots[-1] / 4, 0, limit).astype(int)
            return fine[:, y, x]
        if previous is not None and (previous > 0).any():
            return fine[:, previous > 0].mean(1)
        return embed[3:6].mean((1, 2))

    def _called(self, method: str) -> None:
        if self.fail_in == method:
            if not self.calls_left:
                raise KeyboardInterrupt
            self.calls_left -= 1


def _mean(maps: Float32, side: int) -> Float32:
    """Means of squares of `side` pixels."""
    batch, channels, height, width = maps.shape
    squares = maps.reshape(batch, channels, height // side, side, width // side, side)
    return squares.mean((3, 5))
