"""Lays pictures with transparency over each other, and keeps the visible part of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from sam2lab.scenes.scene import Scene

RGBA = npt.NDArray[np.uint8]

SOLID = 128
"""From this alpha on, a pixel belongs to the object."""


@dataclass(frozen=True)
class Shadow:
    """Where a shadow falls, (x, y) in pixels from its object; blur in pixels; strength 0 to 1."""

    x: int
    y: int
    blur: float
    strength: float


@dataclass(frozen=True, eq=False)
class Layer:
    """picture: uint8 (h, w, 4), RGB and alpha. (x, y): where its left top corner goes.

    It may reach over the edges of the picture below.
    """

    picture: RGBA
    x: int
    y: int
    shadow: Shadow | None = None


def stack(background: Scene, layers: Sequence[Layer]) -> Scene:
    """Lay `layers` over a scene, the first at the bottom.

    The masks are those of the background's objects, then one for each layer, in order; where a
    later one is at least half opaque, those below it are False.

    >>> ground = Scene(np.zeros((4, 4, 3), np.uint8), np.ones((1, 4, 4), bool))
    >>> square = Layer(np.full((3, 3, 4), 255, np.uint8), x=2, y=2)
    >>> np.count_nonzero(stack(ground, [square]).masks, axis=(1, 2))
    array([12,  4])
    """
    canvas = Image.fromarray(np.ascontiguousarray(background.image))
    below, size = len(background.masks), background.image.shape[:2]
    masks = np.zeros((below + len(layers), *size), bool)
    masks[:below] = background.masks
    for count, layer in enumerate(layers, start=below):
        alpha = Image.fromarray(layer.picture[..., 3])
        if layer.shadow is not None:
            _cast(canvas, alpha, layer, layer.shadow)
        canvas.paste(Image.fromarray(layer.picture[..., :3]), (layer.x, layer.y), alpha)
        there, own = _overlap(layer, size)
        solid = layer.picture[..., 3][own] >= SOLID
        masks[:count, *there] &= ~solid
        masks[count, *there] = solid
    return Scene(np.asarray(canvas), masks)


def _cast(canvas: Image.Image, alpha: Image.Image, layer: Layer, shadow: Shadow) -> None:
    margin = 2 * int(np.ceil(shadow.blur))
    wide = Image.new("L", (alpha.width + 2 * margin, alpha.height + 2 * margin))
    wide.paste(alpha, (margin, margin))
    # Two box blurs are near enough to a Gaussian, and their time does not grow with the radius.
    soft = wide.filter(ImageFilter.BoxBlur(shadow.blur)).filter(ImageFilter.BoxBlur(shadow.blur))
    darkness = soft.point([int(value * shadow.strength) for value in range(256)])
    canvas.paste((0, 0, 0), (layer.x + shadow.x - margin, layer.y + shadow.y - margin), darkness)


def _overlap(
    layer: Layer, size: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of the ground that a layer covers, and the part of the layer that does."""
    there, own = [], []
    for start, length, limit in zip((layer.y, layer.x), layer.picture.shape[:2], size, strict=True):
        low, high = min(max(start, 0), limit), max(min(start + length, limit), 0)
        there.append(slice(low, max(low, high)))
        own.append(slice(low - start, max(low, high) - start))
    return (there[0], there[1]), (own[0], own[1])
