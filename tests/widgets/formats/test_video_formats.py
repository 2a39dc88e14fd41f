"""Readers that are not ours read a video's take-away files back."""

from __future__ import annotations

import csv
import io
import json

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from sam2lab.widgets.formats import (
    VIDEO_FORMATS,
    AnnotatedVideo,
    Files,
    FollowedObject,
    VideoFormat,
    register,
)
from sam2lab.widgets.formats.table import video_format_of, video_formats
from sam2lab.widgets.session import VideoAnswer, VideoSession
from sam2lab.widgets.session.packed import PackedMask
from tests.widgets.formats.shapes import HEIGHT, WIDTH, blob
from tests.widgets.session.videos import two_objects

COUNT = 5
SKY = (60, 110, 190)


class Grey:
    """Frames of one colour, each a little brighter."""

    name, fps, size = "my clip.mp4", 12.5, (HEIGHT, WIDTH)

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> np.ndarray:
        return np.full((HEIGHT, WIDTH, 3), SKY, np.uint8) + np.uint8(8 * index)


def answered(mask: np.ndarray, score: float = 5.0, prompted: bool = False) -> VideoAnswer:
    return VideoAnswer(PackedMask.of(mask), score, 0.75, prompted)


# The cat is absent from frame 2 and was not followed to frame 4; the dog covers it in part.
CAT = {0: blob(0), 1: blob(1), 2: np.zeros((HEIGHT, WIDTH), bool), 3: blob(3)}
DOG = {1: blob(7), 2: blob(8), 3: ~blob(9)}
ANNOTATED = AnnotatedVideo(
    "my clip.mp4",
    Grey(),
    12.5,
    (
        FollowedObject("cat", "#ff0000", False, {t: answered(m) for t, m in CAT.items()}),
        FollowedObject(
            "dög", "#00ff00", False, {t: answered(m, 1.5, t == 1) for t, m in DOG.items()}
        ),
    ),
)


def made(name: str) -> Files:
    return video_format_of(name).make(ANNOTATED)


def painted(frame: int) -> np.ndarray:
    """What an overlay should show, pixel by pixel."""
    picture = Grey()[frame].astype(float)
    for masks, colour in ((CAT, (255, 0, 0)), (DOG, (0, 255, 0))):
        if frame in masks:
            picture[masks[frame]] = picture[masks[frame]] / 2 + np.array(colour) / 2
    return picture


def check_shown(picture: np.ndarray, frame: int) -> None:
    """Compare pixels in areas of one colour; at outlines, compression with halved colour blurs."""
    wanted = painted(frame).astype(np.float32)
    around = np.ones((5, 5))
    even = (cv2.dilate(wanted, around) == cv2.erode(wanted, around)).all(axis=2)
    assert even.mean() > 0.1
    assert np.abs(picture - wanted)[even].max() < 25


def test_pillow_reads_davis_pngs() -> None:
    files = made("davis")
    assert list(files) == [f"my_clip/0000{t}.png" for t in range(4)] + ["my_clip_objects.json"]
    assert json.loads(files["my_clip_objects.json"]) == {"1": "cat", "2": "dög"}
    for frame in range(4):
        image = Image.open(io.BytesIO(files[f"my_clip/0000{frame}.png"]))
        assert image.mode == "P"
        # DAVIS's first two colours.
        assert image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
        dog = DOG.get(frame, np.zeros((HEIGHT, WIDTH), bool))
        assert np.array_equal(np.array(image), np.where(dog, 2, CAT[frame]))


def test_pycocotools_reads_youtube_vis() -> None:
    ((name, content),) = made("youtube_vis").items()
    assert name == "my_clip_youtube_vis.json"
    read = json.loads(content)
    (video,) = read["videos"]
    assert (video["height"], video["width"], video["length"]) == (HEIGHT, WIDTH, COUNT)
    assert video["file_names"][2] == "my_clip/00002.jpg"
    assert [each["name"] for each in read["categories"]] == ["cat", "dög"]
    for annotation, masks in zip(read["annotations"], (CAT, DOG), strict=True):
        assert annotation["video_id"] == video["id"]
        assert annotation["score"] == 0.75
        for frame in range(COUNT):
            runs, mask = annotation["segmentations"][frame], masks.get(frame)
            if mask is None or not mask.any():
                assert (runs, annotation["bboxes"][frame], annotation["areas"][frame]) == (
                    None,
                ) * 3
                continue
            assert np.array_equal(coco.decode(runs).astype(bool), mask)
            assert annotation["areas"][frame] == coco.area(runs)
            assert annotation["bboxes"][frame] == coco.toBbox(runs).tolist()


