"""labelme JSON files."""

from __future__ import annotations

import base64
from pathlib import Path

from sam2lab.runtime.images import eight_bit
from sam2lab.widgets.formats.annotated import AnnotatedPhoto, Files, as_json
from sam2lab.widgets.formats.png import as_png
from sam2lab.widgets.formats.polygons import polygons


def labelme(annotated: AnnotatedPhoto) -> Files:
    """Make a labelme file to lie beside the photo; it contains a photo that has no file.

    labelme reads the very same masks from it. Each part of an object is a shape, and the parts
    of one object share a `group_id`. A hole is joined to the outline by a cut of no width.
    """
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
        photo = base64.b64encode(as_png(eight_bit(annotated.photo))).decode()
    content: dict[str, object] = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": annotated.file,
        "imageData": photo,
        "imageHeight": height,
        "imageWidth": width,
    }
    return {f"{Path(annotated.file).stem}.json": as_json(content)}
