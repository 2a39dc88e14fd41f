"""`BundleEngine` feeds a bundle's graphs; a subclass runs them with some library."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from sam2lab.runtime.arguments import whole
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import (
    FEATURES,
    Decoded,
    Features,
    Float32,
    ModelInfo,
    PromptBatch,
)

# The logits of each token, at most: 16 prompts of tiny. 64 at once need three times the memory.
_PIXELS_AT_ONCE = 2**20


def check_threads(threads: int | None) -> int | None:
    """A number of threads from 1 on, or None, which leaves it to the library."""
    return None if threads is None else whole("threads", threads, 1)


class BundleEngine(ABC):
    """Encode and decode with the graphs of a bundle; a subclass runs them.

    `threads` are those that one operator may use; None leaves it to the library. A `Bundle` is
    used as it is. The graphs of a folder are compared with their digests while a subclass opens
    them, which it must do within `self._verified`.
    """

    def __init__(self, bundle: Bundle | str | os.PathLike[str], threads: int | None) -> None:
        threads = check_threads(threads)
        self._verified: AbstractContextManager[None] = nullcontext()
        if not isinstance(bundle, Bundle):
            bundle = Bundle.open(bundle, verify=False)
            self._verified = bundle.verified_meanwhile()
        self.bundle = bundle
        self.threads = threads
        self._no_mask = np.zeros((1, 1, *self.info.mask_size), np.float32)
        self._no_mask.flags.writeable = False

    @property
    def info(self) -> ModelInfo:
        """The model in the bundle."""
        return self.bundle.info

    @property
    @abstractmethod
    def key(self) -> str:
        """Names the graphs and what runs them: equal keys mean interchangeable features."""

    def encode(self, pixels: Float32) -> Features:
        """Encode normalised RGB pixels (B, 3, H, W), H and W being `info.input_size`."""
        self.info.check_pixels(pixels)
        return Features(*self._run("encoder", FEATURES, {"image": pixels}))

    def decoder_inputs(self, features: Features, prompts: PromptBatch) -> dict[str, Float32]:
        """The arrays that the decoder's graph takes, by name."""
        mask = prompts.mask_input
        return {
            "image_embed": features.image_embed,
            "high_res_feats_0": features.high_res_feats_0,
            "high_res_feats_1": features.high_res_feats_1,
            "point_coords": prompts.point_coords,
            "point_labels": prompts.point_labels,
            "mask_input": self._no_mask if mask is None else mask,
            "has_mask_input": np.array([mask is not None], np.float32),
        }

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """Answer L prompts on one image, or one on each of L images, by the batch of `features`.

        Many prompts are asked in parts, which takes as long and less memory.
        """
        inputs = self.decoder_inputs(features, prompts)
        count = max(map(len, inputs.values()))
        logits = np.empty((count, 4, *self.info.mask_size), np.float32)
        scores = np.empty((count, 4), np.float32)
        step = max(_PIXELS_AT_ONCE // math.prod(self.info.mask_size), 1)
        for start in range(0, count, step):
            part = slice(start, start + step)
            masks, part_scores, single_mask, single_score = self._run(
                "decoder",
                ("masks", "iou_predictions", "single_mask", "single_iou"),
                {name: array if len(array) == 1 else array[part] for name, array in inputs.items()},
            )
            np.concatenate([single_mask, masks], axis=1, out=logits[part])
            np.concatenate([single_score, part_scores], axis=1, out=scores[part])
        return Decoded(logits, scores)

    @abstractmethod
    def _run(
        self, graph: str, outputs: Sequence[str], inputs: Mapping[str, Float32]
    ) -> list[Float32]:
        """Run one graph; the arrays of `outputs`, in that order, own their memory."""
