"""Makes the small data set in data/tiny_coco anew: `python -m sam2lab.scenes.tiny_coco`.

It holds 24 pictures in COCO's format: parts of the photos in data/photos, whose objects were
outlined by hand (outlines.json); objects of these photos pasted together; and drawn scenes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2lab import settings
from sam2lab.runtime import images as photos
from sam2lab.runtime.files import replacing
from sam2lab.runtime.masks import Mask, bounding_box
from sam2lab.runtime.rle import RleDict, encode
from sam2lab.scenes import augment, cutouts, synthetic
from sam2lab.scenes.scene import LEAST_PIXELS, RGB, Scene
from sam2lab.scenes.segmentation import decode

SIZES = ((240, 320), (320, 240), (256, 256))
"""(height, width) of the pictures, in turn."""

VIEWS, PASTED, DRAWN = 3, 8, 7
SEED = 20_000


@dataclass(frozen=True, eq=False)
class OutlinedObject:
    """An object: polygons (K, 2) as (x, y), or a mask (H, W) where polygons cannot describe it.

    `behind` names the categories of the same picture that hide it where they overlap.
    """

    category: str
    polygons: list[npt.NDArray[np.float64]]
    mask: Mask | None = None
    crowd: bool = False
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class OutlinedPicture:
    """A picture of the set: its name without number and ending, its pixels, its objects."""

    name: str
    image: RGB
    objects: list[OutlinedObject]


def make(folder: Path) -> Path:
    """Write images/ and instances.json into a folder; return the path of instances.json."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for image_id, picture in enumerate(pictures(), start=1):
        size = picture.image.shape[0], picture.image.shape[1]
        name = f"{image_id:02}-{picture.name}.jpg"
        _write_jpeg(picture.image, folder / "images" / name)
        images.append(
            {"id": image_id, "file_name": name, "height": size[0], "width": size[1], "license": 1}
        )
        for each in picture.objects:
            mask = mask_of(each, picture.objects, size)
            if np.count_nonzero(mask) < LEAST_PIXELS:
                continue
            left, top, right, bottom = bounding_box(mask)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": categories.setdefault(each.category, len(categories) + 1),
                    "iscrowd": int(each.crowd),
                    "area": int(np.count_nonzero(mask)),
                    "bbox": [left, top, right - left, bottom - top],
                    "segmentation": _segmentation(each, mask),
                }
            )
    file = folder / "instances.json"
    text = _json(
        info={"description": "A tiny set in COCO's format, made by sam2lab"},
        licenses=[{"id": 1, "name": "see data/README.md"}],
        images=images,
        annotations=annotations,
        categories=[{"id": number, "name": name} for name, number in categories.items()],
    )
    with replacing(file) as beside:
        beside.write_text(text, encoding="utf-8")
    return file


def pictures() -> Iterator[OutlinedPicture]:
    """All pictures, in order; always the same."""
    outlined = outlined_photos()
    for photo in outlined:
        yield from (_view(photo, number) for number in range(VIEWS))
    grounds = [_scene(photo) for photo in outlined]
    pieces = [cutouts.cut_out(ground.image, mask) for ground in grounds for mask in ground.masks]
    for number in range(PASTED):
        rng = np.random.default_rng([SEED, 1, number])
        size = SIZES[number % len(SIZES)]
        chosen = [pieces[i] for i in rng.choice(len(pieces), 4, replace=False)]
        chosen += [synthetic.shape(rng, 120) for _ in range(2)]
        ground = augment.part(rng, grounds[number % len(grounds)], size)
        yield _masked("pasted", cutouts.compose(rng, size, ground, chosen))
    for number in range(DRAWN):
        rng = np.random.default_rng([SEED, 2, number])
        yield _masked("drawn", synthetic.draw(rng, SIZES[number % len(SIZES)]))


