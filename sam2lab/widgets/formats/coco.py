"""COCO JSON files, with run lengths or with polygons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sam2lab.runtime.masks import Mask, bounding_box
from sam2lab.widgets.formats.annotated import AnnotatedPhoto, Files, as_json
from sam2lab.widgets.formats.polygons import polygons


def coco_rle(annotated: AnnotatedPhoto) -> Files:
    """Make a COCO file with compressed run lengths, which COCO's own tools count with."""
    return _coco(annotated, _rle)


def coco_polygons(annotated: AnnotatedPhoto) -> Files:
    """Make a COCO file with polygons, from which pycocotools reads the very same masks.

    Each part of an object is a polygon. A hole is joined to the outline by a cut of no width,
    which editors show as a line.
    """
    return _coco(
        annotated,
        lambda mask: [p.ravel().tolist() for p in polygons(mask, through_pixels=False)],
    )


def _coco(annotated: AnnotatedPhoto, segmentation: Callable[[Mask], object]) -> Files:
    height, width = annotated.size
    annotations = []
    for number, each in enumerate(annotated.objects, 1):
        x0, y0, x1, y1 = bounding_box(each.mask)
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1 + annotated.names.index(each.name),
                "segmentation": segmentation(each.mask),
                "area": int(np.count_nonzero(each.mask)),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "iscrowd": 0,
                "score": each.score,
            }
        )
    content = {
        "images": [{"id": 1, "file_name": annotated.file, "height": height, "width": width}],
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(annotated.names, 1)],
    }
    return {f"{annotated.stem}_coco.json": as_json(content)}


def _rle(mask: Mask) -> dict[str, Any]:
    from pycocotools import mask as coco  # only installed with sam2lab[lab]

    encoded = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}
