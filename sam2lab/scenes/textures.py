"""Draws surfaces: gradients, stripes, checks, clouds and grain, in a few colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2lab.scenes.scene import RGB

Size = tuple[int, int]
Field = npt.NDArray[np.float32]
Texture = Callable[[np.random.Generator, Size], RGB]
"""A function that fills an area of (height, width) pixels with colour."""


def draw(rng: np.random.Generator, size: Size) -> RGB:
    """Draw a random surface, uint8 (height, width, 3).

    >>> draw(np.random.default_rng(0), (3, 5)).shape
    (3, 5, 3)
    """
    kind = FIELDS[rng.choice(len(FIELDS), p=CHANCES)]
    field = kind(rng, size)
    if rng.random() < 0.5:
        field = field + rng.uniform(0.1, 0.5) * _clouds(rng, size)
    levels = np.clip(field * 255, 0, 255).astype(np.uint8)
    return _palette(rng)[levels]


def _plane(rng: np.random.Generator, size: Size) -> Field:
    """A slope in a random direction, from -1 to 1 over the longer side."""
    angle = rng.uniform(0, 2 * np.pi)
    longest = max(size)
    y = (np.arange(size[0], dtype=np.float32) - size[0] / 2) * (2 * np.sin(angle) / longest)
    x = (np.arange(size[1], dtype=np.float32) - size[1] / 2) * (2 * np.cos(angle) / longest)
    return (y[:, None] + x[None]).astype(np.float32)


def _flat(rng: np.random.Generator, size: Size) -> Field:
    return np.full(size, rng.uniform(0.1, 0.9), np.float32)


def _gradient(rng: np.random.Generator, size: Size) -> Field:
    return 0.5 + rng.uniform(0.1, 0.5) * _plane(rng, size)


def _rays(rng: np.random.Generator, size: Size) -> Field:
    """A spot that fades outwards."""
    y = np.linspace(-1, 1, size[0], dtype=np.float32) - np.float32(rng.uniform(-0.7, 0.7))
    x = np.linspace(-1, 1, size[1], dtype=np.float32) - np.float32(rng.uniform(-0.7, 0.7))
    return np.exp(-(y[:, None] ** 2 + x[None] ** 2) * np.float32(rng.uniform(0.5, 4)))


def _stripes(rng: np.random.Generator, size: Size) -> Field:
    waves = np.sin(_plane(rng, size) * np.float32(_frequency(rng, size)))
    return 0.5 + 0.5 * np.clip(waves * np.float32(rng.choice([1, 8])), -1, 1)


def _checks(rng: np.random.Generator, size: Size) -> Field:
    frequency = np.float32(_frequency(rng, size))
    both = np.sin(_plane(rng, size) * frequency) * np.sin(_plane(rng, size) * frequency)
    return 0.5 + 0.5 * np.clip(both * np.float32(rng.choice([1, 8])), -1, 1)


def _clouds(rng: np.random.Generator, size: Size) -> Field:
    """Smooth noise of several grain sizes."""
    field = np.zeros(size, np.float32)
    cells, weight = float(rng.uniform(1.5, 12)), 0.5
    for _ in range(3):
        rows, columns = (max(2, int(cells * side / max(size)) + 1) for side in size)
        coarse = Image.fromarray(rng.random((rows, columns), np.float32))
        field += weight * np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC))
        cells, weight = cells * 2.7, weight * 0.6
    return field


def _grain(rng: np.random.Generator, size: Size) -> Field:
    """Noise as fine as pixels, or a few of them."""
    step = int(rng.integers(1, 5))
    rows, columns = (-(-side // step) for side in size)
    fine = rng.random((rows, columns), np.float32)
    return np.repeat(np.repeat(fine, step, 0), step, 1)[: size[0], : size[1]]


def _frequency(rng: np.random.Generator, size: Size) -> float:
    """Angular, for a plane from -1 to 1; no stripe is thinner than two pixels."""
    return float(np.exp(rng.uniform(np.log(6), np.log(max(8, min(120, max(size) * np.pi / 4))))))


def _palette(rng: np.random.Generator) -> RGB:
    """256 colours that run through two to four; close to each other or far apart."""
    count = int(rng.integers(2, 5))
    # Grey plus some colour, because colours in photos are seldom pure.
    first = rng.uniform(20, 235) + rng.normal(0, 45, 3)
    spread = float(np.exp(rng.uniform(np.log(12), np.log(130))))
    stops = np.clip(first + rng.normal(0, spread, (count, 3)), 0, 255)
    at, where = np.linspace(0, 1, 256), np.linspace(0, 1, count)
    return np.stack([np.interp(at, where, stops[:, c]) for c in range(3)], 1).astype(np.uint8)


FIELDS = (_flat, _gradient, _rays, _stripes, _checks, _clouds, _grain)
CHANCES = (0.12, 0.2, 0.12, 0.14, 0.1, 0.24, 0.08)
