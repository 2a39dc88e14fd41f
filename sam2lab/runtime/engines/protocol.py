"""The protocol of engines: pixels to features, and features with prompts to masks.

An ability of some engines only, such as the memory of video, belongs in another protocol that
extends `Engine`; callers ask for it with `isinstance`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

SIZES = ("nano", "tiny", "small", "base_plus", "large")
VERSIONS = ("2.0", "2.1")
PRECISIONS = ("float", "fp16", "w8a8")
LITERT_PRECISIONS = (*PRECISIONS, "w8a8-full", "w8a16")
QNN_PRECISIONS = ("float", "w8a8", "w8a16")
# What a model can be exported for, and in which precisions.
TARGETS = {"onnx": PRECISIONS, "litert": LITERT_PRECISIONS, "qnn": QNN_PRECISIONS}
# The places for points in files for devices, unless more are asked for.
POINTS = 8


@dataclass(frozen=True)
class ModelInfo:
    """Describes a model and the origin of its weights.

    `input_size` is (height, width) in pixels; `weights` is `checkpoint:<sha256>`,
    `trained-here:<sha256>` or `random:<seed>`.

    >>> info = ModelInfo(name="tiny", size="tiny", input_size=(720, 1280), weights="random:0")
    >>> info.embed_size, info.mask_size, info.has_random_weights
    ((45, 80), (180, 320), True)
    """

    name: str
    size: str
    input_size: tuple[int, int]
    weights: str
    precision: str = "float"
    version: str = "2.1"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    stride: int = 16

    @property
    def embed_size(self) -> tuple[int, int]:
        """Height and width of the image embedding."""
        height, width = self.input_size
        return height // self.stride, width // self.stride

    @property
    def mask_size(self) -> tuple[int, int]:
        """Height and width of the low-resolution mask logits, four times the embedding's."""
        height, width = self.embed_size
        return 4 * height, 4 * width

    def check_pixels(self, pixels: Float32) -> None:
        """Refuse anything but a batch of pixels (B, 3, H, W) of `input_size`."""
        wanted = (3, *self.input_size)
        if pixels.ndim != 4 or pixels.shape[1:] != wanted:
            expected = ", ".join(map(str, wanted))
            raise ValueError(f"pixels has shape {pixels.shape}; wanted (B, {expected})")

    @property
    def has_random_weights(self) -> bool:
        """Whether masks mean nothing, so that only time and numeric parity can be measured."""
        return self.weights.startswith("random:")


@dataclass(frozen=True, eq=False)
class Features:
    """The encoder's output for B images.

    With (h, w) the embedding's size and C its channels: `image_embed` is (B, C, h, w),
    `high_res_feats_0` is (B, C/8, 4h, 4w), `high_res_feats_1` is (B, C/4, 2h, 2w).
    Compared and hashed by identity, so that an engine may keep a device copy beside it.
    """

    image_embed: Float32
    high_res_feats_0: Float32
    high_res_feats_1: Float32

    @property
    def nbytes(self) -> int:
        """Bytes held by the three arrays."""
        return sum(array.nbytes for array in vars(self).values())

    def split(self) -> list[Features]:
        """One `Features` per image, each owning its memory, so that one can be let go alone.

        >>> batch = Features(*(np.zeros((2, 8, n, n), np.float32) for n in (4, 16, 8)))
        >>> [one.image_embed.shape for one in batch.split()]
        [(1, 8, 4, 4), (1, 8, 4, 4)]
        """
        if len(self.image_embed) == 1:
            return [self]
        return [
            # In the same memory layout, because that changes how a decoder rounds.
            Features(*(array[i : i + 1].copy(order="K") for array in vars(self).values()))
            for i in range(len(self.image_embed))
        ]


# 1 is a positive click, 0 a negative one, 2 and 3 are a box, and -1 is no point.
LABELS = (-1, 0, 1, 2, 3)

# The names of the three arrays, in their order: everything that stores or sends them uses these.
FEATURES = tuple(field.name for field in fields(Features))


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """Prompts for L objects on one image, as the decoder wants them.

    `point_coords` (L, P, 2) is (x, y) in model-input pixels. `point_labels` (L, P) is 1 for
    a positive click, 0 for a negative one, 2 and 3 for a box's top-left and bottom-right
    corner, which come first. P may be 0 where only a mask is given. `mask_input`
    (L or 1, 1, 4h, 4w) holds previous logits. The decoder adds the padding point itself.
    """

    point_coords: Float32
    point_labels: Float32
    mask_input: Float32 | None = None

    @property
    def objects(self) -> int:
        """L, the number of objects asked for."""
        masks = 1 if self.mask_input is None else len(self.mask_input)
        return max(len(self.point_coords), masks)

    def check(self, info: ModelInfo) -> None:
        """Refuse arrays that no decoder of this model takes.

        >>> info = ModelInfo(name="tiny", size="tiny", input_size=(64, 64), weights="random:0")
        >>> PromptBatch(np.zeros((1, 3, 2)), np.zeros((1, 2), np.float32)).check(info)
        Traceback (most recent call last):
        ValueError: point_coords is float64 of shape (1, 3, 2); wanted float32 of shape (1, 2, 2)
        """
        objects, points = (*self.point_labels.shape, 1, 1)[:2]
        mask = self.mask_input
        wanted = [
            ("point_labels", self.point_labels, (objects, points)),
            ("point_coords", self.point_coords, (objects, points, 2)),
        ]
        if mask is not None:
            count = 1 if mask.shape[:1] == (1,) else objects
            wanted.append(("mask_input", mask, (count, 1, *info.mask_size)))
        for name, array, shape in wanted:
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(
                    f"{name} is {array.dtype} of shape {array.shape}; wanted float32 of shape "
                    f"{shape}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds NaN or infinity; wanted finite numbers")
        # np.isin takes longer than all the rest.
        if (self.point_labels != np.rint(self.point_labels).clip(min(LABELS), max(LABELS))).any():
            raise ValueError(f"point_labels holds others than {LABELS}")


class Decoded(NamedTuple):
    """All four mask tokens for L objects: token 0 is the single mask, 1 to 3 the candidates.

    `logits` (L, 4, 4h, 4w) are neither clamped nor thresholded, `scores` (L, 4) are
    predicted IoU.
    """

    logits: Float32
    scores: Float32


@runtime_checkable
class Engine(Protocol):
    """Anything that can encode and decode: `OnnxEngine`, `TorchEngine`, a remote, a fake."""

    @property
    def info(self) -> ModelInfo:
        """The model that this engine runs."""
        ...

    @property
    def key(self) -> str:
        """Names the engine and its weights: equal keys mean interchangeable features."""
        ...

    def encode(self, pixels: Float32) -> Features:
        """Encode normalised pixels (B, 3, H, W) in RGB order."""
        ...

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """Answer L prompts on one image (`features` of batch 1)."""
        ...
