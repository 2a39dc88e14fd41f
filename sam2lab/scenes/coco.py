"""Read any folder in COCO's format: photos, and objects as masks."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sam2lab.runtime import images as photos
from sam2lab.runtime.masks import Mask, bounding_box
from sam2lab.scenes import segmentation
from sam2lab.scenes.scene import RGB, Scene


@dataclass(frozen=True, eq=False)
class CocoObject:
    """One annotation. mask: bool (H, W). bbox: x, y, width, height in pixels.

    `area` and `bbox` are those of the file, or those of the mask where the file has none.
    `category` is a name, or the number as text where the file names none. `iscrowd` marks a
    region of many objects that were not separated.
    """

    id: int
    mask: Mask
    area: float
    bbox: tuple[float, float, float, float]
    iscrowd: bool
    category: str


class CocoFolder:
    """Photos and their objects, read when asked for; none stays in memory.

    `annotations` is the path of an instances.json, and photos lie in `images` (without it, in
    the folder images/ beside the file, or beside the file itself). `annotations` may also be a
    folder that holds both. Broken records and photos are skipped and noted in `problems`.
    """

    def __init__(
        self, annotations: str | os.PathLike[str], images: str | os.PathLike[str] | None = None
    ) -> None:
        path = Path(annotations)
        self.file = path / "instances.json" if path.is_dir() else path
        beside = self.file.parent / "images"
        self.folder = beside if beside.is_dir() else self.file.parent
        if images is not None:
            self.folder = Path(images)
        content = _content(self.file)
        self._problems: dict[tuple[str, Any], str] = {}
        self._images: dict[int, dict[str, Any]] = {}
        for record in content["images"]:
            self._add_image(record)
        self._annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for record in content["annotations"]:
            self._add_annotation(record)
        self._categories = {
            c["id"]: str(c["name"])
            for c in content.get("categories") or []
            if isinstance(c, dict) and {"id", "name"} <= c.keys()
        }

    @property
    def images(self) -> list[int]:
        """Image ids, in the order of the file."""
        return list(self._images)

    @property
    def problems(self) -> list[str]:
        """The broken records and photos found until now, which are skipped, one line each."""
        return list(self._problems.values())

    def file_name(self, image_id: int) -> str:
        """The photo's name as the file has it, relative to the folder of photos."""
        return self._record(image_id)["file_name"]

    def set_of(self, image_id: int) -> str | None:
        """The name of the set that a photo comes from, where the file is put together from some."""
        return self._record(image_id).get("set")

    def size(self, image_id: int) -> tuple[int, int]:
        """(height, width) of a photo in pixels, without opening it."""
        record = self._record(image_id)
        return record["height"], record["width"]

    def read(self, image_id: int) -> RGB:
        """The photo, uint8 (H, W, 3) in RGB order.

        Raises `runtime.images.ImageError`, and notes the problem, if it is missing, broken or
        not of the size that the annotations are for.
        """
        name, (height, width) = self.file_name(image_id), self.size(image_id)
        try:
            photo = photos.read(self.folder / name)
            if photo.shape[:2] != (height, width):
                raise photos.ImageError(
                    f"it is {photo.shape[1]}x{photo.shape[0]} pixels, but was annotated as "
                    f"{width}x{height}; find the original photo"
                )
        except photos.ImageError as error:
            problem = f"image {image_id}, {name}, cannot be used: {error}"
            self._problems["image", image_id] = problem
            raise photos.ImageError(problem) from error
        if photo.dtype != np.uint8:
            photo = np.rint(photo * 255)
        return photo.astype(np.uint8, copy=False)

    def objects(self, image_id: int) -> list[CocoObject]:
        """The objects of a photo, crowds included.

        An object that it cannot decode, or that has no pixel, is skipped and noted.
        """
        size = self.size(image_id)
        found = []
        for number, record in enumerate(self._annotations.get(image_id, [])):
            lacks = [name for name in ("id", "segmentation") if record.get(name) is None]
            try:
                if lacks:
                    raise ValueError(f"it has no {' and no '.join(lacks)}")
                found.append(self._object(record, size))
            # Decoding may raise any error on a damaged segmentation.
            except Exception as error:
                self._problems["annotation", (image_id, number)] = (
                    f"annotation {record.get('id')} of image {image_id} is skipped: {error}"
                )
        return found

    def scene(self, image_id: int) -> Scene:
        """The photo and its objects without crowds, as annotated; masks may overlap."""
        photo = self.read(image_id)
        masks = [each.mask for each in self.objects(image_id) if not each.iscrowd]
        return Scene(photo, np.stack(masks) if masks else np.zeros((0, *photo.shape[:2]), bool))

    def _record(self, image_id: int) -> dict[str, Any]:
        if image_id not in self._images:
            raise ValueError(
                f"image_id {image_id!r} is not in {self.file}; its `images` lists the "
                f"{len(self._images)} that are"
            )
        return self._images[image_id]

    def _add_image(self, record: Any) -> None:
        usable = (
            isinstance(record, dict)
            and isinstance(record.get("id"), int)
            and isinstance(record.get("file_name"), str)
            and all(
                isinstance(record.get(side), int) and record[side] > 0
                for side in ("height", "width")
            )
        )
        if usable and record["id"] in self._images:
            # Nothing distinguishes its annotations from those of the first.
            self._problems["image record", len(self._problems)] = (
                f"image record {str(record)[:80]} is skipped: its id is also that of "
                f"{self.file_name(record['id'])}"
            )
        elif usable:
            self._images[record["id"]] = record
        else:
            self._problems["image record", len(self._problems)] = (
                f"image record {str(record)[:80]} is skipped: it needs id, file_name, height, width"
            )

    def _add_annotation(self, record: Any) -> None:
        image_id = record.get("image_id") if isinstance(record, dict) else None
        if not isinstance(image_id, list | dict) and image_id in self._images:
            self._annotations[image_id].append(record)
        else:
            self._problems["annotation record", len(self._problems)] = (
                f"annotation {str(record)[:80]} is skipped: there is no image {image_id!r}"
            )

    def _object(self, record: dict[str, Any], size: tuple[int, int]) -> CocoObject:
        mask = segmentation.decode(record["segmentation"], size)
        if not mask.any():
            raise ValueError("its mask has no pixel")
        category, area = record.get("category_id"), record.get("area")
        left, top, right, bottom = bounding_box(mask)
        bbox = record.get("bbox") or (left, top, right - left, bottom - top)
        return CocoObject(
            id=record["id"],
            mask=mask,
            area=float(np.count_nonzero(mask) if area is None else area),
            bbox=tuple(map(float, bbox)),  # type: ignore[arg-type]
            iscrowd=bool(record.get("iscrowd", 0)),
            category=self._categories.get(category, str(category)),
        )


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(
            f"annotations: there is no file {str(file)!r}; pass an instances.json, or a folder "
            "that holds one"
        ) from error
    except ValueError as error:
        raise ValueError(f"annotations: {str(file)!r} is not JSON ({error})") from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(part), list) for part in ("images", "annotations")
    ):
        raise ValueError(
            f"annotations: {str(file)!r} has no lists named images and annotations; pass a file "
            "of COCO's instances, not of results"
        )
    return content
