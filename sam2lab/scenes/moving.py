"""`MovingScenes`: an endless, numbered stream of short clips with exact masks, to learn from."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2lab.runtime.masks import Masks
from sam2lab.scenes import augment
from sam2lab.scenes.clips import Actor, Path, film, through
from sam2lab.scenes.layers import RGBA
from sam2lab.scenes.mixture import Mixture

EXAM_PACE = 0.4
"""The pace of the clips that memories are measured on, as of most that nano's learnt from."""

# The ground is larger than what the camera sees, so that things and the camera can move.
_GROUND = 1.5
_LEAST_OBJECTS, _MOST_OBJECTS = 2, 4
# The longer side of a thing, as a share of the picture's.
_SMALLEST, _LARGEST = 0.2, 0.7
# An object to follow covers at least this share of the first frame.
_LEAST_AREA = 0.01
# What hides a thing has so many times its longer side.
_HIDES_FROM, _HIDES_TO = 1.8, 3.0


class Clip(NamedTuple):
    """Frames uint8 (T, side, side, 3), and one object's masks (T, side, side)."""

    images: npt.NDArray[np.uint8]
    masks: Masks


class MovingScenes:
    """Gives clips by number: the same number gives the same clip, in every process.

    Cut-outs of a `Mixture` move over its grounds, turn, grow, pass in front of each other, leave
    and return, before a camera that moves and zooms. `pace` scales every movement; 0 is a still.

    >>> clip = MovingScenes(Mixture()).clip(3, frames=4, side=64)
    >>> clip.images.shape, clip.masks.shape, bool(clip.masks[0].any())
    ((4, 64, 64, 3), (4, 64, 64), True)
    """

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    @property
    def contents(self) -> str:
        """How many photos and pictures there are to draw from."""
        return self.mixture.contents

    def clip(
        self, index: int, frames: int, side: int, pace: float = 1.0, hides: bool = False
    ) -> Clip:
        """Draw clip number `index`, of square frames; its object is there in the first one.

        With `hides`, nothing of the object is seen in some later frame: it is out of the picture
        or behind another thing.
        """
        for attempt in range(50):
            rng = np.random.default_rng(
                [self.mixture.seed, int(self.mixture.held_out), index, attempt]
            )
            images, masks = self._draw(rng, frames, side, pace, hides)
            fits = masks[0].mean(axis=(1, 2)) >= _LEAST_AREA
            if hides:
                fits &= ~masks.any(axis=(2, 3)).all(axis=0)
            if fits.any():
                return Clip(images, masks[:, rng.choice(np.flatnonzero(fits))])
        raise ValueError(f"index is {index}: no object of this clip could be seen; give another")

    def _draw(
        self, rng: np.random.Generator, frames: int, side: int, pace: float, hides: bool
    ) -> tuple[npt.NDArray[np.uint8], Masks]:
        large = round(_GROUND * side)
        ground = np.ascontiguousarray(self.mixture.ground(rng, (large, large)).image)
        actors = []
        for _ in range(int(rng.integers(_LEAST_OBJECTS, _MOST_OBJECTS + 1))):
            cutout = self.mixture.cutout(rng, (side, side))
            if cutout is not None:
                path = _path(rng, frames, side, pace)
                actors.append(Actor(_sized(rng, cutout, side), path))
        if hides and actors:
            actors = _hidden(rng, actors, self.mixture.cutout(rng, (side, side)), side)
        scenes = list(film(ground, actors, _camera(rng, frames, side, pace), (side, side), frames))
        images = np.stack([scene.image for scene in scenes])
        if rng.random() < 0.5:
            # One light for the whole clip.
            tall = images.reshape(frames * side, side, 3)
            images = augment.tint(rng, tall, 0.7).reshape(images.shape)
        return images, np.stack([scene.masks for scene in scenes])


def _sized(rng: np.random.Generator, cutout: RGBA, side: int) -> RGBA:
    return _resized(cutout, side * np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST))))


def _resized(cutout: RGBA, longest: float) -> RGBA:
    scale = longest / max(cutout.shape[:2])
    size = [max(4, round(length * scale)) for length in cutout.shape[1::-1]]
    picture = Image.fromarray(cutout).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(picture)


def _path(rng: np.random.Generator, frames: int, side: int, pace: float) -> Path:
    """Where a thing goes: nowhere, along a curve, or out of sight and back."""
    steps = pace * (frames - 1)
    start = rng.uniform(0.25, 1.25, 2) * side
    kind = rng.random()
    if kind < 0.25:
        steps = 0.0
    shift = rng.normal(0, 0.05, 2) * side * steps
    bend = rng.normal(0, 0.02, 2) * side * steps
    turn, growth = rng.normal(0, 6) * steps, np.exp(rng.normal(0, 0.02) * steps)
    tilt = rng.normal(0, 15)
    middle, end = start + shift / 2 + bend, start + shift
    if kind > 0.8 and pace:
        # Far enough out that nothing of it is seen for a while.
        angle = rng.uniform(0, 2 * np.pi)
        middle = start + 1.6 * side * np.array([np.cos(angle), np.sin(angle)])
    return through(
        (0, (*start, tilt, 1)),
        (rng.uniform(0.35, 0.65), (*middle, tilt + turn / 2, (1 + growth) / 2)),
        (1, (*end, tilt + turn, growth)),
    )


def _hidden(
    rng: np.random.Generator, actors: list[Actor], cutout: RGBA | None, side: int
) -> list[Actor]:
    """Send one of the actors out of the picture and back, or something in front of it."""
    number = int(rng.integers(len(actors)))
    actor, angle = actors[number], rng.uniform(0, 2 * np.pi)
    away = rng.uniform(0.7, 1.1) * side * np.array([np.cos(angle), np.sin(angle), 0, 0])
    middle = rng.uniform(0.35, 0.65)
    from_then, until = middle - rng.uniform(0.02, 0.2), middle + rng.uniform(0.02, 0.2)
    first, gone, back, last = (np.array(actor.path(time)) for time in (0, from_then, until, 1))
    if cutout is None or rng.random() < 0.35:
        path = through((0, first), (from_then, gone + away), (until, back + away), (1, last))
        return [*actors[:number], replace(actor, path=path), *actors[number + 1 :]]
    longest = rng.uniform(_HIDES_FROM, _HIDES_TO) * max(actor.picture.shape[:2])
    path = through(
        (0, first + 1.5 * away), (from_then, gone), (until, back), (1, last - 1.5 * away)
    )
    cover = _resized(cutout, min(longest, 1.3 * side))
    return [*actors, Actor(cover, path, is_prop=True)]


def _camera(rng: np.random.Generator, frames: int, side: int, pace: float) -> Path:
    steps = pace * (frames - 1)
    start = rng.uniform(0.6, 0.9, 2) * side
    zoom = rng.uniform(0.9, 1.1)
    end = start + rng.normal(0, 0.03, 2) * side * steps
    closer = np.clip(zoom * np.exp(rng.normal(0, 0.01) * steps), 0.6, _GROUND)
    return through((0, (*start, zoom)), (1, (*end, closer)))