def test_csv_has_a_line_for_each_object_on_each_frame_it_was_followed_to() -> None:
    ((name, content),) = made("areas").items()
    assert name == "my_clip_areas.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    keys = [(int(row["frame"]), int(row["object"])) for row in rows]
    assert keys == [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]
    for (frame, number), row in zip(keys, rows, strict=True):
        mask = (CAT, DOG)[number - 1][frame]
        assert row["name"] == ("cat", "dög")[number - 1]
        assert row["prompted"] == str(int((frame, number) == (1, 2)))
        assert float(row["object_score"]) == (5.0, 1.5)[number - 1]
        assert float(row["iou_score"]) == 0.75
        assert int(row["area_px"]) == mask.sum()
        if mask.any():
            x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
            box = [int(row[side]) for side in ("x0", "y0", "x1", "y1")]
            assert box == [x, y, x + width, y + height]
        else:
            assert row["x0"] == ""


def test_pyav_reads_the_mp4() -> None:
    ((name, content),) = made("overlay_mp4").items()
    assert name == "my_clip_overlay.mp4"
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 12.5
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(frames) == COUNT
    for number, frame in enumerate(frames):
        assert frame.shape == (HEIGHT + 1, WIDTH + 1, 3)
        check_shown(frame[:HEIGHT, :WIDTH], number)


def test_pillow_reads_the_webp() -> None:
    ((name, content),) = made("overlay_webp").items()
    assert name == "my_clip_overlay.webp"
    image = Image.open(io.BytesIO(content))
    assert (image.n_frames, image.size) == (COUNT, (WIDTH, HEIGHT))
    for number in range(COUNT):
        image.seek(number)
        check_shown(np.array(image.convert("RGB")), number)
    assert image.info["duration"] == 80


def test_hidden_objects_are_taken_away_but_not_painted() -> None:
    hidden = AnnotatedVideo(
        "a",
        Grey(),
        None,
        (FollowedObject("cat", "#ff0000", True, {0: answered(np.ones((HEIGHT, WIDTH), bool))}),),
    )
    (webp,) = video_format_of("overlay_webp").make(hidden).values()
    first = np.array(Image.open(io.BytesIO(webp)).convert("RGB"))
    assert np.abs(first - np.float32(SKY)).max() < 8
    assert len(video_format_of("davis").make(hidden)) == 2


def test_a_session_exports_in_every_format_that_is_offered() -> None:
    session = two_objects()
    list(session.propagate(frames=1))
    session.commit()
    annotated = session.annotated()
    assert [each.name for each in annotated.objects] == ["red", "object 2"]
    assert [list(each.answers) for each in annotated.objects] == [[0, 1], [0, 1]]
    assert np.array_equal(annotated.objects[0].answers[1].mask, session.answer(1, 1).mask)
    for row in video_formats():
        assert all(isinstance(data, bytes) for data in session.export(row.name).values())
    with pytest.raises(ValueError, match="format is 'svg'; wanted 'davis'"):
        session.export("svg")
    for _ in range(6):
        session.undo()
    with pytest.raises(ValueError, match="no object"):
        session.export("davis")


def test_a_registered_format_is_made_by_call() -> None:
    row = VideoFormat("count", "Number of objects", lambda v: {"count": b"%d" % len(v.objects)})
    register(row)
    try:
        assert two_objects().export("count") == {"count": b"2"}
        with pytest.raises(ValueError, match="already"):
            register(row)
    finally:
        del VIDEO_FORMATS["count"]


def test_a_format_is_only_offered_where_its_modules_are_installed() -> None:
    register(VideoFormat("far", "Far away", lambda v: {}, needs=("nowhere",)))
    try:
        assert "far" not in [row.name for row in video_formats()]
        session: VideoSession = two_objects()
        with pytest.raises(ModuleNotFoundError, match="needs nowhere"):
            session.export("far")
    finally:
        del VIDEO_FORMATS["far"]
