"""Upper layers hide lower ones, pixel by pixel."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sam2lab.scenes.layers import Layer, Shadow, stack
from sam2lab.scenes.scene import Scene

HEIGHT, WIDTH = 13, 17


def random_layers(rng: np.random.Generator, count: int) -> list[Layer]:
    """Some reach over the edges, some lie wholly outside."""
    layers = []
    for _ in range(count):
        height, width = rng.integers(1, 12, 2)
        picture = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
        x, y = rng.integers(-12, WIDTH + 1), rng.integers(-12, HEIGHT + 1)
        layers.append(Layer(picture, int(x), int(y)))
    return layers


def ground(rng: np.random.Generator) -> Scene:
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Scene(image, rng.random((2, HEIGHT, WIDTH)) < 0.5)


@given(seed=st.integers(0, 2**32), count=st.integers(0, 5))
def test_stacking_is_what_one_does_pixel_by_pixel(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    below, layers = ground(rng), random_layers(rng, count)
    colours = below.image.astype(float)
    masks = np.concatenate([below.masks, np.zeros((count, HEIGHT, WIDTH), bool)])
    for number, layer in enumerate(layers, start=2):
        for row, line in enumerate(layer.picture):
            for column, (*colour, alpha) in enumerate(line):
                y, x = layer.y + row, layer.x + column
                if not (0 <= y < HEIGHT and 0 <= x < WIDTH):
                    continue
                share = alpha / 255
                colours[y, x] = share * np.array(colour) + (1 - share) * colours[y, x]
                if alpha >= 128:
                    masks[:, y, x] = False
                    masks[number, y, x] = True
    stacked = stack(below, layers)
    assert np.array_equal(stacked.masks, masks)
    # Half a grey level is lost to rounding with each layer.
    assert np.abs(stacked.image - colours).max() <= 0.5 * count + 0.5


def test_the_background_is_left_as_it_was() -> None:
    rng = np.random.default_rng(0)
    below = ground(rng)
    image, masks = below.image.copy(), below.masks.copy()
    stack(below, random_layers(rng, 5))
    assert np.array_equal(below.image, image)
    assert np.array_equal(below.masks, masks)


def test_a_shadow_darkens_the_ground_and_changes_no_mask() -> None:
    below = Scene(np.full((60, 60, 3), 200, np.uint8), np.zeros((0, 60, 60), bool))
    picture = np.full((20, 20, 4), 255, np.uint8)
    plain = stack(below, [Layer(picture, 20, 20)])
    shaded = stack(below, [Layer(picture, 20, 20, Shadow(x=6, y=0, blur=1.5, strength=0.5))])
    assert np.array_equal(plain.masks, shaded.masks)
    assert (shaded.image <= plain.image).all()
    # Right of the object lies its shadow, at half the light; left of it none.
    assert shaded.image[30, 41, 0] == 100
    assert shaded.image[30, 10, 0] == 200
    assert (shaded.image[20:40, 20:40] == 255).all()
