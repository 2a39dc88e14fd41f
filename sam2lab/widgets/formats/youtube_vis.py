"""YouTube-VIS JSON files, which is COCO's form for videos."""

from __future__ import annotations

from typing import Any

from sam2lab.runtime import rle
from sam2lab.widgets.formats.annotated import Files, as_json
from sam2lab.widgets.formats.annotated_video import AnnotatedVideo, FollowedObject
from sam2lab.widgets.session.followed import VideoAnswer


def youtube_vis(annotated: AnnotatedVideo) -> Files:
    """Make a YouTube-VIS file: an annotation for each object, with a list of masks by frame.

    Masks are compressed run lengths, as pycocotools reads them, and null where the object is
    absent or was not followed to. `score` is the mean predicted IoU where it is there.
    """
    height, width = annotated.size
    length = len(annotated.frames)
    shape = {"height": height, "width": width, "length": length}
    files = [f"{annotated.stem}/{annotated.file_of(frame)}.jpg" for frame in range(length)]
    content = {
        "videos": [{"id": 1, **shape, "file_names": files}],
        "annotations": [
            {
                "id": number,
                "video_id": 1,
                "category_id": 1 + annotated.names.index(each.name),
                "iscrowd": 0,
                **shape,
                **_by_frame(each, length),
            }
            for number, each in enumerate(annotated.objects, 1)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(annotated.names, 1)],
    }
    return {f"{annotated.stem}_youtube_vis.json": as_json(content)}


def _by_frame(each: FollowedObject, length: int) -> dict[str, Any]:
    there = {frame: answer for frame, answer in each.answers.items() if answer.area}
    seen = [there.get(frame) for frame in range(length)]
    return {
        "segmentations": [answer and rle.encode(answer.mask).compressed() for answer in seen],
        "bboxes": [answer and _box(answer) for answer in seen],
        "areas": [answer and answer.area for answer in seen],
        "score": sum(answer.iou for answer in there.values()) / max(len(there), 1),
    }


def _box(answer: VideoAnswer) -> list[int]:
    x0, y0, x1, y1 = answer.packed.box
    return [x0, y0, x1 - x0, y1 - y0]
