"""Packs what client and server send each other: named arrays as safetensors, which runs no code."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from sam2lab.runtime.engines.protocol import ModelInfo

Arrays = dict[str, npt.NDArray[Any]]

HOST = "127.0.0.1"
FORMAT = "sam2lab remote 1"

# The shortest and the longest time, in seconds, that either side may be told to wait.
WAITING_S = (0.001, 86_400)


class RemoteError(RuntimeError):
    """The server did not answer, or not as it should; the message says what to do."""


class RefusedError(RemoteError, ValueError):
    """The request is wrong, and the message says how."""


class FeaturesGone(RefusedError):
    """The server no longer keeps the features of an image: it has to be encoded again."""


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Write named arrays as one body.

    >>> unpack(pack({"scores": np.ones(2, np.float32)}), {"scores": "float32"})["scores"]
    array([1., 1.], dtype=float32)
    """
    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def unpack(body: bytes, dtypes: Mapping[str, str], optional: Collection[str] = ()) -> Arrays:
    """Read a body that holds arrays of these names and dtypes; those in `optional` may lack."""
    try:
        arrays: Arrays = load(body)
    # A sound header may have a dtype or a shape that numpy lacks, and then any error is raised.
    except Exception as error:
        raise RefusedError(f"the body is not safetensors that numpy can hold: {error}") from error
    for name, array in arrays.items():
        if name not in dtypes:
            raise RefusedError(f"the body holds {name!r:.80}; wanted {', '.join(dtypes)}")
        if array.dtype != np.dtype(dtypes[name]):
            raise RefusedError(f"{name} is of dtype {array.dtype}; wanted {dtypes[name]}")
    missing = [name for name in dtypes if name not in arrays and name not in optional]
    if missing:
        raise RefusedError(f"the body lacks {', '.join(missing)}")
    return arrays


def pack_masks(masks: npt.NDArray[Any]) -> Arrays:
    """Compress boolean masks of any shape to bits: about one hundredth of their bytes.

    >>> masks = np.eye(3, dtype=bool)[None]
    >>> bool((unpack_masks(**pack_masks(masks)) == masks).all())
    True
    """
    # Level 1: higher levels take longer than loopback takes to carry what they save.
    deflated = zlib.compress(np.packbits(masks).tobytes(), level=1)
    return {"masks": np.frombuffer(deflated, np.uint8), "shape": np.array(masks.shape, np.int64)}


def unpack_masks(
    masks: npt.NDArray[np.uint8], shape: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Undo `pack_masks`; takes no more memory than `shape` needs."""
    sides = [int(side) for side in shape]
    count = math.prod(sides)
    try:
        bits = zlib.decompressobj().decompress(masks.tobytes(), max(count, 0) // 8 + 2)
    except (zlib.error, OverflowError) as error:
        raise RefusedError(f"masks cannot be unpacked: {error}") from error
    if min(sides, default=0) < 0 or len(bits) != math.ceil(count / 8):
        raise RefusedError(f"masks unpack to {len(bits)} bytes or more; their shape is {sides}")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).view(bool).reshape(sides)


def pack_greeting(info: ModelInfo, key: str, body_bytes: int) -> bytes:
    """Write what a client must know first: the model, the engine's key, the largest body."""
    greeting = {"format": FORMAT, "key": key, "body_bytes": body_bytes, "info": asdict(info)}
    return json.dumps(greeting).encode()


def unpack_greeting(body: bytes) -> tuple[ModelInfo, str, int]:
    """Undo `pack_greeting`."""
    try:
        greeting = json.loads(body)
        if greeting["format"] != FORMAT:
            raise ValueError
        # JSON has no tuples.
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in greeting["info"].items()
        }
        return ModelInfo(**fields), str(greeting["key"]), int(greeting["body_bytes"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RemoteError(
            f"what listens there does not speak {FORMAT!r}; wanted the url of serve(engine)"
        ) from error
