"""The table of take-away formats. The clicker's panel and `Session.export` read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sam2lab.widgets.formats.annotated import AnnotatedPhoto, Files
from sam2lab.widgets.formats.coco import coco_polygons, coco_rle
from sam2lab.widgets.formats.labelme import labelme
from sam2lab.widgets.formats.png import cutouts, label_map, masks
from sam2lab.widgets.formats.yolo import yolo


@dataclass(frozen=True)
class Format:
    """One format: its name in Python, its label in the clicker, and the function that makes it."""

    name: str
    label: str
    make: Callable[[AnnotatedPhoto], Files]


FORMATS: dict[str, Format] = {}


def register(row: Format) -> None:
    """Add a format to the table; clickers that are made from now on offer it.

    >>> register(FORMATS["yolo"])
    Traceback (most recent call last):
    ValueError: there is a format 'yolo' already; give yours another name
    """
    if row.name in FORMATS:
        raise ValueError(f"there is a format {row.name!r} already; give yours another name")
    FORMATS[row.name] = row


def format_of(name: str) -> Format:
    """The row of a format by its name, or a `ValueError` that lists the names."""
    if name not in FORMATS:
        raise ValueError(f"format is {name!r}; wanted {', '.join(map(repr, FORMATS))}")
    return FORMATS[name]


register(Format("masks", "PNG mask for each object", masks))
register(Format("label_map", "PNG label map of all objects", label_map))
register(Format("coco_rle", "COCO JSON, run lengths", coco_rle))
register(Format("coco_polygons", "COCO JSON, polygons", coco_polygons))
register(Format("yolo", "YOLO polygons", yolo))
register(Format("labelme", "labelme JSON", labelme))
register(Format("cutouts", "Cut-outs with transparency", cutouts))
