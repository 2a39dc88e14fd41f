"""`ImageEmbedding` holds the features of one image and a key made from its content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Features


def content_key(array: npt.NDArray[Any], *context: str) -> str:
    """Name an array by its content: 64 hex digits over shape, dtype, bytes and `context`.

    `context` names everything else that a result depends on, such as the model's key.

    >>> flat, tall = np.zeros((2, 8), np.uint8), np.zeros((8, 2), np.uint8)
    >>> content_key(flat, "tiny") == content_key(flat.copy(), "tiny")
    True
    >>> len({content_key(flat, "tiny"), content_key(tall, "tiny"), content_key(flat, "small")})
    3
    """
    if array.dtype.kind not in "biuf":
        raise ValueError(f"array must hold numbers or booleans, not dtype {array.dtype}.")
    # JSON marks its own end, so no two different headers and bodies join to the same bytes.
    header = json.dumps([array.dtype.str, array.shape, context]).encode()
    # Recent processors have instructions for SHA-256, which make it twice as fast as BLAKE2.
    digest = hashlib.sha256(header)
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """The features of one image, made once and asked with any number of prompts.

    `key` is `content_key(photo, model_key)`, the same for the same photo and model. `image_size`
    is the photo's (height, width) in pixels, `model_key` is the key of the engine that encoded it,
    `features` are of batch 1.
    """

    key: str
    image_size: tuple[int, int]
    model_key: str
    features: Features

    @property
    def nbytes(self) -> int:
        """Bytes held by the features."""
        return self.features.nbytes
