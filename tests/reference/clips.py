"""A short clip whose masks are known, as a folder of JPEG files, which upstream reads too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sam2lab.scenes import textures

Box = list[float]


@dataclass(frozen=True)
class Clip:
    """The folder and the exact masks (T, objects, H, W) of what moves in it."""

    folder: Path
    masks: np.ndarray

    def point(self, frame: int, thing: int) -> list[float]:
        """A point (x, y) on a thing, near its middle."""
        ys, xs = np.nonzero(self.masks[frame, thing])
        nearest = np.argmin((ys - ys.mean()) ** 2 + (xs - xs.mean()) ** 2)
        return [float(xs[nearest]), float(ys[nearest])]

    def box(self, frame: int, thing: int) -> Box:
        """The box around a thing."""
        ys, xs = np.nonzero(self.masks[frame, thing])
        return [float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)]


def make_clip(
    folder: Path, frames: int, size: tuple[int, int], things: int = 3, seed: int = 0
) -> Clip:
    """Write frames on which textured discs move over a textured ground, later ones in front."""
    rng = np.random.default_rng(seed)
    height, width = size
    ground, *skins = (textures.draw(rng, size) for _ in range(things + 1))
    start, end = rng.uniform(0.2, 0.8, (2, things, 2)) * (width, height)
    radii = rng.uniform(0.15, 0.25, things) * height
    y, x = np.mgrid[:height, :width]
    masks = np.zeros((frames, things, height, width), bool)
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(frames):
        picture = ground.copy()
        for thing, skin in enumerate(skins):
            cx, cy = start[thing] + (end[thing] - start[thing]) * frame / (frames - 1)
            disc = (x - cx) ** 2 + (y - cy) ** 2 < radii[thing] ** 2
            picture[disc] = skin[disc]
            masks[frame, :thing] &= ~disc
            masks[frame, thing] = disc
        Image.fromarray(picture).save(folder / f"{frame:05d}.jpg", quality=95)
    return Clip(folder, masks)
