"""Draws scenes: textured shapes with shading, shadows and occlusion."""

from __future__ import annotations

import numpy as np

from sam2lab.scenes import augment, shapes, textures
from sam2lab.scenes.layers import RGBA, Layer, Shadow, stack
from sam2lab.scenes.scene import RGB, Scene
from sam2lab.scenes.textures import Texture

MOST_OBJECTS = 10


def draw(
    rng: np.random.Generator, size: tuple[int, int], texture: Texture = textures.draw
) -> Scene:
    """Draw one to ten shapes on a textured ground, each hiding what lies below; exact masks.

    `size` is (height, width). Shapes are filled by `texture`, the ground is always drawn here.

    >>> scene = draw(np.random.default_rng(0), (64, 96))
    >>> scene.image.shape, int(scene.masks.sum(0).max())
    ((64, 96, 3), 1)
    """
    ground = Scene(textures.draw(rng, size), np.zeros((0, *size), bool))
    pictures: list[RGBA] = []
    for _ in range(int(rng.integers(1, MOST_OBJECTS + 1))):
        if pictures and rng.random() < 0.2:
            pictures.append(pictures[-1])
            continue
        side = np.exp(rng.uniform(np.log(0.13), np.log(0.8))) * min(size)
        pictures.append(shape(rng, max(6, int(side)), texture))
    shadow = cast(rng, size)
    scene = stack(ground, [place(rng, picture, size, shadow) for picture in pictures])
    return Scene(augment.develop(rng, scene.image), scene.masks).without_specks()


def shape(rng: np.random.Generator, side: int, texture: Texture = textures.draw) -> RGBA:
    """Draw one shaded shape, uint8 (h, w, 4), the longer of h and w being `side` pixels.

    >>> max(shape(np.random.default_rng(0), 30).shape)
    30
    """
    alpha = shapes.draw(rng, side)
    picture = np.empty((*alpha.shape, 4), np.uint8)
    surface = texture(rng, (alpha.shape[0], alpha.shape[1]))
    picture[..., :3] = _shaded(rng, surface) if rng.random() < 0.6 else surface
    picture[..., 3] = alpha
    return picture


def place(
    rng: np.random.Generator, picture: RGBA, size: tuple[int, int], shadow: Shadow | None
) -> Layer:
    """Put the centre of a picture at a random place in (height, width)."""
    height, width = picture.shape[:2]
    x = int(rng.integers(size[1])) - width // 2
    y = int(rng.integers(size[0])) - height // 2
    return Layer(picture, x, y, shadow)


def cast(rng: np.random.Generator, size: tuple[int, int]) -> Shadow | None:
    """Draw the shadow that all objects of a scene cast, or none."""
    if rng.random() < 0.4:
        return None
    longest = max(size)
    x, y = rng.integers(-longest // 30, longest // 30 + 1, 2)
    return Shadow(
        int(x), int(y), blur=longest * rng.uniform(0.004, 0.03), strength=rng.uniform(0.15, 0.6)
    )


def _shaded(rng: np.random.Generator, surface: RGB) -> RGB:
    """Light a surface from one side, as if it were round."""
    height, width = surface.shape[:2]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.6)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] - np.float32(0.5 * np.sin(angle))
    x = np.linspace(-1, 1, width, dtype=np.float32)[None] - np.float32(0.5 * np.cos(angle))
    light = 1.15 - np.float32(depth) * (x * x + y * y)
    return np.clip(surface * light[..., None], 0, 255).astype(np.uint8)
