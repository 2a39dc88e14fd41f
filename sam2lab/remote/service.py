"""Answers requests, without HTTP: named arrays in, named arrays out."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from sam2lab.runtime import images
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.embedding import content_key
from sam2lab.runtime.engines.protocol import Engine, Features, Float32, PromptBatch
from sam2lab.runtime.lru import BoundedMap
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.protocol import Memories, VideoEngine

Arrays = dict[str, npt.NDArray[Any]]
Bytes = npt.NDArray[np.uint8]

# How JPEG and PNG files begin: they tell their size before anything is unpacked, and run no code.
PHOTO_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")

# Photos take seconds and clicks do not, so each kind has a worker of its own.
SLOW = ("encode", "segment", "condition", "remember")
QUICK = ("keep", "fetch", "decode", "decode_objects")

# What one point adds to a layer of the decoder at 1024 x 1024, at most: weights of 8 heads for 4096
# places in float32, from the point and back, before and after the softmax.
POINT_BYTES = 2**19


class Forgotten(LookupError):
    """What a request names is not kept here any more."""


class Service:
    """Answers for one engine; a wrong request raises ValueError with the reason.

    Features and memories of at most `kept_bytes` stay here under handles of 32 bytes; what was used
    longest ago leaves first. A request that needs more than `answer_bytes` is refused.

    The verbs in `SLOW` and `QUICK` take arrays and return arrays.
    """

    def __init__(self, engine: Engine, kept_bytes: int, answer_bytes: int) -> None:
        self.engine = engine
        self.video = engine.video if isinstance(engine, VideoEngine) else None
        self.kept: BoundedMap[str, Any] = BoundedMap(2**20, kept_bytes)
        self.answer_bytes = answer_bytes
        self._segmenter = Segmenter(engine)

    def greeting(self) -> dict[str, Any]:
        """What a client must know before it asks."""
        video = self.video and asdict(self.video)
        return {"key": self.engine.key, "info": asdict(self.engine.info), "video": video}

    def answer(self, verb: str, body: bytes) -> bytes:
        """Answer one request."""
        return pack(getattr(self, verb)(**load(body)))

    def encode(self, pixels: Float32) -> Arrays:
        """Encode pixels (B, 3, H, W); return the handles (B, 32) of features kept here.

        It encodes even what it has, so that its time can be measured. Equal pixels get the same
        handle, so encoding them again takes no more room.
        """
        self.engine.info.check_pixels(pixels)
        made = self.engine.encode(pixels).split()
        names = [content_key(one, self.engine.key) for one in pixels]
        return {"handles": np.stack([self._keep(*one) for one in zip(made, names, strict=True)])}

    def keep(self, **features: Float32) -> Arrays:
        """Keep features that were made elsewhere."""
        return {"handle": self._keep(Features(**features), secrets.token_hex(32))}

    def fetch(self, handle: Bytes) -> Arrays:
        """Return the features that a handle names."""
        return vars(self._kept(handle))

    def decode(self, handle: Bytes, **prompts: Float32) -> Arrays:
        """Answer prompts on features: all logits and scores."""
        return self.engine.decode(self._kept(handle), self._checked(prompts))._asdict()

    def decode_objects(self, handle: Bytes, **prompts: Float32) -> Arrays:
        """Answer prompts as `decode` does, with object scores and pointers."""
        return self._follower().decode_objects(self._kept(handle), self._checked(prompts))._asdict()

    def condition(self, handle: Bytes, names: Bytes, new: Float32, **rest: Any) -> Arrays:
        """Let features look at memories; return the handle of what came of it.

        `names` (L, M, 32) are content keys of memories (h*w, D), of which `new` (N, h*w, D) holds
        those that were not sent before. `rest` is as in `Memories`.
        """
        for one in new:
            self._keep(one.copy(), content_key(one))
        each = [self._kept(name) for name in names.reshape(-1, 32)]
        self._check_bytes(sum(one.nbytes for one in each))
        memory = np.stack(each).reshape(*names.shape[:2], *each[0].shape)
        memories = Memories(memory, **rest)
        made = self._follower().condition(self._kept(handle), memories)
        return {"handle": self._keep(made, secrets.token_hex(32))}

    def remember(self, handle: Bytes, binarize: npt.NDArray[np.bool_], **masks: Float32) -> Arrays:
        """Make the memories of masks on one frame."""
        features = self._kept(handle)
        return {"memory": self._follower().remember(features, binarize=bool(binarize), **masks)}

    def segment(
        self, photo: Bytes, multi_mask_output: npt.NDArray[np.bool_], **prompts: Any
    ) -> Arrays:
        """Answer prompts in pixels of a photo's file: packed masks at its size, and scores."""
        file, multi_mask = photo.tobytes(), bool(multi_mask_output)
        if not file.startswith(PHOTO_STARTS):
            raise ValueError("photo is no file in JPEG or PNG; save it as one of them")
        rgb = images.read(file)
        height, width = rgb.shape[:2]
        asked = prompting.encode((height, width), self.engine.info, **prompts)
        self._check_amount(asked, (3 if multi_mask else 1) * height * width)
        (embedding,) = self._segmenter.embed_images(rgb, use_embeddings_cache=False)
        found = self._segmenter.answer(embedding, asked, multi_mask_output=multi_mask)
        # As bits, deflated, masks take about one hundredth of their bytes. Higher levels take
        # longer than loopback takes to carry what they save.
        bits = zlib.compress(np.packbits(found.masks.view(bool)).tobytes(), level=1)
        shape = np.array(found.masks.shape)
        return {"bits": np.frombuffer(bits, np.uint8), "shape": shape, "scores": found.scores}

    def _follower(self) -> VideoEngine:
        if not isinstance(self.engine, VideoEngine):
            raise ValueError(f"{self.engine.key} cannot follow objects through a video")
        return self.engine

    def _keep(self, value: Any, name: str) -> Bytes:
        if name in self.kept.put(name, value):
            raise ValueError(
                f"what one image needs takes {value.nbytes} bytes, this server keeps "
                f"{self.kept.max_bytes}; serve with larger kept_bytes="
            )
        return np.frombuffer(bytes.fromhex(name), np.uint8)

    def _kept(self, handle: Bytes) -> Any:
        found = self.kept.get(handle.tobytes().hex())
        if found is None:
            raise Forgotten("what the request names is not kept here any more")
        return found

    def _checked(self, arrays: dict[str, Float32]) -> PromptBatch:
        prompts, (height, width) = PromptBatch(**arrays), self.engine.info.mask_size
        prompts.check(self.engine.info)
        # Four low-resolution masks of float32 for each object.
        self._check_amount(prompts, 4 * 4 * height * width)
        return prompts

    def _check_amount(self, prompts: PromptBatch, bytes_per_object: int) -> None:
        points = prompts.point_labels.size
        self._check_bytes(prompts.objects * bytes_per_object + points * POINT_BYTES)

    def _check_bytes(self, needed: int) -> None:
        if needed > self.answer_bytes:
            raise ValueError(
                f"the answer takes {needed} bytes, this server gives {self.answer_bytes}; ask for "
                "fewer objects at once or a smaller photo, or serve with larger answer_bytes="
            )


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Write named arrays as safetensors, which `load` reads without running code."""
    # safetensors writes memory as it lies, whatever its order.
    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})
