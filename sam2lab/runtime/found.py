"""`Found` is a mask that was found in a crop of a photo, and `Record` what people get of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypedDict

import numpy as np

from sam2lab.runtime.crops import Crop
from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.enlarge import Enlarged
from sam2lab.runtime.masks import Box, Mask, bounding_box, nms
from sam2lab.runtime.rle import RleDict, RunLengths, decode

OUTPUT_FORMS: dict[str, Callable[[RunLengths], Mask | RleDict]] = {
    "binary_mask": decode,
    "uncompressed_rle": RunLengths.uncompressed,
    "coco_rle": RunLengths.compressed,
}


class Record(TypedDict):
    """A mask that was found, in the original's form.

    - `segmentation`: (H, W) boolean, or run lengths, depending on `output_mode`
    - `area`: pixels in it
    - `bbox`: [x, y, width, height], from the centre of its first pixel to that of its last, so
      that a single pixel's is 0 wide
    - `predicted_iou`: the model's own score
    - `point_coords`: [[x, y]], the point it answers
    - `stability_score`: see `stability_score_thresh`
    - `crop_box`: [x, y, width, height] of the crop it was found in
    """

    segmentation: Mask | RleDict
    area: int
    bbox: list[float]
    predicted_iou: float
    point_coords: list[list[float]]
    stability_score: float
    crop_box: list[float]


class Found(NamedTuple):
    """A mask of the whole photo and what is known of it, in the photo's pixels.

    `box` ends at its last column and row, as upstream's does.
    """

    runs: RunLengths
    box: Box
    score: np.float32
    stability: np.float32
    point: Float32
    crop: Crop

    def record(self, output_mode: str) -> Record:
        """What people get of it."""
        return {
            "segmentation": OUTPUT_FORMS[output_mode](self.runs),
            "area": self.runs.area,
            "bbox": _xywh(self.box),
            "predicted_iou": float(self.score),
            "point_coords": [self.point.tolist()],
            "stability_score": float(self.stability),
            "crop_box": _xywh(self.crop.box),
        }


def box_in_photo(found: Enlarged, crop: Crop) -> Box:
    """The box of a crop's mask in the photo; one pixel at the crop's corner for an empty mask."""
    x, y = crop.box[:2]
    x0, y0, x1, y1 = bounding_box(found.mask)
    if x1 == 0:
        return x, y, x, y
    x, y = x + found.corner[0], y + found.corner[1]
    return x + x0, y + y0, x + x1 - 1, y + y1 - 1


def distinct(found: list[Found], scores: Float32, iou_threshold: float) -> list[Found]:
    """Those of the masks whose boxes do not double a better-scored one's."""
    boxes = np.array([each.box for each in found], np.float32).reshape(-1, 4)
    return [found[i] for i in nms(boxes, scores, iou_threshold)]


def _xywh(box: Box) -> list[float]:
    x0, y0, x1, y1 = map(float, box)
    return [x0, y0, x1 - x0, y1 - y0]
