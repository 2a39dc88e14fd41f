"""Objects in the formats that other tools read, as the bytes of files.

What each can carry:

- `masks`, `cutouts`: a PNG an object; exact, overlaps included.
- `label_map`: one PNG for all; exact, but where objects overlap the later one wins.
- `coco_rle`: exact, and what COCO's own tools count with.
- `coco_polygons`: exact when pycocotools reads it. A part is a polygon; a hole is joined to
  the outline by a cut of no width, which editors show as a line.
- `labelme`: exact when labelme reads it. A part is a shape, and the parts of one object share
  a `group_id`; holes as above.
- `yolo`: an object is one line, so its parts are joined by lines of no width. Its readers
  paint such a line one pixel wide: exact for a single part, holes included, else that much off.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.images import RGB
from sam2lab.widgets.formats.polygons import one_polygon, polygons
from sam2lab.widgets.session.packed import Mask, PackedMask
from sam2lab.widgets.session.pictures import as_png
from sam2lab.widgets.session.session import Session

Files = dict[str, bytes]


@dataclass(frozen=True, eq=False)
class Labelled:
    """An object's name, mask (H, W) and predicted IoU; a mask that is not empty."""

    name: str
    mask: Mask
    score: float


@dataclass(frozen=True, eq=False)
class Annotated:
    """A photo (H, W, 3) RGB, the name of its file, and the objects on it.

    `has_file` is false where the photo was never a file, so that whoever takes it away must
    take its pixels too.
    """

    name: str
    photo: RGB
    objects: tuple[Labelled, ...]
    has_file: bool = False

    @classmethod
    def of(cls, session: Session) -> Annotated:
        """All that has been pointed out on the open photo, hidden objects too."""
        picture = session.image
        if picture is None:
            raise ValueError("no image is open; open one with open_image(...)")
        answers = [(item.name, session.answer(item.id)) for item in session.objects]
        objects = tuple(
            Labelled(name, answer.mask, answer.score)
            for name, answer in answers
            if answer.score is not None and answer.area
        )
        return cls(picture.name, session.photo, objects, picture.path is not None)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.photo.shape[:2]
        return height, width

    @property
    def stem(self) -> str:
        """What files about this photo are called, without an ending."""
        return _file_name(Path(self.name).stem)

    @property
    def file(self) -> str:
        """The photo's own file name; without a file, the one that it should be given."""
        return self.name if self.has_file else f"{self.stem}.png"

    @property
    def names(self) -> list[str]:
        """The objects' names, each once, in order: the categories."""
        return list(dict.fromkeys(each.name for each in self.objects))


def masks(annotated: Annotated) -> Files:
    """A grey PNG an object, 255 on it and 0 elsewhere."""
    return {
        f"{annotated.stem}_{number}_{_file_name(each.name)}.png": as_png(
            each.mask.astype(np.uint8) * np.uint8(255)
        )
        for number, each in enumerate(annotated.objects, 1)
    }


def cutouts(annotated: Annotated) -> Files:
    """An RGBA PNG an object: the photo on it, nothing elsewhere, cropped to its box."""
    rgb = _eight_bit(annotated.photo)
    files = {}
    for number, each in enumerate(annotated.objects, 1):
        x0, y0, x1, y1 = PackedMask.of(each.mask).box
        part = np.s_[y0:y1, x0:x1]
        alpha = each.mask[part].astype(np.uint8) * np.uint8(255)
        # Transparent pixels are made black, so that nothing of the photo hides in them.
        colour = rgb[part] * each.mask[part][..., None]
        name = f"{annotated.stem}_{number}_{_file_name(each.name)}_cutout.png"
        files[name] = as_png(np.dstack([colour, alpha]))
    return files


def label_map(annotated: Annotated) -> Files:
    """One grey PNG, 0 for no object and n for the n-th; and a JSON of what n is called.

    8 bits, or 16 for more than 255 objects.
    """
    count = len(annotated.objects)
    if count > 65535:
        raise ValueError(f"there are {count} objects; a label map has room for 65535")
    values = np.zeros(annotated.size, np.uint8 if count < 256 else np.uint16)
    for number, each in enumerate(annotated.objects, 1):
        values[each.mask] = number
    names = {str(number): each.name for number, each in enumerate(annotated.objects, 1)}
    return {
        f"{annotated.stem}_labels.png": as_png(values),
        f"{annotated.stem}_labels.json": _json(names),
    }


