"""Films scenes: pictures that move and turn over a ground, before a camera that moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator

from sam2lab.scenes import augment
from sam2lab.scenes.layers import RGBA, Layer, Shadow, stack
from sam2lab.scenes.scene import RGB, Scene


class Pose(NamedTuple):
    """Where a picture is: its centre in pixels of the ground, how far it is turned, its scale."""

    x: float
    y: float
    degrees: float = 0.0
    scale: float = 1.0


class View(NamedTuple):
    """What a camera sees: the centre in pixels of the ground, and how many of them a pixel is."""

    x: float
    y: float
    zoom: float = 1.0


# Times are from 0, the first frame, to 1, the last one.
Path = Callable[[float], Sequence[float]]


@dataclass(frozen=True, eq=False)
class Actor:
    """A picture, uint8 (h, w, 4), that follows a path of poses; a prop is no object to be found."""

    picture: RGBA
    path: Path
    shadow: Shadow | None = None
    is_prop: bool = False


def through(*stops: tuple[float, Iterable[float]]) -> Path:
    """A path through (time, pose or view), without going beyond any of them between two.

    >>> x, y, degrees, scale = through((0, Pose(0, 5)), (1, Pose(10, 5)))(0.5)
    >>> float(x), float(y)
    (5.0, 5.0)
    """
    times = [time for time, _ in stops]
    curve = PchipInterpolator(times, np.array([list(where) for _, where in stops], float))
    return lambda time: tuple(curve(time))


def film(
    ground: RGB, actors: Sequence[Actor], camera: Path, size: tuple[int, int], frames: int
) -> Iterator[Scene]:
    """Film actors over a ground, the first at the bottom, in frames of `size` (height, width).

    The masks (N, H, W) of a frame are those of the actors that are no props, in order; a mask is
    empty where its actor is hidden or out of sight.

    >>> square = np.full((8, 8, 4), 255, np.uint8)
    >>> path = through((0, Pose(8, 8)), (1, Pose(40, 8)))
    >>> still = through((0, View(16, 8)), (1, View(16, 8)))
    >>> ground = np.zeros((16, 48, 3), np.uint8)
    >>> [int(each.masks.sum()) for each in film(ground, [Actor(square, path)], still, (16, 32), 3)]
    [64, 64, 0]
    """
    empty = Scene(ground, np.zeros((0, *ground.shape[:2]), bool))
    objects = [number for number, actor in enumerate(actors) if not actor.is_prop]
    for time in np.linspace(0, 1, frames).tolist():
        world = stack(empty, [_posed(actor, time) for actor in actors])
        x, y, zoom = camera(time)
        tall, wide = (side * zoom for side in size)
        left = float(np.clip(x - wide / 2, 0, ground.shape[1] - wide))
        top = float(np.clip(y - tall / 2, 0, ground.shape[0] - tall))
        seen = Scene(world.image, world.masks[objects])
        yield augment.cut(seen, (left, top, left + wide, top + tall), size)


def _posed(actor: Actor, time: float) -> Layer:
    x, y, degrees, scale = actor.path(time)
    picture = Image.fromarray(actor.picture)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    picture = picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    left, top = round(x - picture.width / 2), round(y - picture.height / 2)
    return Layer(np.asarray(picture), left, top, actor.shadow)
