"""`sam2lab track` follows objects through a video and writes their masks."""

from __future__ import annotations

import csv
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sam2lab.cli.arguments import add_model, add_version, height_and_width
from sam2lab.cli.video_prompts import add_prompts, check, give
from sam2lab.runtime.engines.protocol import PRECISIONS
from sam2lab.runtime.files import check_place, replacing
from sam2lab.runtime.masks import Masks, bounding_box
from sam2lab.runtime.video.davis import as_png, label_map

if TYPE_CHECKING:
    from sam2lab.runtime.video.state import VideoState

SUMMARY = "follow objects through a video"
TEXT = """\
Follow objects through a video: an mp4, mov or webm, an animated GIF or WebP, or
a folder of pictures. Say where they are by points and boxes in pixels of the
video, on any frame; frames are numbered from 0. What stands before the first
--object belongs to object 1, what stands after --object 2 to object 2.

Writes a PNG for each frame, whose pixels are the numbers of the objects, with
the palette of DAVIS, and objects.csv with area, box and scores of each object
on each frame. Where objects overlap, a pixel of the PNG is of the surer one.
After Ctrl-C, what was done is there.

examples:
  {prog} track video.mp4 --point 0:120,80 --out masks
  {prog} track frames/ --box 0:4,3,90,80 --negative 0:60,50 --out m
  {prog} track a.mp4 --point 0:9,8 --object 2 --point 14:30,9 --out m
  {prog} track video.mp4 --point 0:120,80 --model tiny --out masks
"""

COLUMNS = (
    *("frame", "object", "prompted", "area_px", "x0", "y0", "x1", "y1"),
    *("object_score", "iou_score"),
)
Row = tuple[Any, ...]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `track`."""
    parser.add_argument("video", metavar="VIDEO", help="a file, or a folder of pictures")
    add_prompts(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where to write; a new folder"
    )
    add_model(parser)
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="float", help="of a size; 'float' by default"
    )
    parser.add_argument(
        "--input-size",
        type=height_and_width,
        metavar="HxW",
        help="height and width that every frame is resized to, of a size",
    )
    add_version(parser)


def run(arguments: Namespace) -> None:
    """Follow the objects, write their masks, and print the folder."""
    prompts = arguments.prompts
    if not prompts:
        raise ValueError("nothing to follow: give --point FRAME:X,Y or --box FRAME:X0,Y0,X1,Y1")
    folder = arguments.out
    check_place("--out", folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"--out is {str(folder)!r}, which is not empty; choose another place")
    from sam2lab.opening import open_segmenter
    from sam2lab.runtime.video.frames import open_frames
    from sam2lab.runtime.video.predictor import VideoPredictor

    frames = open_frames(arguments.video)
    check(prompts, frames)
    # Last, since it may export for minutes.
    segmenter = open_segmenter(
        arguments.model,
        engine=arguments.engine,
        precision=arguments.precision,
        version=arguments.version,
        input_size=arguments.input_size,
    )
    predictor = VideoPredictor(segmenter)
    if not predictor.settings.is_trained:
        warnings.warn(
            f"the memory of {arguments.model} has random weights, so that its masks mean nothing "
            "after the prompt; open another with --model",
            stacklevel=1,
        )
    first = min(prompt.frame for prompt in prompts)
    # On the way back, the model looks at frames that a window would have forgotten.
    state = predictor.init_state(frames, keep="all" if first else "window")
    give(predictor, state, prompts)
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[int, list[Row]] = {}
    try:
        steps = chain(
            predictor.propagate_in_video(state),
            predictor.propagate_in_video(state, first, reverse=True) if first else (),
        )
        for frame, object_ids, logits in steps:
            if frame not in written:
                labels = label_map(logits[:, 0], object_ids)
                with replacing(folder / f"{frame:05}.png") as beside:
                    beside.write_bytes(as_png(labels))
                written[frame] = list(_rows(state, frame, object_ids, logits[:, 0] > 0))
    finally:
        with replacing(folder / "objects.csv") as beside, beside.open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows(row for _, rows in sorted(written.items()) for row in rows)
    print(folder)


def _rows(state: VideoState, frame: int, object_ids: Sequence[Any], masks: Masks) -> Iterator[Row]:
    """A line of the table for each object on a frame."""
    for object_id, mask in zip(object_ids, masks, strict=True):
        result = state.result(object_id, frame)
        assert result is not None
        box = bounding_box(mask) if mask.any() else ("", "", "", "")
        scores = f"{result.object_score:.6g}", f"{result.iou:.6g}"
        area = int(np.count_nonzero(mask))
        yield frame, object_id, int(result.is_prompted), area, *box, *scores
