"""The tables of take-away formats. The panels and the sessions' `export` read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sam2lab.runtime.requirements import missing, require
from sam2lab.widgets.formats.annotated import AnnotatedPhoto, Files
from sam2lab.widgets.formats.annotated_video import AnnotatedVideo
from sam2lab.widgets.formats.areas import areas
from sam2lab.widgets.formats.coco import coco_polygons, coco_rle
from sam2lab.widgets.formats.davis import davis
from sam2lab.widgets.formats.labelme import labelme
from sam2lab.widgets.formats.moving import overlay_mp4, overlay_webp
from sam2lab.widgets.formats.png import cutouts, label_map, masks
from sam2lab.widgets.formats.yolo import yolo
from sam2lab.widgets.formats.youtube_vis import youtube_vis


@dataclass(frozen=True)
class Format:
    """One format: its name in Python, its label in the clicker, and the function that makes it."""

    name: str
    label: str
    make: Callable[[AnnotatedPhoto], Files]


@dataclass(frozen=True)
class VideoFormat:
    """The same for videos. It is only offered where the modules that it needs are installed."""

    name: str
    label: str
    make: Callable[[AnnotatedVideo], Files]
    needs: tuple[str, ...] = ()


FORMATS: dict[str, Format] = {}
VIDEO_FORMATS: dict[str, VideoFormat] = {}
Row = TypeVar("Row", Format, VideoFormat)


def register(row: Format | VideoFormat) -> None:
    """Add a format to its table; clickers that are made from now on offer it.

    >>> register(FORMATS["yolo"])
    Traceback (most recent call last):
    ValueError: there is a format 'yolo' already; give yours another name
    """
    if row.name in (VIDEO_FORMATS if isinstance(row, VideoFormat) else FORMATS):
        raise ValueError(f"there is a format {row.name!r} already; give yours another name")
    if isinstance(row, VideoFormat):
        VIDEO_FORMATS[row.name] = row
    else:
        FORMATS[row.name] = row


def format_of(name: str) -> Format:
    """The row of a photo's format by its name, or a `ValueError` that lists the names."""
    return _row(FORMATS, name)


def video_format_of(name: str) -> VideoFormat:
    """The row of a video's format by its name, or an error that says what to do."""
    row = _row(VIDEO_FORMATS, name)
    require(f"The format {name!r}", row.needs)
    return row


def video_formats() -> list[VideoFormat]:
    """The formats of videos that can be made here."""
    return [row for row in VIDEO_FORMATS.values() if not missing(row.needs)]


def _row(table: Mapping[str, Row], name: str) -> Row:
    if name not in table:
        raise ValueError(f"format is {name!r}; wanted {', '.join(map(repr, table))}")
    return table[name]


register(Format("masks", "PNG mask for each object", masks))
register(Format("label_map", "PNG label map of all objects", label_map))
register(Format("coco_rle", "COCO JSON, run lengths", coco_rle))
register(Format("coco_polygons", "COCO JSON, polygons", coco_polygons))
register(Format("yolo", "YOLO polygons", yolo))
register(Format("labelme", "labelme JSON", labelme))
register(Format("cutouts", "Cut-outs with transparency", cutouts))

register(VideoFormat("davis", "PNG per frame, as DAVIS", davis))
register(VideoFormat("youtube_vis", "YouTube-VIS JSON, run lengths", youtube_vis))
register(VideoFormat("areas", "Areas, boxes and scores as CSV", areas))
register(VideoFormat("overlay_mp4", "Video with masks, mp4", overlay_mp4, ("av",)))
register(VideoFormat("overlay_webp", "Video with masks, animated WebP", overlay_webp))