def outlined_photos() -> list[OutlinedPicture]:
    """The photos of data/photos with their objects from outlines.json."""
    data = settings.data_folder()
    outlines = json.loads((data / "tiny_coco" / "outlines.json").read_text(encoding="utf-8"))
    return [
        OutlinedPicture(
            name,
            photos.read(data / "photos" / f"{name}.jpg").astype(np.uint8, copy=False),
            [
                OutlinedObject(
                    each["category"],
                    [np.array(polygon, float) for polygon in each["polygons"]],
                    crowd=each.get("crowd", False),
                    behind=tuple(each.get("behind", ())),
                )
                for each in objects
            ],
        )
        for name, objects in outlines.items()
    ]


def mask_of(each: OutlinedObject, beside: Iterable[OutlinedObject], size: tuple[int, ...]) -> Mask:
    """The visible part of an object on a picture of size (height, width)."""
    if each.mask is not None:
        return each.mask
    mask = decode([polygon.ravel().tolist() for polygon in each.polygons], (size[0], size[1]))
    for other in beside:
        if other.category in each.behind:
            mask = mask & ~mask_of(other, (), size)
    return mask


def _view(photo: OutlinedPicture, number: int) -> OutlinedPicture:
    """View 0 is the whole width or height of a photo, view 1 its mirror image, view 2 closer."""
    rng = np.random.default_rng([SEED, 0, number, len(photo.name)])
    height, width = SIZES[number]
    share = min(photo.image.shape[0] / height, photo.image.shape[1] / width)
    share *= 0.6 if number == 2 else 1
    tall, wide = height * share, width * share
    # Around the middle, where these photos have their subject.
    left = (photo.image.shape[1] - wide) * rng.uniform(0.35, 0.65)
    top = (photo.image.shape[0] - tall) * rng.uniform(0.35, 0.65)
    empty = Scene(photo.image, np.zeros((0, *photo.image.shape[:2]), bool))
    image = augment.cut(empty, (left, top, left + wide, top + tall), (height, width)).image
    objects = []
    for each in photo.objects:
        polygons = []
        for polygon in each.polygons:
            moved = (polygon - [left, top]) / share
            if number == 1:
                moved[:, 0] = width - moved[:, 0]
            polygons.append(np.clip(moved, 0, [width, height]).round(1))
        objects.append(
            OutlinedObject(each.category, polygons, crowd=each.crowd, behind=each.behind)
        )
    return OutlinedPicture(photo.name, image[:, ::-1] if number == 1 else image, objects)


def _scene(photo: OutlinedPicture) -> Scene:
    size = photo.image.shape
    masks = [mask_of(each, photo.objects, size) for each in photo.objects if not each.crowd]
    return Scene(photo.image, np.stack(masks))


def _masked(name: str, scene: Scene) -> OutlinedPicture:
    return OutlinedPicture(
        name, scene.image, [OutlinedObject("object", [], mask) for mask in scene.masks]
    )


def _segmentation(each: OutlinedObject, mask: Mask) -> list[list[float]] | RleDict:
    """Polygons where they suffice, plain run lengths for crowds as in COCO, else packed ones."""
    if each.crowd:
        return encode(mask).uncompressed()
    if each.mask is not None or each.behind:
        return encode(mask).compressed()
    return [polygon.ravel().tolist() for polygon in each.polygons]


def _write_jpeg(image: RGB, target: Path) -> None:
    with replacing(target) as beside:
        Image.fromarray(np.ascontiguousarray(image)).save(beside, "JPEG", quality=90)


def _json(info: dict[str, Any], **records: list[dict[str, Any]]) -> str:
    """Write one record a line, so that a change of one record shows as one changed line."""
    lists = [
        f'"{name}": [\n' + ",\n".join(json.dumps(record) for record in listed) + "\n]"
        for name, listed in records.items()
    ]
    return "{\n" + ",\n".join([f'"info": {json.dumps(info)}', *lists]) + "\n}\n"


if __name__ == "__main__":
    print(make(settings.data_folder() / "tiny_coco"))
