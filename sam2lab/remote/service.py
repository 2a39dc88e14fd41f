"""What the server does for a request, without HTTP: arrays in, arrays or a refusal out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.remote import wire
from sam2lab.remote.requests import (
    Limits,
    Refused,
    check_amount,
    read_features,
    read_photo,
    read_pixels,
    read_prompts,
)
from sam2lab.remote.wire import Arrays
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.embedding import content_key
from sam2lab.runtime.engines.protocol import Decoded, Engine, Features, PromptBatch
from sam2lab.runtime.lru import BoundedMap
from sam2lab.runtime.prompts import PromptError
from sam2lab.runtime.segmenter import Segmenter

LOG = logging.getLogger("sam2lab.remote")

HANDLE = {"handle": "uint8"}
GIVEN = dict.fromkeys(wire.FEATURES, "float32")
BATCH = dict.fromkeys(("point_coords", "point_labels", "mask_input"), "float32")
PROMPTS = {
    "point_coordinates": "float64",
    "point_labels": "float64",
    "boxes": "float64",
    "mask_input": "float32",
}
PHOTO = {"photo": "uint8", "multi_mask_output": "bool"}


class Service:
    """Answers for one engine, from any number of threads.

    One photo is worked on at a time, and beside it one set of prompts: an engine has use for
    every core, so more at once would only add to the memory.
    """

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine = engine
        self.limits = limits
        self.features: BoundedMap[str, Features] = BoundedMap(2**20, limits.features_bytes)
        self.routes: dict[str, Callable[[bytes], Arrays]] = {
            "/encode": self.encode,
            "/decode": self.decode,
            "/features": self.fetch,
            "/segment": self.segment,
        }
        self._segmenter = Segmenter(engine)
        self._photo = Lock()
        self._prompts = Lock()

    def greeting(self) -> bytes:
        """What a client must know before it asks."""
        return wire.pack_greeting(self.engine.info, self.engine.key, self.limits.body_bytes)

    def encode(self, body: bytes) -> Arrays:
        """Pixels (B, 3, H, W) → B handles of features that are kept here, and their bytes.

        It always encodes, even what it has: whoever times an engine wants it to work. Equal
        pixels get the same handle, so doing it again takes no more room.
        """
        pixels = read_pixels(wire.unpack(body, {"pixels": "float32"}), self.engine.info)
        with self._photo:
            made = self.engine.encode(pixels).split()
        handles = [content_key(one, self.engine.key) for one in pixels]
        for handle, features in zip(handles, made, strict=True):
            if handle in self.features.put(handle, features):
                raise Refused(
                    413,
                    f"an image's features take {features.nbytes} bytes, this server keeps "
                    f"{self.limits.features_bytes}; serve with larger Limits(features_bytes=)",
                )
        return {
            "handles": np.array([list(bytes.fromhex(handle)) for handle in handles], np.uint8),
            "nbytes": np.array([features.nbytes for features in made], np.int64),
        }

    def fetch(self, body: bytes) -> Arrays:
        """A handle → the features themselves."""
        features = self._kept(wire.unpack(body, HANDLE)["handle"])
        return {name: getattr(features, name) for name in wire.FEATURES}

    def decode(self, body: bytes) -> Arrays:
        """A handle, or features themselves, with prompts → logits and scores of every token."""
        asked = wire.unpack(body, HANDLE | GIVEN | BATCH, (*HANDLE, *GIVEN, "mask_input"))
        prompts = read_prompts(asked, self.engine.info, self.limits)
        if "handle" in asked:
            answer = self._decode(self._kept(asked["handle"]), prompts)
        else:
            features = read_features(asked, self.engine.info)
            try:
                answer = self._decode(features, prompts)
            except Exception as error:
                LOG.info("The engine cannot use a client's features", exc_info=True)
                wanted = f"wanted those that {self.engine.key} makes"
                raise Refused(400, f"the engine cannot use these features; {wanted}") from error
        return {"logits": answer.logits, "scores": answer.scores}

    def segment(self, body: bytes) -> Arrays:
        """A photo's file and prompts in its pixels → packed masks at its size, and scores."""
        asked = wire.unpack(body, PHOTO | PROMPTS, tuple(PROMPTS))
        if asked["multi_mask_output"].shape != ():
            raise Refused(400, "multi_mask_output is an array; wanted a single boolean")
        multi_mask = bool(asked["multi_mask_output"])
        with self._photo:
            rgb = read_photo(asked["photo"].tobytes(), self.limits)
            height, width = rgb.shape[:2]
            try:
                prompts = prompting.encode(
                    (height, width),
                    self.engine.info,
                    point_coordinates=asked.get("point_coordinates"),
                    point_labels=asked.get("point_labels"),
                    boxes=asked.get("boxes"),
                    mask_input=asked.get("mask_input"),
                )
            except PromptError as error:
                raise Refused(400, str(error)) from error
            check_amount(prompts, (3 if multi_mask else 1) * height * width, self.limits)
            (embedding,) = self._segmenter.embed_images([rgb], use_embeddings_cache=False)
            prediction = self._segmenter.answer(embedding, prompts, multi_mask_output=multi_mask)
        return wire.pack_masks(prediction.masks) | {"scores": prediction.scores}

    def _decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        with self._prompts:
            return self.engine.decode(features, prompts)

    def _kept(self, handle: npt.NDArray[Any]) -> Features:
        if handle.shape != (32,):
            raise Refused(400, f"handle has shape {handle.shape}; wanted (32,)")
        found = self.features.get(handle.tobytes().hex())
        self.features.count(hits=found is not None, misses=found is None)
        if found is None:
            raise Refused(
                410, "the features of this image are not kept here, or no longer; encode it again"
            )
        return found
