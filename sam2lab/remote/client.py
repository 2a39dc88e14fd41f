"""`RemoteEngine`: an engine that asks a server."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from sam2lab.remote.connection import Connection, ForgottenError
from sam2lab.remote.features import RemoteFeatures, joined
from sam2lab.remote.network import SimulatedNetwork
from sam2lab.remote.service import Arrays, Bytes
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.arguments import existing_file
from sam2lab.runtime.embedding import content_key
from sam2lab.runtime.engines.protocol import (
    FEATURES,
    Decoded,
    Features,
    Float32,
    ModelInfo,
    PromptBatch,
)
from sam2lab.runtime.typed_json import get
from sam2lab.runtime.video.protocol import DecodedObjects, Memories, VideoSettings

# How many memories a client knows to be on the server, in about 10 MB.
MOST_SENT = 100_000


class Segmented(NamedTuple):
    """The answer of `RemoteEngine.segment`.

    With C candidates (3, or 1): `masks` (C, H, W) boolean at the photo's size, `scores` (C,)
    predicted IoU. Where prompts for L > 1 objects were given, each has a first axis of L.
    """

    masks: npt.NDArray[np.bool_]
    scores: Float32


class RemoteEngine(Connection):
    """The engine that `serve(engine)` serves, with the same interface.

    Features stay on the server, which keeps those used last, and cross the line only when their
    arrays are read. What the server has let go is sent again, or made again from what was sent: a
    decode costs an encode then. Any number of threads may ask: connections stay open until
    `close()`, and asking again opens new ones. `last_trip` is the last request of any thread.

    With a `network` each request also waits for that simulated line. `key` and `info.name` say
    so, and so does what is made with this engine.

    ```python
    with serve(engine) as server, RemoteEngine(server.url, server.token) as remote:
        masks, scores = remote.segment("photo.jpg", boxes=[40, 40, 200, 160])
        print(remote.last_trip)
    ```
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        network: SimulatedNetwork | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        super().__init__(url, token, network, timeout_s)
        self.key = f"remote:{self.greeting['key']}"
        self.info: ModelInfo = get(ModelInfo, self.greeting, "info")
        if network is not None:
            self.key += f":{network}, seed {network.seed}"
            self.info = replace(self.info, name=f"{self.info.name}, simulated {network.name}")
        video = self.greeting["video"]
        self.video: VideoSettings | None = video and get(VideoSettings, self.greeting, "video")
        # Where the server keeps features, and how it makes those that were made there.
        self._handles: WeakKeyDictionary[Features, Bytes] = WeakKeyDictionary()
        self._makers: WeakKeyDictionary[Features, Callable[[], Bytes]] = WeakKeyDictionary()
        self._sent: set[str] = set()

    def encode(self, pixels: Float32) -> RemoteFeatures:
        """Encode normalised pixels (B, 3, H, W) in RGB order; the features stay there."""
        handles = self.ask("/encode", pixels=np.asarray(pixels, np.float32))["handles"]
        images = [self._encoded(*one) for one in zip(pixels, handles, strict=True)]
        return images[0] if len(images) == 1 else joined(images)

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """Answer L prompts on one image (`features` of batch 1)."""
        return Decoded(**self._about("/decode", features, **_arrays(prompts)))

    def decode_objects(self, features: Features, prompts: PromptBatch) -> DecodedObjects:
        """Answer L prompts, as `decode` does, with object scores and pointers."""
        return DecodedObjects(**self._about("/decode_objects", features, **_arrays(prompts)))

    def condition(self, features: Features, memories: Memories) -> RemoteFeatures:
        """Let one frame's features look at the memories of L objects; the result stays there.

        The server keeps memories by their content, so that each goes up once, not with each frame:
        with seven memories of 1 MB, at 1024 x 1024, a frame sends 1.1 MB for an object, not 7.4.
        """

        def make() -> Bytes:
            return self._about("/condition", features, **vars(memories))["handle"]

        return self._remote(memories.memory.nbytes, make, make())

    def remember(
        self, features: Features, mask_logits: Float32, object_scores: Float32, binarize: bool
    ) -> Float32:
        """Make the memories (L, h*w, D) of masks on one frame."""
        given = {"mask_logits": mask_logits, "object_scores": object_scores}
        return self._about("/remember", features, binarize=np.array(binarize), **given)["memory"]

    def segment(
        self,
        photo: str | os.PathLike[str] | bytes,
        *,
        point_coordinates: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        boxes: npt.ArrayLike | None = None,
        mask_input: npt.ArrayLike | None = None,
        multi_mask_output: bool = True,
    ) -> Segmented:
        """Send a photo and prompts, get masks, as cloud services do; nothing is remembered.

        `photo` is a JPEG or PNG file or its bytes, and goes up as it is. Prompts are those of
        `Segmenter.segment_images` for one image, in pixels of the photo.
        """
        if not isinstance(photo, bytes):
            wanted = "the path of a JPEG or PNG file, or its bytes; arrays go to Segmenter(remote)"
            photo = existing_file("photo", photo, wanted).read_bytes()
        prompts = {"point_coordinates": point_coordinates, "point_labels": point_labels}
        prompts |= {"boxes": boxes, "mask_input": mask_input}
        answer = self.ask(
            "/segment",
            photo=np.frombuffer(photo, np.uint8),
            multi_mask_output=np.array(bool(multi_mask_output)),
            **{name: _numbers(name, it) for name, it in prompts.items() if it is not None},
        )
        bits, shape = zlib.decompress(answer["bits"].tobytes()), answer["shape"].tolist()
        masks = np.unpackbits(np.frombuffer(bits, np.uint8), count=math.prod(shape))
        return Segmented(masks.view(bool).reshape(shape), answer["scores"])

    def __repr__(self) -> str:
        line = self.network or "the line as it is"
        return f"<RemoteEngine: {self.info.name} at {self.url} over {line}>"

    def _encoded(self, pixels: Float32, handle: Bytes) -> RemoteFeatures:
        pixels = np.array(pixels[None], np.float32)
        return self._remote(
            pixels.nbytes, lambda: self.ask("/encode", pixels=pixels)["handles"][0], handle
        )

    def _remote(self, nbytes: int, make: Callable[[], Bytes], handle: Bytes) -> RemoteFeatures:
        made = RemoteFeatures(nbytes, lambda features: self._about("/fetch", features))
        self._makers[made] = make
        self._handles[made] = handle
        return made

    def _about(self, route: str, features: Features, **arrays: npt.NDArray[Any]) -> Arrays:
        """Ask about features, and once more where the server has forgotten what is named."""
        try:
            return self.ask(route, handle=self._handle(features), **self._named(**arrays))
        except ForgottenError:
            self._handles.pop(features, None)
            self._sent.clear()
            return self.ask(route, handle=self._handle(features), **self._named(**arrays))

    def _handle(self, features: Features) -> Bytes:
        """The handle of features on the server, which makes them or is sent them first."""
        if features not in self._handles:
            make = self._makers.get(features)
            given = {} if make else {name: getattr(features, name) for name in FEATURES}
            self._handles[features] = make() if make else self.ask("/keep", **given)["handle"]
        return self._handles[features]

    def _named(self, memory: Float32 | None = None, **arrays: npt.NDArray[Any]) -> Arrays:
        """Put names and those memories that the server lacks in the place of all memories."""
        if memory is None:
            return arrays
        each = memory.reshape(-1, *memory.shape[2:])
        names = [content_key(one) for one in each]
        new = {name: one for name, one in zip(names, each, strict=True) if name not in self._sent}
        if len(self._sent) > MOST_SENT:
            self._sent.clear()
        self._sent |= new.keys()
        arrays["names"] = np.frombuffer(bytes.fromhex("".join(names)), np.uint8)
        arrays["names"] = arrays["names"].reshape(*memory.shape[:2], 32)
        arrays["new"] = np.array(list(new.values()), np.float32).reshape(-1, *each.shape[1:])
        return arrays


def _arrays(prompts: PromptBatch) -> Arrays:
    return {name: array for name, array in vars(prompts).items() if array is not None}


def _numbers(name: str, prompt: npt.ArrayLike) -> npt.NDArray[Any]:
    """Turn a prompt into numbers that can be sent; the server checks their values."""
    array = prompting.as_array(name, prompt)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} is of dtype {array.dtype}; wanted an array or list of numbers")
    return array
