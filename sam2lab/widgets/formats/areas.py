"""A CSV file of areas, boxes and scores."""

from __future__ import annotations

import csv
import io

from sam2lab.widgets.formats.annotated import Files
from sam2lab.widgets.formats.annotated_video import AnnotatedVideo

COLUMNS = (
    *("frame", "object", "name", "prompted", "area_px", "x0", "y0", "x1", "y1"),
    *("object_score", "iou_score"),
)


def areas(annotated: AnnotatedVideo) -> Files:
    """Make a CSV file with a line for each object on each frame that it was followed to.

    `object` counts from 1. x1 and y1 are the first column and row outside the box; an absent
    object has no box.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for frame in annotated.followed_frames:
        for number, each in enumerate(annotated.objects, 1):
            if (answer := each.answers.get(frame)) is None:
                continue
            box = answer.packed.box if answer.area else ("", "", "", "")
            scores = (f"{answer.object_score:.6g}", f"{answer.iou:.6g}")
            about = frame, number, each.name, int(answer.prompted), answer.area
            writer.writerow([*about, *box, *scores])
    return {f"{annotated.stem}_areas.csv": text.getvalue().encode()}
