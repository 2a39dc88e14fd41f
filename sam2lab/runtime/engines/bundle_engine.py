"""`BundleEngine` feeds a bundle's graphs; a subclass runs them with some library."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.arguments import whole
from sam2lab.runtime.bundle import Bundle, BundleError
from sam2lab.runtime.engines.protocol import (
    FEATURES,
    Decoded,
    Features,
    Float32,
    ModelInfo,
    PromptBatch,
)
from sam2lab.runtime.video.protocol import DecodedObjects, Memories, VideoSettings

Inputs = Mapping[str, npt.NDArray[Any]]

# The tokens of all memories that frames look at, at most: 7 memories of 4 objects of tiny. What
# objects have in common is computed once for those.
_TOKENS_AT_ONCE = 2**17

_ANSWERS = ("masks", "iou_predictions", "single_mask", "single_iou")
_OBJECTS = ("object_score_logits", "object_pointers")


def check_threads(threads: int | None) -> int | None:
    """A number of threads from 1 on, or None, which leaves it to the library."""
    return None if threads is None else whole("threads", threads, 1)


class BundleEngine(ABC):
    """Encode, decode and remember with the graphs of a bundle; a subclass runs them.

    `threads` are those that one operator may use; None leaves it to the library. A `Bundle` is
    used as it is; the graphs of a folder are compared with their digests while they are opened.
    A subclass says how a graph is opened and run, and calls `open_graphs(GRAPHS)` when it is ready
    to. The graphs of the memory are opened when they are first used, so that a photo's first mask
    does not wait for them.
    """

    # The logits of each token, at most: 16 prompts of tiny. 64 at once need three times the memory.
    pixels_at_once = 2**20

    def __init__(self, bundle: Bundle | str | os.PathLike[str], threads: int | None) -> None:
        self.threads = check_threads(threads)
        self._trusts = isinstance(bundle, Bundle)
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle, verify=False)
        self._opened: dict[str, Any] = {}
        self._opening = Lock()
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

    @property
    def video(self) -> VideoSettings | None:
        """How the model follows objects, None where the bundle lacks the graphs for it."""
        return self.bundle.video

    def open_graphs(self, graphs: Sequence[str]) -> None:
        """Open those of the graphs that are not open yet, and verify them meanwhile."""
        with self._opening, ThreadPoolExecutor(1) as aside:
            closed = [graph for graph in graphs if graph not in self._opened]
            verified = aside.submit(self.bundle.verify, () if self._trusts else closed)
            try:
                self._opened |= {graph: self._open(graph) for graph in closed}
            finally:
                # That a graph was changed says more than the error of a library that opens it.
                verified.result()

    def encode(self, pixels: Float32) -> Features:
        """Encode normalised RGB pixels (B, 3, H, W), H and W being `info.input_size`."""
        self.info.check_pixels(pixels)
        return Features(*self._run("encoder", FEATURES, {"image": pixels}))

    def decoder_inputs(self, features: Features, prompts: PromptBatch) -> dict[str, Float32]:
        """The arrays that the decoder's graph takes, by name."""
        return decoder_inputs(features, prompts, self._no_mask)

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """Answer L prompts on one image, or one on each of L images, by the batch of `features`.

        Many prompts are asked in parts, which takes as long and less memory.
        """
        logits, scores, _ = self._decode(features, prompts, _ANSWERS)
        return Decoded(logits, scores)

    def decode_objects(self, features: Features, prompts: PromptBatch) -> DecodedObjects:
        """Answer L prompts, as `decode` does, with object scores and pointers."""
        self._check_memory()
        logits, scores, further = self._decode(features, prompts, (*_ANSWERS, *_OBJECTS))
        return DecodedObjects(logits, scores, *map(np.concatenate, zip(*further, strict=True)))

    def memory_inputs(self, features: Features, memories: Memories) -> dict[str, npt.NDArray[Any]]:
        """The arrays that the graph of the memory attention takes, by name, the frame's first."""
        return {"image_embed": features.image_embed, **vars(memories)}

    def condition(self, features: Features, memories: Memories) -> Features:
        """Let one frame's features look at the memories of L objects.

        Many objects are taken in parts, which needs less memory.
        """
        self._check_memory()
        frame, *inputs = self.memory_inputs(features, memories).items()
        objects, *tokens = memories.memory.shape[:3]
        step = max(_TOKENS_AT_ONCE // math.prod(tokens), 1)
        conditioned = [
            self._run(
                "memory_attention",
                ("conditioned_embed",),
                dict([frame, *((name, array[start : start + step]) for name, array in inputs)]),
            )[0]
            for start in range(0, objects, step)
        ]
        embed = conditioned[0] if len(conditioned) == 1 else np.concatenate(conditioned)
        return Features(embed, features.high_res_feats_0, features.high_res_feats_1)

    def remember(
        self, features: Features, mask_logits: Float32, object_scores: Float32, binarize: bool
    ) -> Float32:
        """Make the memories (L, h*w, D) of masks on one frame."""
        self._check_memory()
        inputs = {
            "image_embed": features.image_embed,
            "mask_logits": mask_logits,
            "object_score_logits": object_scores,
            "binarize": np.array([binarize], np.float32),
        }
        return self._run("memory_encoder", ("memory",), inputs)[0]

    def _decode(
        self, features: Features, prompts: PromptBatch, outputs: Sequence[str]
    ) -> tuple[Float32, Float32, list[list[Float32]]]:
        """All tokens' logits and scores, and the further outputs of each part."""
        prompts.check(self.info)
        inputs = self.decoder_inputs(features, prompts)
        count = max(map(len, inputs.values()))
        logits = np.empty((count, 4, *self.info.mask_size), np.float32)
        scores = np.empty((count, 4), np.float32)
        further = []
        step = max(self.pixels_at_once // math.prod(self.info.mask_size), 1)
        for start in range(0, count, step):
            part = slice(start, start + step)
            masks, part_scores, single_mask, single_score, *rest = self._run(
                "decoder",
                outputs,
                {name: array if len(array) == 1 else array[part] for name, array in inputs.items()},
            )
            np.concatenate([single_mask, masks], axis=1, out=logits[part])
            np.concatenate([single_score, part_scores], axis=1, out=scores[part])
            further.append(rest)
        return logits, scores, further

    def _check_memory(self) -> None:
        if self.video is None:
            raise BundleError(
                f"{self.bundle.folder} cannot follow objects, because it has no graphs of the "
                "memory. Export it anew with this sam2lab: python -m sam2lab export "
                f"{self.info.size}"
            )

    def _run(self, graph: str, outputs: Sequence[str], inputs: Inputs) -> list[Float32]:
        """Run one graph, which is opened if it is not open."""
        if graph not in self._opened:
            self.open_graphs([graph])
        return self._compute(self._opened[graph], outputs, inputs)

    @abstractmethod
    def _open(self, graph: str) -> Any:
        """Open a graph with the library."""

    @abstractmethod
    def _compute(self, opened: Any, outputs: Sequence[str], inputs: Inputs) -> list[Float32]:
        """Run what `_open` returned; the arrays of `outputs`, in that order, own their memory."""


def decoder_inputs(
    features: Features, prompts: PromptBatch, no_mask: Float32
) -> dict[str, Float32]:
    """The arrays that a decoder takes, by name; `no_mask` stands where prompts have no mask."""
    mask = prompts.mask_input
    return {
        "image_embed": features.image_embed,
        "high_res_feats_0": features.high_res_feats_0,
        "high_res_feats_1": features.high_res_feats_1,
        "point_coords": prompts.point_coords,
        "point_labels": prompts.point_labels,
        "mask_input": no_mask if mask is None else mask,
        "has_mask_input": np.array([mask is not None], np.float32),
    }
