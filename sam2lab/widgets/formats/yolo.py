"""YOLO segmentation labels."""

from __future__ import annotations

from pathlib import Path

from sam2lab.widgets.formats.annotated import AnnotatedPhoto, Files
from sam2lab.widgets.formats.polygons import one_polygon, polygons


def yolo(annotated: AnnotatedPhoto) -> Files:
    """Make a label file, and beside it the class names, one on each line from class 0 on.

    An object is one line: its class, then x y of each corner as shares of the photo. Its
    parts are joined by lines of no width, which readers paint one pixel wide: an object of one
    part is read back exactly, holes included, others are that much off.
    """
    height, width = annotated.size
    lines = []
    for each in annotated.objects:
        polygon = one_polygon(polygons(each.mask, through_pixels=True))
        # Some readers truncate to pixels, others round: a quarter of a pixel survives both.
        shares = (polygon + 0.25) / (width, height)
        numbers = " ".join(f"{share:.9f}" for share in shares.ravel())
        lines.append(f"{annotated.names.index(each.name)} {numbers}\n")
    return {
        f"{Path(annotated.file).stem}.txt": "".join(lines).encode(),
        "classes.txt": "".join(f"{name}\n" for name in annotated.names).encode(),
    }
