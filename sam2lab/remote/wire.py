"""What client and server send each other: named arrays as safetensors, which runs nothing."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sam2lab.runtime.engines.protocol import ModelInfo

Arrays = dict[str, npt.NDArray[Any]]

FORMAT = "sam2lab remote 1"
ARRAYS_TYPE = "application/x-safetensors"
FEATURES = ("image_embed", "high_res_feats_0", "high_res_feats_1")

# The least and the most that either side may be told to wait: sockets cannot wait for ever.
WAITING_S = (0.001, 86_400)

# A dozen names and shapes take far less; a header is parsed before anything in it is checked.
MAX_HEADER_BYTES = 16 * 1024


class WireError(ValueError):
    """A body is not what was agreed; the message says in what."""


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Named arrays as one body.

    >>> unpack(pack({"scores": np.ones(2, np.float32)}), {"scores": "float32"})["scores"]
    array([1., 1.], dtype=float32)
    """
    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def unpack(body: bytes, dtypes: Mapping[str, str], optional: Collection[str] = ()) -> Arrays:
    """The arrays in a body: these names and dtypes and no others, but for `optional` ones."""
    if len(body) < 8:
        raise WireError(f"the body has {len(body)} bytes; wanted arrays as safetensors")
    (header_bytes,) = struct.unpack_from("<Q", body)
    if header_bytes > MAX_HEADER_BYTES:
        raise WireError(
            f"the body's header claims {header_bytes} bytes; wanted arrays as safetensors, with "
            f"a header of at most {MAX_HEADER_BYTES}"
        )
    try:
        arrays: Arrays = load(body)
    except SafetensorError as error:
        raise WireError(f"the body is not safetensors: {error}") from error
    # Of a sound header, safetensors and numpy may still not know a dtype or hold a shape.
    except Exception as error:
        raise WireError("the body's arrays have dtypes or shapes that numpy lacks") from error
    for name, array in arrays.items():
        if name not in dtypes:
            raise WireError(f"the body holds {name!r:.80}; wanted {', '.join(dtypes)}")
        if array.dtype != np.dtype(dtypes[name]):
            raise WireError(f"{name} is of dtype {array.dtype}; wanted {dtypes[name]}")
    missing = [name for name in dtypes if name not in arrays and name not in optional]
    if missing:
        raise WireError(f"the body lacks {', '.join(missing)}")
    return arrays


def pack_masks(masks: npt.NDArray[Any]) -> Arrays:
    """Boolean masks of any shape as bits, deflated: about one hundredth of their bytes.

    >>> masks = np.eye(3, dtype=bool)[None]
    >>> bool((unpack_masks(**pack_masks(masks)) == masks).all())
    True
    """
    # Level 1: what higher levels save, loopback carries in less time than they take.
    deflated = zlib.compress(np.packbits(masks).tobytes(), level=1)
    return {
        "masks": np.frombuffer(deflated, np.uint8),
        "shape": np.array(masks.shape, np.int64),
    }


def unpack_masks(
    masks: npt.NDArray[np.uint8], shape: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """What `pack_masks` packed; never unpacks to more than `shape` says."""
    sides = [int(side) for side in shape]
    count = math.prod(sides)
    packed = math.ceil(count / 8)
    if min(sides, default=0) < 0:
        raise WireError(f"masks claim the shape {sides}")
    try:
        bits = zlib.decompressobj().decompress(masks.tobytes(), packed + 1)
    except (zlib.error, OverflowError) as error:
        raise WireError(f"masks cannot be unpacked: {error}") from error
    if len(bits) != packed:
        raise WireError(f"masks unpack to {len(bits)} bytes, their shape {sides} takes {packed}")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).view(bool).reshape(sides)


def pack_greeting(info: ModelInfo, key: str, body_bytes: int) -> bytes:
    """What a server says about itself: its model, its engine's key, the largest body it takes."""
    greeting = {"format": FORMAT, "key": key, "body_bytes": body_bytes, "info": asdict(info)}
    return json.dumps(greeting).encode()


def unpack_greeting(body: bytes) -> tuple[ModelInfo, str, int]:
    """What `pack_greeting` packed."""
    try:
        greeting = json.loads(body)
        if greeting["format"] != FORMAT:
            raise WireError(f"it speaks {greeting['format']!r:.80}; wanted {FORMAT!r}")
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in greeting["info"].items()
        }
        return ModelInfo(**fields), str(greeting["key"]), int(greeting["body_bytes"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, WireError):
            raise
        raise WireError("it does not introduce itself as a server of sam2lab does") from error
