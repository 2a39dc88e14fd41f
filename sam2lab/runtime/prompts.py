"""Checks prompts, and turns them into the arrays that a decoder takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Float32, ModelInfo, PromptBatch

Float64 = npt.NDArray[np.float64]

# The parts of a prompt, as arguments of `encode`.
NAMES = ("point_coordinates", "point_labels", "boxes", "mask_input")

BOX_CORNER_LABELS = np.array([2, 3], np.float32)


class PromptError(ValueError):
    """A prompt cannot be used; the message names the argument, and says what to pass."""


class Spelling(NamedTuple):
    """The names of the arguments in messages, because a caller may know them by others."""

    points: str = "point_coordinates"
    labels: str = "point_labels"
    boxes: str = "boxes"


OURS = Spelling()


def encode(
    image_size: tuple[int, int],
    info: ModelInfo,
    *,
    point_coordinates: npt.ArrayLike | None = None,
    point_labels: npt.ArrayLike | None = None,
    boxes: npt.ArrayLike | None = None,
    mask_input: npt.ArrayLike | None = None,
    normalize_coords: bool = True,
    spelling: Spelling = OURS,
) -> PromptBatch:
    """Check the prompts for L objects on one image, and scale them to the model's input.

    `image_size` is the photo's (height, width). `point_coordinates` (P, 2) or (L, P, 2) are
    (x, y), `point_labels` (P,) or (L, P) are 1 on the object and 0 beside it. `boxes` (4,) or
    (L, 4) are two opposite corners (x0, y0, x1, y1), in any order. Coordinates are pixels of
    the photo, or with `normalize_coords=False` shares of its width and height, from 0 to 1.
    `mask_input` (h, w), (1, h, w), (1, 1, h, w) or (L, 1, h, w) are logits that an earlier
    call returned. Without points, they are None or an empty list.

    >>> info = ModelInfo(name="tiny", size="tiny", input_size=(1024, 1024), weights="random:0")
    >>> box, click = [160, 0, 480, 240], [[320, 120]]
    >>> batch = encode((480, 640), info, boxes=box, point_coordinates=click, point_labels=[1])
    >>> batch.point_coords.tolist(), batch.point_labels.tolist()
    ([[[256.0, 0.0], [768.0, 512.0], [512.0, 256.0]]], [[2.0, 3.0, 1.0]])
    """
    points = _points(point_coordinates, point_labels, spelling)
    corners = _corners(boxes, spelling.boxes)
    mask = _mask(mask_input, info.mask_size)
    objects = _objects(points, corners, mask, spelling)

    coords = [np.empty((objects, 0, 2), np.float32)]
    labels = [np.empty((objects, 0), np.float32)]
    photo = image_size if normalize_coords else None
    if corners is not None:
        scaled = _scale(spelling.boxes, corners, photo, info.input_size)
        coords.append(np.sort(scaled, axis=1))
        labels.append(np.tile(BOX_CORNER_LABELS, (objects, 1)))
    if points is not None:
        coords.append(_scale(spelling.points, points[0], photo, info.input_size))
        labels.append(points[1])
    return PromptBatch(np.concatenate(coords, axis=1), np.concatenate(labels, axis=1), mask)


def _points(
    point_coordinates: npt.ArrayLike | None, point_labels: npt.ArrayLike | None, called: Spelling
) -> tuple[Float64, Float32] | None:
    """Coordinates (L, P, 2) and labels (L, P), or None where there are no points."""
    if point_coordinates is None and point_labels is None:
        return None
    if point_coordinates is None:
        raise PromptError(f"{called.points} is missing; wanted the points of {called.labels}")
    if point_labels is None:
        raise PromptError(
            f"{called.labels} is missing; wanted one a point, 1 on the object or 0 beside it"
        )
    coords = _numbers(called.points, point_coordinates, "iuf")
    labels = _numbers(called.labels, point_labels, "biuf")
    if coords.shape == (0,):
        coords = coords.reshape(0, 2)
    if coords.ndim not in (2, 3) or coords.shape[-1] != 2:
        remedy = "; put a single point in a list, [[x, y]]" if coords.shape == (2,) else ""
        raise PromptError(
            f"{called.points} has shape {coords.shape}; wanted (P, 2) for one object or "
            f"(L, P, 2) for L objects, each point (x, y){remedy}"
        )
    if labels.shape != coords.shape[:-1]:
        raise PromptError(
            f"{called.labels} has shape {labels.shape}; wanted {coords.shape[:-1]}, one label for "
            f"each of {called.points} of shape {coords.shape}"
        )
    if coords.size == 0:
        return None
    _check_labels(labels, called)
    shape = (-1, *coords.shape[-2:])
    return coords.reshape(shape), labels.reshape(shape[:2]).astype(np.float32)


def _check_labels(labels: Float64, called: Spelling) -> None:
    strange = labels[(labels != 0) & (labels != 1)].tolist()
    if strange:
        box = f"; pass a box as {called.boxes}=[x0, y0, x1, y1]"
        remedies = {2: box, 3: box, -1: "; leave the point out, no padding is needed"}
        raise PromptError(
            f"{called.labels} holds {strange[0]}; wanted 1 on the object or 0 beside it"
            f"{remedies.get(strange[0], '')}"
        )


def _corners(boxes: npt.ArrayLike | None, name: str) -> Float64 | None:
    """Two corners (L, 2, 2) for each box."""
    if boxes is None:
        return None
    array = _numbers(name, boxes, "iuf")
    if array.size == 0:
        raise PromptError(f"{name} is empty, of shape {array.shape}; pass None for no box")
    if array.ndim not in (1, 2) or array.shape[-1] != 4:
        raise PromptError(
            f"{name} has shape {array.shape}; wanted (4,) for one object or (L, 4) for L objects, "
            "each box (x0, y0, x1, y1)"
        )
    return array.reshape(-1, 2, 2)


def _mask(mask_input: npt.ArrayLike | None, mask_size: tuple[int, int]) -> Float32 | None:
    """Logits (L or 1, 1, h, w)."""
    if mask_input is None:
        return None
    array = as_array("mask_input", mask_input)
    height, width = mask_size
    if array.dtype.kind != "f":
        raise PromptError(
            f"mask_input is of dtype {array.dtype}; wanted float logits: pass the low-resolution "
            "logits that an earlier call returned, not a mask"
        )
    shape = array.shape
    if shape[-2:] != mask_size:
        raise PromptError(
            f"mask_input has shape {shape}; wanted logits of {height} x {width}: pass the "
            "low-resolution logits that an earlier call with this model returned"
        )
    if len(shape) == 3 and shape[0] > 1:
        raise PromptError(
            f"mask_input has shape {shape}; wanted one mask an object: pass the best of the "
            f"{shape[0]}, logits[[scores.argmax()]], or (L, 1, {height}, {width}) for L objects"
        )
    if len(shape) > 4 or 0 in shape or (len(shape) == 4 and shape[1] != 1):
        raise PromptError(
            f"mask_input has shape {shape}; wanted (L, 1, {height}, {width}), one mask an "
            "object: pass logits[range(L), scores.argmax(1)][:, None] to keep the best of each"
        )
    with np.errstate(over="ignore"):
        mask = np.ascontiguousarray(array, np.float32).reshape(-1, 1, height, width)
    if not np.isfinite(mask).all():
        raise PromptError("mask_input holds NaN or infinity; wanted finite float32 logits")
    return mask


def _objects(
    points: tuple[Float64, Float32] | None,
    corners: Float64 | None,
    mask: Float32 | None,
    called: Spelling,
) -> int:
    """L, on which all prompts must agree."""
    given = [each for each in (corners, points and points[0], mask) if each is not None]
    if not given:
        raise PromptError(
            f"no prompt, or only an empty one; wanted {called.points} with {called.labels}, "
            f"{called.boxes} or mask_input"
        )
    objects = len(given[0])
    if points is not None and len(points[0]) != objects:
        raise PromptError(
            f"{called.boxes} is for {objects} objects and {called.points} for "
            f"{len(points[0])}; wanted as many: for L objects pass {called.boxes} (L, 4), "
            f"{called.points} (L, P, 2) and {called.labels} (L, P)"
        )
    if mask is not None and len(mask) not in (1, objects):
        raise PromptError(
            f"mask_input is for {len(mask)} objects, the points and boxes for {objects}; wanted "
            "one mask for all objects, or one for each"
        )
    return objects


def _scale(
    name: str, coords: Float64, photo: tuple[int, int] | None, input_size: tuple[int, int]
) -> Float32:
    """Points (L, K, 2) in model pixels, in the original's float32 steps.

    `photo` is the (height, width) that the points are given in, None where they are shares.
    """
    height, width = photo or (1, 1)
    extent = np.array([width, height])
    outside = (np.abs(coords - extent / 2) > extent).any(axis=-1)
    if outside.any():
        x, y = coords[outside][0]
        unit = (
            f"pixels of the {width} x {height} photo, x before y; shares from 0 to 1 go with "
            "normalize_coords=False"
            if photo
            else "shares of the photo; pixels go with normalize_coords=True"
        )
        raise PromptError(
            f"{name} holds the point ({x:g}, {y:g}), out of the photo by more than half its "
            f"size; wanted x from {-width / 2:g} to {1.5 * width:g} and y from {-height / 2:g} "
            f"to {1.5 * height:g}, in {unit}"
        )
    scaled = coords.astype(np.float32)
    if photo:
        scaled /= extent.astype(np.float32)
    return scaled * np.array(input_size[::-1], np.float32)


def _numbers(name: str, value: npt.ArrayLike, kinds: str) -> Float64:
    """Finite numbers of one of numpy's dtype kinds, as float64."""
    array = as_array(name, value)
    if array.dtype.kind not in kinds:
        raise PromptError(f"{name} is of dtype {array.dtype}; wanted an array or list of numbers")
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise PromptError(f"{name} holds NaN or infinity; wanted finite numbers")
    return numbers


def as_array(name: str, value: npt.ArrayLike) -> npt.NDArray[np.generic]:
    """The argument `name` as an array of any kind."""
    try:
        return np.asarray(value)
    # A class that refuses to become an array may raise anything.
    except Exception as error:
        raise PromptError(
            f"{name} makes no array ({error}); wanted lists of equal length, or a numpy array"
        ) from error
