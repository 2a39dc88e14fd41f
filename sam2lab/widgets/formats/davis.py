"""PNG files with the palette of DAVIS, which tools for video object segmentation read."""

from __future__ import annotations

import numpy as np

from sam2lab.runtime.video import davis as palette
from sam2lab.widgets.formats.annotated import Files, as_json
from sam2lab.widgets.formats.annotated_video import AnnotatedVideo


def davis(annotated: AnnotatedVideo) -> Files:
    """Make a PNG for each frame that was followed to, n on the n-th object, and a JSON of names.

    As in DAVIS, they lie in a folder that is called like the video. Where objects overlap, the
    later one wins, as on photos.
    """
    count = len(annotated.objects)
    if count > 255:
        raise ValueError(f"there are {count} objects; a DAVIS PNG has room for 255: take another")
    files: Files = {}
    for frame in annotated.followed_frames:
        labels = np.zeros(annotated.size, np.uint8)
        for number, each in enumerate(annotated.objects, 1):
            if frame in each.answers:
                labels[each.answers[frame].mask] = number
        files[f"{annotated.stem}/{annotated.file_of(frame)}.png"] = palette.as_png(labels)
    names = {str(number): each.name for number, each in enumerate(annotated.objects, 1)}
    return files | {f"{annotated.stem}_objects.json": as_json(names)}
