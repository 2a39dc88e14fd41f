"""Change a scene at random: a part of it, mirrored, in other light, from a worse camera."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from sam2lab.runtime.masks import Mask, window
from sam2lab.scenes.scene import RGB, Scene

LEAST_SHARE_OF_SIDE = 0.25
GREY = np.array([0.299, 0.587, 0.114])


def crop(rng: np.random.Generator, scene: Scene, size: tuple[int, int]) -> Scene:
    """Take a random `part` of a scene, resized to `size` (height, width), in other light."""
    found = part(rng, scene, size)
    return Scene(develop(rng, found.image), found.masks)


def part(rng: np.random.Generator, scene: Scene, size: tuple[int, int]) -> Scene:
    """Take a random part of a scene, resized to `size` (height, width), mirrored or not.

    Its sides are from a quarter to the whole of the scene's, each stretched a little, and it
    mostly holds the centre of one object. Objects that are specks in it are left out.
    """
    height, width = scene.image.shape[:2]
    share = np.exp(rng.uniform(np.log(LEAST_SHARE_OF_SIDE), np.log(1.3)))
    stretch = np.exp(rng.uniform(-0.2, 0.2))
    tall = height * float(np.clip(share * stretch, LEAST_SHARE_OF_SIDE, 1))
    wide = width * float(np.clip(share / stretch, LEAST_SHARE_OF_SIDE, 1))
    top, left = rng.uniform(0, height - tall), rng.uniform(0, width - wide)
    if len(scene.masks) and rng.random() < 0.8:
        y, x = _centre(scene.masks[rng.integers(len(scene.masks))])
        top = float(np.clip(y - rng.uniform(0.1, 0.9) * tall, 0, height - tall))
        left = float(np.clip(x - rng.uniform(0.1, 0.9) * wide, 0, width - wide))
    found = cut(scene, (left, top, left + wide, top + tall), size).without_specks()
    if rng.random() < 0.5:
        return Scene(found.image[:, ::-1], found.masks[:, :, ::-1])
    return found


def cut(scene: Scene, box: tuple[float, float, float, float], size: tuple[int, int]) -> Scene:
    """Cut a box (x0, y0, x1, y1) in pixels out of a scene, and resize it to (height, width).

    A pixel of a new mask is the pixel of the old mask under its centre.

    >>> halves = Scene(np.zeros((4, 8, 3), np.uint8), np.arange(8)[None, None] < np.full((4, 1), 4))
    >>> cut(halves, (2, 0, 6, 4), (1, 4)).masks.astype(int)
    array([[[1, 1, 0, 0]]])
    """
    image = Image.fromarray(scene.image).resize(
        size[::-1], Image.Resampling.BILINEAR, box, reducing_gap=2.0
    )
    x0, y0, x1, y1 = box
    rows = (y0 + (np.arange(size[0]) + 0.5) * ((y1 - y0) / size[0])).astype(int)
    columns = (x0 + (np.arange(size[1]) + 0.5) * ((x1 - x0) / size[1])).astype(int)
    rows = np.minimum(rows, scene.image.shape[0] - 1)
    columns = np.minimum(columns, scene.image.shape[1] - 1)
    masks = scene.masks.take(rows, axis=1).take(columns, axis=2)
    return Scene(np.asarray(image), masks)


def develop(rng: np.random.Generator, image: RGB) -> RGB:
    """Change light and colours, and at times add blur, noise or the blocks of a JPEG."""
    if rng.random() < 0.8:
        image = tint(rng, image, 1.0)
    if rng.random() < 0.2:
        blur = ImageFilter.BoxBlur(rng.uniform(0.2, max(0.2, max(image.shape) / 200)))
        image = np.asarray(Image.fromarray(image).filter(blur))
    if rng.random() < 0.25:
        image = _noisy(rng, image)
    if rng.random() < 0.15:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=int(rng.integers(25, 90)))
        image = np.asarray(Image.open(file))
    return np.ascontiguousarray(image)


def tint(rng: np.random.Generator, rgb: RGB, strength: float) -> RGB:
    """Change brightness, contrast, gamma, colour balance and saturation of (h, w, 3) at random."""
    levels = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.2 * strength))
    contrast = np.exp(rng.normal(0, 0.14 * strength))
    balance = np.exp(rng.normal(0, 0.06 * strength, 3))
    light = rng.normal(0, 0.05 * strength)
    curves = ((levels[None] - 0.5) * contrast + 0.5 + light) * balance[:, None] * 255
    lookup = np.clip(curves, 0, 255).astype(np.uint8).ravel().tolist()
    saturation = 0.0 if rng.random() < 0.05 else np.exp(rng.normal(0, 0.3 * strength))
    mixed = np.zeros((3, 4))
    mixed[:, :3] = saturation * np.eye(3) + (1 - saturation) * GREY
    picture = Image.fromarray(np.ascontiguousarray(rgb)).point(lookup)
    return np.asarray(picture.convert("RGB", tuple(mixed.ravel().tolist())))


def _noisy(rng: np.random.Generator, image: RGB) -> RGB:
    strength = rng.uniform(2, 14)
    # One tile is drawn and repeated: it takes a quarter of the time and cannot be seen.
    tile = (rng.standard_normal((128, 128, 3), np.float32) * np.float32(strength)).astype(np.int16)
    rows, columns = (-(-side // 128) for side in image.shape[:2])
    noise = np.tile(tile, (rows, columns, 1))[: image.shape[0], : image.shape[1]]
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _centre(mask: Mask) -> tuple[float, float]:
    """The middle of a mask's box as (y, x), or of the picture where the mask is empty."""
    rows, columns = window(mask)
    if not rows.stop:
        return mask.shape[0] / 2, mask.shape[1] / 2
    return (rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2
