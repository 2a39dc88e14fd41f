"""Makes the clip in data/clips anew: `python -m sam2lab.scenes.example_clip`.

A picture of a cat sways before a launch pad. A cup goes behind it, is hidden for some frames, and
comes back turned; a star crosses before both and leaves the picture. All of it is cut out of the
photos in data/photos, but for the star, which is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sam2lab import settings
from sam2lab.runtime.files import replacing
from sam2lab.runtime.video.davis import as_png, label_map
from sam2lab.scenes import synthetic
from sam2lab.scenes.clips import Actor, Pose, View, film, through
from sam2lab.scenes.cutouts import cut_out
from sam2lab.scenes.layers import RGBA, Shadow
from sam2lab.scenes.scene import Scene
from sam2lab.scenes.tiny_coco import OutlinedPicture, mask_of, outlined_photos

NAME, FRAMES, SIZE = "cat-and-cup", 40, (240, 320)
OBJECTS = ("cup", "cat", "star")

GROUND_WIDTH = 900
# (x, y) and radius, in pixels of the photo of the cat.
FACE = (215, 149, 148)
STAR_SEED, STAR_PIXELS = 1, 150
JPEG_QUALITY = 86


class ExampleClip(NamedTuple):
    """Where the clip that ships lies.

    `frames` is its folder of JPEG files, `masks` that of PNG files in which a pixel has the number
    of its object, in the order of OBJECTS from 1; `folder` holds both in the format of DAVIS.
    """

    frames: Path
    masks: Path
    folder: Path


def shipped_clip() -> ExampleClip:
    """Find the clip that ships.

    >>> from sam2lab.runtime.video.frames import open_frames
    >>> frames = open_frames(shipped_clip().frames)
    >>> len(frames), frames.size
    (40, (240, 320))
    """
    return _places(settings.data_folder() / "clips")


def scenes() -> Iterator[Scene]:
    """The frames with their masks (3, H, W), in the order of OBJECTS; always the same."""
    photos = {photo.name: photo for photo in outlined_photos()}
    pad = Image.fromarray(photos["rocket"].image)
    height = round(GROUND_WIDTH * pad.height / pad.width)
    ground = np.asarray(pad.resize((GROUND_WIDTH, height), Image.Resampling.BICUBIC))
    cup, cat = _cut(photos["coffee"], "cup"), _portrait(photos["cat"])
    star = synthetic.shape(np.random.default_rng(STAR_SEED), STAR_PIXELS)
    shadow = Shadow(x=6, y=10, blur=8, strength=0.4)
    camera = through((0, View(330, 320, 2.0)), (0.5, View(430, 300, 1.9)), (1, View(560, 310, 2.0)))
    actors = [
        Actor(
            cup,
            through(
                (0, Pose(560, 240, 0, 0.55)),
                (0.2, Pose(420, 250, 25, 0.5)),
                (0.36, Pose(240, 420, 60, 0.45)),
                (0.52, Pose(280, 415, 90, 0.45)),
                (0.75, Pose(540, 260, 40, 0.5)),
                (1, Pose(700, 400, -30, 0.6)),
            ),
        ),
        Actor(
            cat,
            through(
                (0, Pose(180, 430, -4, 0.8)),
                (0.25, Pose(210, 425, 14, 0.82)),
                (0.5, Pose(265, 410, -8, 0.85)),
                (0.75, Pose(330, 420, 10, 0.83)),
                (1, Pose(400, 430, -6, 0.8)),
            ),
            shadow,
        ),
        Actor(
            star,
            through(
                (0, Pose(130, 190, 0, 0.8)),
                (0.4, Pose(330, 170, -70, 0.9)),
                (0.7, Pose(560, 250, -120, 1.0)),
                (0.92, Pose(980, 330, -200, 1.0)),
                (1, Pose(1050, 340, -210, 1.0)),
            ),
            shadow,
        ),
    ]
    return film(ground, actors, camera, SIZE, FRAMES)


def make(folder: Path) -> ExampleClip:
    """Write frames, masks and the list of videos into a folder in the format of DAVIS."""
    places = _places(folder)
    for place in (places.frames, places.masks, folder / "ImageSets" / "2017"):
        place.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(scenes()):
        with replacing(places.frames / f"{number:05}.jpg") as beside:
            Image.fromarray(scene.image).save(beside, "JPEG", quality=JPEG_QUALITY)
        with replacing(places.masks / f"{number:05}.png") as beside:
            beside.write_bytes(as_png(label_map(scene.masks, [1, 2, 3])))
    (folder / "ImageSets" / "2017" / "val.txt").write_text(f"{NAME}\n", encoding="utf-8")
    return places


def _places(folder: Path) -> ExampleClip:
    frames, masks = (folder / kind / "480p" / NAME for kind in ("JPEGImages", "Annotations"))
    return ExampleClip(frames, masks, folder)


def _portrait(photo: OutlinedPicture) -> RGBA:
    """The cat's face in a circle, because the photo cuts off its ears."""
    rows, columns = np.indices(photo.image.shape[:2])
    x, y, radius = FACE
    return cut_out(photo.image, np.hypot(columns - x, rows - y) < radius)


def _cut(photo: OutlinedPicture, category: str) -> RGBA:
    each = next(each for each in photo.objects if each.category == category)
    return cut_out(photo.image, mask_of(each, photo.objects, photo.image.shape))


if __name__ == "__main__":
    print(make(settings.data_folder() / "clips").folder)
