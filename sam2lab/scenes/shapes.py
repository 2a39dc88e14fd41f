"""Draws random shapes: polygons in the square from -1 to 1, and how much of a pixel they cover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Points = npt.NDArray[np.float64]
Coverage = npt.NDArray[np.uint8]

FINER = 3
"""Pixels are cut into 3 x 3 to see how much of each is covered."""


def draw(rng: np.random.Generator, side: int) -> Coverage:
    """Draw a random shape, turned at random, uint8 (h, w): 255 inside, 0 outside, between at edges.

    Its longer side is `side` pixels, and no border is more than a pixel away from it.

    >>> max(draw(np.random.default_rng(0), 40).shape)
    40
    """
    outline = OUTLINES[rng.choice(len(OUTLINES), p=CHANCES)](rng)
    squeeze = np.array([1, rng.uniform(0.35, 1)])
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    outline = (outline * squeeze) @ turn.T
    holes = []
    if rng.random() < 0.12:
        holes.append(outline.mean(0) + rng.uniform(0.3, 0.6) * (outline - outline.mean(0)))
    return cover([outline], holes, side)


def cover(shapes: list[Points], holes: list[Points], side: int) -> Coverage:
    """Rasterise polygons (K, 2), as (x, y), less `holes`, so that the longer side is `side`."""
    low = np.min([p.min(0) for p in shapes], 0)
    extent = np.max([p.max(0) for p in shapes], 0) - low
    scale = side / extent.max()
    # Rounded first, or a rounding error would at times make the longer side a pixel too long.
    width, height = (max(1, int(np.ceil(round(length * scale, 6)))) for length in extent)
    fine = Image.new("L", (width * FINER, height * FINER))
    pen = ImageDraw.Draw(fine)
    for polygons, ink in ((shapes, 255), (holes, 0)):
        for polygon in polygons:
            pen.polygon(((polygon - low) * scale * FINER).ravel().tolist(), fill=ink)
    return np.asarray(fine.reduce(FINER))


def _angles(count: int) -> Points:
    return np.linspace(0, 2 * np.pi, count, endpoint=False)


def _around(radius: Points | float, angles: Points) -> Points:
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], 1)


def _ellipse(rng: np.random.Generator) -> Points:
    return _around(1.0, _angles(64))


def _polygon(rng: np.random.Generator) -> Points:
    """With three to eight corners, regular or not."""
    angles = _angles(int(rng.integers(3, 9)))
    uneven = rng.choice([0.0, 0.25])
    return _around(
        1 - uneven * rng.random(len(angles)), angles + uneven * rng.uniform(-1, 1, len(angles))
    )


def _box(rng: np.random.Generator) -> Points:
    """A rectangle whose corners are round to some degree."""
    angles, power = _angles(64), 2 / rng.uniform(3, 30)
    x, y = np.cos(angles), np.sin(angles)
    return np.stack([np.sign(x) * np.abs(x) ** power, np.sign(y) * np.abs(y) ** power], 1)


def _star(rng: np.random.Generator) -> Points:
    spikes = int(rng.integers(4, 10))
    inner = rng.uniform(0.3, 0.8)
    return _around(np.tile([1, inner], spikes), _angles(2 * spikes))


def _blob(rng: np.random.Generator) -> Points:
    angles = _angles(96)
    radius = np.ones_like(angles)
    for waves in range(2, 8):
        radius += rng.normal(0, 0.5 / waves) * np.cos(waves * angles + rng.uniform(0, 2 * np.pi))
    return _around(np.maximum(radius, 0.15), angles)


def _worm(rng: np.random.Generator) -> Points:
    """A bent stroke that may grow thinner: a stick, a banana, a leg."""
    along = np.linspace(0, 1, 40)
    bend = rng.normal(0, 2.0) * along + rng.normal(0, 2.0) * along**2
    spine = np.cumsum(np.stack([np.cos(bend), np.sin(bend)], 1), 0) / 20
    normal = np.stack([-np.sin(bend), np.cos(bend)], 1)
    thick = rng.uniform(0.06, 0.3) * (1 - rng.uniform(0, 0.9) * along)
    thick = thick * np.sqrt(np.clip(1 - (2 * along - 1) ** 16, 0, 1))
    return np.concatenate(
        [spine + normal * thick[:, None], (spine - normal * thick[:, None])[::-1]]
    )


def _cross(rng: np.random.Generator) -> Points:
    arm = rng.uniform(0.15, 0.5)
    quarter = np.array([[1, -arm], [1, arm], [arm, arm]])
    quarters = []
    for turn in range(4):
        c, s = np.cos(turn * np.pi / 2), np.sin(turn * np.pi / 2)
        quarters.append(quarter @ np.array([[c, s], [-s, c]]))
    return np.concatenate(quarters)


OUTLINES = (_ellipse, _polygon, _box, _star, _blob, _worm, _cross)
CHANCES = (0.16, 0.14, 0.2, 0.08, 0.24, 0.12, 0.06)