def coco_rle(annotated: Annotated) -> Files:
    """A COCO file with compressed run lengths."""
    return _coco(annotated, _rle)


def coco_polygons(annotated: Annotated) -> Files:
    """A COCO file with polygons."""
    return _coco(
        annotated,
        lambda mask: [p.ravel().tolist() for p in polygons(mask, through_pixels=False)],
    )


def yolo(annotated: Annotated) -> Files:
    """A YOLO segmentation label: class, then x y of every corner as shares of the photo.

    Beside it the class names, one a line from class 0 on.
    """
    height, width = annotated.size
    lines = []
    for each in annotated.objects:
        polygon = one_polygon(polygons(each.mask, through_pixels=True))
        # Readers go back to pixels by cutting off or by rounding: a quarter survives both.
        shares = (polygon + 0.25) / (width, height)
        numbers = " ".join(f"{share:.9f}" for share in shares.ravel())
        lines.append(f"{annotated.names.index(each.name)} {numbers}\n")
    return {
        f"{Path(annotated.file).stem}.txt": "".join(lines).encode(),
        "classes.txt": "".join(f"{name}\n" for name in annotated.names).encode(),
    }


def labelme(annotated: Annotated) -> Files:
    """A labelme file, to lie beside the photo; a photo that has no file is inside."""
    height, width = annotated.size
    shapes = []
    for number, each in enumerate(annotated.objects, 1):
        parts = polygons(each.mask, through_pixels=True)
        shapes += [
            {
                "label": each.name,
                "points": part.astype(float).tolist(),
                "group_id": number if len(parts) > 1 else None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for part in parts
        ]
    photo = None
    if not annotated.has_file:
        photo = base64.b64encode(as_png(_eight_bit(annotated.photo))).decode()
    content: dict[str, Any] = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": annotated.file,
        "imageData": photo,
        "imageHeight": height,
        "imageWidth": width,
    }
    return {f"{Path(annotated.file).stem}.json": _json(content)}


FORMATS: Mapping[str, Callable[[Annotated], Files]] = {
    "masks": masks,
    "label_map": label_map,
    "coco_rle": coco_rle,
    "coco_polygons": coco_polygons,
    "yolo": yolo,
    "labelme": labelme,
    "cutouts": cutouts,
}


def take(session: Session, form: str) -> Files:
    """The objects on a session's photo in one of `FORMATS`: file names, and their bytes."""
    if form not in FORMATS:
        raise ValueError(f"form is {form!r}; wanted one of {', '.join(FORMATS)}")
    annotated = Annotated.of(session)
    if not annotated.objects:
        raise ValueError("there is no object to take away yet: click on one or draw a box")
    return FORMATS[form](annotated)


def _coco(annotated: Annotated, segmentation: Callable[[Mask], Any]) -> Files:
    height, width = annotated.size
    annotations = []
    for number, each in enumerate(annotated.objects, 1):
        packed = PackedMask.of(each.mask)
        x0, y0, x1, y1 = packed.box
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1 + annotated.names.index(each.name),
                "segmentation": segmentation(each.mask),
                "area": packed.area,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "iscrowd": 0,
                "score": each.score,
            }
        )
    content: dict[str, Any] = {
        "images": [{"id": 1, "file_name": annotated.file, "height": height, "width": width}],
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(annotated.names, 1)],
    }
    return {f"{annotated.stem}_coco.json": _json(content)}


def _rle(mask: Mask) -> dict[str, Any]:
    from pycocotools import mask as coco  # of the notebooks' extra, and only this needs it

    encoded = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def _eight_bit(rgb: RGB) -> npt.NDArray[np.uint8]:
    white = 1 if rgb.dtype == np.uint8 else 255
    return np.rint(rgb * np.float32(white)).astype(np.uint8)


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()


def _file_name(name: str) -> str:
    """A name without what file systems or shells take for something else.

    >>> _file_name("a cat / dog?")
    'a_cat_dog'
    """
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "image"
