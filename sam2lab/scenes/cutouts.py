"""Objects cut out of pictures, and scenes pasted together from them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from sam2lab.runtime.images import ImageError
from sam2lab.runtime.masks import Mask, window
from sam2lab.scenes import augment, synthetic
from sam2lab.scenes.layers import RGBA, SOLID, stack
from sam2lab.scenes.scene import RGB, Scene
from sam2lab.scenes.split import family

ENDINGS = {".png", ".webp"}


class CutoutFolder:
    """A folder of pictures with transparency, such as emoji, read when asked for.

    `families` lists their names grouped by `split.family`, so that a picture with many variants
    is not chosen more often than one without.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ValueError(f"cutouts: there is no folder {str(folder)!r}; pass one of RGBA PNGs")
        self.names = sorted(
            path.name for path in self.folder.iterdir() if path.suffix.lower() in ENDINGS
        )
        if not self.names:
            raise ValueError(
                f"cutouts: {str(folder)!r} holds no PNG or WebP file; pass the folder itself"
            )
        groups: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            groups[family(name)].append(name)
        self.families = list(groups.values())

    def read(self, name: str) -> RGBA:
        """Read a picture as uint8 (h, w, 4), without its transparent margin.

        Raises `runtime.images.ImageError` if it is broken or has no solid pixel.
        """
        try:
            with Image.open(self.folder / name) as opened:
                picture = np.asarray(opened.convert("RGBA"))
        # Pillow may raise any error on a damaged file.
        except Exception as error:
            raise ImageError(f"image: {name} cannot be opened ({error}); save it anew") from error
        return trim(picture, name)


def trim(picture: RGBA, name: str) -> RGBA:
    """Cut the transparent margin off a picture (h, w, 4); an error names it by `name`."""
    trimmed = picture[window(picture[..., 3] >= SOLID)]
    if not trimmed.size:
        raise ImageError(f"image: {name} has no solid pixel; remove it")
    # A view would keep the margin in memory.
    return trimmed.copy()


def cut_out(photo: RGB, mask: Mask) -> RGBA:
    """Cut the object of `mask` (H, W) out of a photo, its edge softened by half a pixel."""
    soft = Image.fromarray(mask).convert("L").filter(ImageFilter.BoxBlur(0.5))
    return trim(np.dstack([photo, np.asarray(soft)]), "a mask")


def compose(
    rng: np.random.Generator,
    size: tuple[int, int],
    background: Scene,
    cutouts: Sequence[RGBA],
) -> Scene:
    """Paste cut-outs over a scene of `size` (height, width), with shadow; later ones hide others.

    Each is scaled, mirrored, turned and tinted at random. The background's objects stay objects
    where they are still visible.
    """
    if background.image.shape[:2] != size:
        raise ValueError(
            f"background is {background.image.shape[:2]}, size {size}; crop it to that size"
        )
    shadow = synthetic.cast(rng, size)
    layers = [synthetic.place(rng, _varied(rng, cutout, size), size, shadow) for cutout in cutouts]
    scene = stack(background, layers)
    return Scene(augment.develop(rng, scene.image), scene.masks).without_specks()


def _varied(rng: np.random.Generator, cutout: RGBA, size: tuple[int, int]) -> RGBA:
    """Change the size, side, angle and tint of a cut-out at random."""
    longest = max(cutout.shape[:2])
    side = np.exp(rng.uniform(np.log(0.1), np.log(0.9))) * min(size)
    # More than twice its own size it would be a blur.
    scale = min(side, 2 * longest) / longest
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    height, width = (
        max(2, round(length * scale * factor))
        for length, factor in zip(cutout.shape, (stretch, 1 / stretch), strict=False)
    )
    picture = Image.fromarray(cutout).resize(
        (width, height), Image.Resampling.BILINEAR, reducing_gap=2.0
    )
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.6:
        angle = rng.uniform(-180, 180) if rng.random() < 0.25 else rng.normal(0, 15)
        picture = picture.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    varied = np.array(picture)
    varied[..., :3] = augment.tint(rng, varied[..., :3], 0.6)
    return varied
