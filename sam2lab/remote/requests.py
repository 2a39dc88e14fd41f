"""What a request may hold: everything that a client sends is checked here, or on the way here."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from sam2lab.remote import wire
from sam2lab.remote.wire import FEATURES, Arrays
from sam2lab.runtime import images as photos
from sam2lab.runtime.arguments import number, whole
from sam2lab.runtime.engines.protocol import Features, Float32, ModelInfo, PromptBatch
from sam2lab.runtime.images import RGB, ImageError

MIB = 2**20

# Of all that Pillow reads these two tell their size before anything is unpacked, and run nothing.
PHOTO_FORMATS = ("JPEG", "PNG")

LABELS = (0, 1, 2, 3)


class Refused(Exception):
    """A request that is not answered: the HTTP status, and the reason told to the client."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """What one server gives to all its clients together, and to one request.

    Features of `features_bytes` are kept, those used longest ago leave first. A request has
    at most `body_bytes`, a photo at most `photo_pixels`, prompts are for at most `objects` with
    `points` points in all (a box is two), and answers have at most `answer_bytes` before they
    are packed. When `connections` are open, others wait. A request must have arrived
    `request_s` after its first byte, an answer must be taken in that time, and a connection on
    which nothing is asked for `idle_s` is closed; both are in seconds, a day at most.
    """

    features_bytes: int = 1024 * MIB
    body_bytes: int = 64 * MIB
    photo_pixels: int = 50_000_000
    objects: int = 64
    points: int = 1024
    answer_bytes: int = 512 * MIB
    connections: int = 32
    request_s: float = 20.0
    idle_s: float = 60.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("_s"):
                number(name, value, *wire.WAITING_S)
            else:
                whole(name, value, 1)


def read_photo(file: bytes, limits: Limits) -> RGB:
    """A JPEG or PNG as `images.read` gives it, refused by its size before it is unpacked."""
    wanted = f"wanted a file in {' or '.join(PHOTO_FORMATS)}"
    try:
        with Image.open(io.BytesIO(file), formats=PHOTO_FORMATS) as opened:
            if opened.width * opened.height > limits.photo_pixels:
                raise Refused(
                    413,
                    f"photo has {opened.width} x {opened.height} pixels, this server takes "
                    f"{limits.photo_pixels} in all; send it smaller",
                )
            return photos.read(opened)
    except Refused:
        raise
    except ImageError as error:
        raise Refused(400, str(error)) from error
    except UnidentifiedImageError as error:
        raise Refused(400, f"photo is no picture; {wanted}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Refused(413, "photo would unpack to too many pixels; send it smaller") from error
    # On a damaged file Pillow's readers raise nearly anything.
    except Exception as error:
        raise Refused(400, f"photo is damaged; {wanted}") from error


def read_pixels(arrays: Arrays, info: ModelInfo) -> Float32:
    """Pixels (B, 3, H, W) for this model."""
    pixels = arrays["pixels"]
    height, width = info.input_size
    if pixels.ndim != 4 or pixels.shape[1:] != (3, height, width) or not len(pixels):
        raise Refused(400, f"pixels has shape {pixels.shape}; wanted (B, 3, {height}, {width})")
    _check_finite("pixels", pixels)
    return pixels


def read_features(arrays: Arrays, info: ModelInfo) -> Features:
    """One image's features; how many channels they should have only the engine knows."""
    missing = [name for name in FEATURES if name not in arrays]
    if missing:
        raise Refused(400, f"the body lacks handle, or else {', '.join(missing)}")
    for name, scale in zip(FEATURES, (1, 4, 2), strict=True):
        shape = arrays[name].shape
        height, width = (scale * side for side in info.embed_size)
        if len(shape) != 4 or shape[0] != 1 or shape[2:] != (height, width):
            raise Refused(400, f"{name} has shape {shape}; wanted (1, C, {height}, {width})")
        _check_finite(name, arrays[name])
    return Features(**{name: arrays[name] for name in FEATURES})


def read_prompts(arrays: Arrays, info: ModelInfo, limits: Limits) -> PromptBatch:
    """Prompts as the decoder wants them, with an answer of four low-resolution logits each."""
    coords, labels = arrays["point_coords"], arrays["point_labels"]
    mask = arrays.get("mask_input")
    height, width = info.mask_size
    if coords.ndim != 3 or coords.shape[2] != 2 or labels.shape != coords.shape[:2]:
        raise Refused(
            400,
            f"point_coords has shape {coords.shape} and point_labels {labels.shape}; wanted "
            "(L, P, 2) and (L, P)",
        )
    if not len(coords) or (not labels.shape[1] and mask is None):
        raise Refused(400, "no prompt; wanted a point, a box or a mask_input for each object")
    if mask is not None and (
        mask.ndim != 4 or mask.shape[1:] != (1, height, width) or len(mask) not in (1, len(coords))
    ):
        raise Refused(
            400,
            f"mask_input has shape {mask.shape}; wanted ({len(coords)} or 1, 1, {height}, {width})",
        )
    prompts = PromptBatch(coords, labels, mask)
    check_amount(prompts, 4 * 4 * height * width, limits)
    _check_finite("point_coords", coords)
    if not np.isin(labels, LABELS).all():
        raise Refused(400, f"point_labels holds others than {LABELS}")
    if mask is not None:
        _check_finite("mask_input", mask)
    return prompts


def check_amount(prompts: PromptBatch, bytes_per_object: int, limits: Limits) -> None:
    """Refuse prompts that would take too much memory to answer."""
    objects, points = prompts.objects, prompts.point_labels.size
    if objects > limits.objects or points > limits.points:
        raise Refused(
            413,
            f"{objects} objects with {points} points in all; this server takes {limits.objects} "
            f"with {limits.points}: ask in several requests",
        )
    if objects * bytes_per_object > limits.answer_bytes:
        raise Refused(
            413,
            f"the answer would take {objects * bytes_per_object} bytes, this server gives "
            f"{limits.answer_bytes}; ask for fewer objects at once, or about a smaller photo",
        )


def _check_finite(name: str, array: npt.NDArray[Any]) -> None:
    if not np.isfinite(array).all():
        raise Refused(400, f"{name} holds NaN or infinity; wanted finite numbers")
