"""Answers requests, without HTTP: a body of arrays in, arrays out."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2lab.remote import wire
from sam2lab.remote.wire import Arrays, FeaturesGone, RefusedError
from sam2lab.runtime import images as photos
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.arguments import number, whole
from sam2lab.runtime.embedding import content_key
from sam2lab.runtime.engines.protocol import FEATURES, Engine, Features, PromptBatch
from sam2lab.runtime.lru import BoundedMap
from sam2lab.runtime.segmenter import Segmenter

LOG = logging.getLogger("sam2lab.remote")

MIB = 2**20

# Files of these formats tell their size before anything is unpacked, and run no code.
PHOTO_FORMATS = ("JPEG", "PNG")
LABELS = (0, 1, 2, 3)

HANDLE = {"handle": "uint8"}
GIVEN = dict.fromkeys(FEATURES, "float32")
BATCH = dict.fromkeys(("point_coords", "point_labels", "mask_input"), "float32")
PROMPTS = dict.fromkeys(("point_coordinates", "point_labels", "boxes"), "float64")
PROMPTS |= {"mask_input": "float32"}
PHOTO = {"photo": "uint8", "multi_mask_output": "bool"}


@dataclass(frozen=True)
class Limits:
    """Bounds on what a server gives to all its clients together, and to one request.

    Features of `features_bytes` are kept; those used longest ago leave first. A request has
    at most `body_bytes`, a photo at most `photo_pixels`, prompts are for at most `objects` with
    `points` points in all (a box is two), and answers have at most `answer_bytes` before they
    are packed. A request's body must arrive within `request_s`, its answer must be taken within
    `request_s`, and a connection on which nothing is asked for `idle_s` is closed. Both are in
    seconds, a day at most.
    """

    features_bytes: int = 1024 * MIB
    body_bytes: int = 64 * MIB
    photo_pixels: int = 50_000_000
    objects: int = 64
    points: int = 1024
    answer_bytes: int = 512 * MIB
    request_s: float = 20.0
    idle_s: float = 60.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("_s"):
                number(name, value, *wire.WAITING_S)
            else:
                whole(name, value, 1)


class Service:
    """Answers for one engine; a wrong request raises RefusedError with the reason.

    `photo_routes` are slow and `prompt_routes` quick. One of each may run at once, no more: an
    engine uses every core, so more would only take more memory.
    """

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine = engine
        self.limits = limits
        self.features: BoundedMap[str, Features] = BoundedMap(2**20, limits.features_bytes)
        self.photo_routes: dict[str, Callable[[bytes], Arrays]] = {
            "/encode": self.encode,
            "/segment": self.segment,
        }
        self.prompt_routes: dict[str, Callable[[bytes], Arrays]] = {
            "/decode": self.decode,
            "/features": self.fetch,
        }
        self._segmenter = Segmenter(engine)

    def greeting(self) -> bytes:
        """Tell what a client must know before it asks."""
        return wire.pack_greeting(self.engine.info, self.engine.key, self.limits.body_bytes)

    def encode(self, body: bytes) -> Arrays:
        """Encode pixels (B, 3, H, W); return B handles of features kept here, and their bytes.

        It encodes even what it has, so that its time can be measured. Equal pixels get the same
        handle, so encoding them again takes no more room.
        """
        pixels = _arrays(body, {"pixels": "float32"})["pixels"]
        with _refusing():
            self.engine.info.check_pixels(pixels)
        if not len(pixels):
            raise RefusedError(f"pixels has shape {pixels.shape}; wanted one image or more")
        made = self.engine.encode(pixels).split()
        handles = [content_key(one, self.engine.key) for one in pixels]
        for handle, features in zip(handles, made, strict=True):
            if handle in self.features.put(handle, features):
                raise RefusedError(
                    f"an image's features take {features.nbytes} bytes, this server keeps "
                    f"{self.limits.features_bytes}; serve with larger Limits(features_bytes=)"
                )
        return {
            "handles": np.array([list(bytes.fromhex(handle)) for handle in handles], np.uint8),
            "nbytes": np.array([features.nbytes for features in made], np.int64),
        }

    def fetch(self, body: bytes) -> Arrays:
        """Return the features that a handle names."""
        features = self._kept(_arrays(body, HANDLE)["handle"])
        return {name: getattr(features, name) for name in FEATURES}

    def decode(self, body: bytes) -> Arrays:
        """Answer prompts on kept features, or on those sent along: all logits and scores."""
        asked = _arrays(body, HANDLE | GIVEN | BATCH, (*HANDLE, *GIVEN, "mask_input"))
        prompts = self._prompts(asked)
        if "handle" in asked:
            answer = self.engine.decode(self._kept(asked["handle"]), prompts)
        else:
            features = self._given_features(asked)
            try:
                answer = self.engine.decode(features, prompts)
            except Exception as error:
                LOG.info("The engine cannot use a client's features", exc_info=True)
                raise RefusedError(
                    f"the engine cannot use these features; wanted those of {self.engine.key}"
                ) from error
        return {"logits": answer.logits, "scores": answer.scores}

    def segment(self, body: bytes) -> Arrays:
        """Answer prompts in a photo's pixels: packed masks at the photo's size, and scores."""
        asked = _arrays(body, PHOTO | PROMPTS, PROMPTS)
        given: dict[str, Any] = {name: asked.get(name) for name in PROMPTS}
        with _refusing():
            multi_mask = bool(asked["multi_mask_output"])
            rgb = read_photo(asked["photo"].tobytes(), self.limits.photo_pixels)
            height, width = rgb.shape[:2]
            prompts = prompting.encode((height, width), self.engine.info, **given)
        self._check_amount(prompts, (3 if multi_mask else 1) * height * width)
        (embedding,) = self._segmenter.embed_images([rgb], use_embeddings_cache=False)
        prediction = self._segmenter.answer(embedding, prompts, multi_mask_output=multi_mask)
        return wire.pack_masks(prediction.masks) | {"scores": prediction.scores}

    def _kept(self, handle: npt.NDArray[Any]) -> Features:
        if handle.shape != (32,):
            raise RefusedError(f"handle has shape {handle.shape}; wanted (32,)")
        found = self.features.get(handle.tobytes().hex())
        self.features.count(hits=found is not None, misses=found is None)
        if found is None:
            raise FeaturesGone("the features of this image are not kept here; encode it again")
        return found

    def _given_features(self, arrays: Arrays) -> Features:
        """Check one image's features; only the engine knows how many channels they should have."""
        missing = [name for name in FEATURES if name not in arrays]
        if missing:
            raise RefusedError(f"the body lacks handle, or else {', '.join(missing)}")
        for name, scale in zip(FEATURES, (1, 4, 2), strict=True):
            shape = arrays[name].shape
            height, width = (scale * side for side in self.engine.info.embed_size)
            if len(shape) != 4 or shape[0] != 1 or shape[2:] != (height, width):
                raise RefusedError(f"{name} has shape {shape}; wanted (1, C, {height}, {width})")
        return Features(**{name: arrays[name] for name in FEATURES})

    def _prompts(self, arrays: Arrays) -> PromptBatch:
        coords, labels = arrays["point_coords"], arrays["point_labels"]
        mask = arrays.get("mask_input")
        objects, (height, width) = len(labels) if labels.ndim else 0, self.engine.info.mask_size
        if labels.ndim != 2 or coords.shape != (*labels.shape, 2):
            raise RefusedError(
                f"point_coords has shape {coords.shape} and point_labels {labels.shape}; wanted "
                "(L, P, 2) and (L, P)"
            )
        if not objects or (not labels.size and mask is None):
            raise RefusedError("no prompt; wanted a point, a box or a mask_input for each object")
        if mask is not None and mask.shape not in [(n, 1, height, width) for n in (1, objects)]:
            raise RefusedError(
                f"mask_input has shape {mask.shape}; wanted ({objects} or 1, 1, {height}, {width})"
            )
        prompts = PromptBatch(coords, labels, mask)
        # The answer has four low-resolution masks of float32 for each object.
        self._check_amount(prompts, 4 * 4 * height * width)
        if not np.isin(labels, LABELS).all():
            raise RefusedError(f"point_labels holds others than {LABELS}")
        return prompts

    def _check_amount(self, prompts: PromptBatch, bytes_per_object: int) -> None:
        """Refuse prompts that would take too much memory to answer."""
        objects, points, limits = prompts.objects, prompts.point_labels.size, self.limits
        if objects > limits.objects or points > limits.points:
            raise RefusedError(
                f"{objects} objects with {points} points in all; this server takes "
                f"{limits.objects} with {limits.points}: ask in several requests"
            )
        if objects * bytes_per_object > limits.answer_bytes:
            raise RefusedError(
                f"the answer would take {objects * bytes_per_object} bytes, this server gives "
                f"{limits.answer_bytes}; ask for fewer objects at once, or about a smaller photo"
            )


def read_photo(file: bytes, most_pixels: int) -> photos.RGB:
    """Read a JPEG or PNG as `images.read` does; its size is checked before it is unpacked."""
    try:
        with Image.open(io.BytesIO(file), formats=PHOTO_FORMATS) as opened:
            if opened.width * opened.height > most_pixels:
                raise RefusedError(
                    f"photo has {opened.width} x {opened.height} pixels, this server takes "
                    f"{most_pixels} in all; send it smaller"
                )
            return photos.read(opened)
    except (RefusedError, photos.ImageError):
        raise
    # Pillow may raise any error on a damaged file.
    except Exception as error:
        wanted = f"wanted a file in {' or '.join(PHOTO_FORMATS)} that can be read"
        raise RefusedError(f"photo is no picture or damaged; {wanted}") from error


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Turn what a check of the runtime says into a refusal."""
    try:
        yield
    except ValueError as error:
        raise RefusedError(str(error)) from error


def _arrays(body: bytes, dtypes: Mapping[str, str], optional: Collection[str] = ()) -> Arrays:
    """Read a request's arrays; all their numbers must be finite."""
    arrays = wire.unpack(body, dtypes, optional)
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise RefusedError(f"{name} holds NaN or infinity; wanted finite numbers")
    return arrays
