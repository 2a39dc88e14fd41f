"""The session files of videos: objects, prompts, and the masks that engines gave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sam2lab.runtime import rle
from sam2lab.widgets.session import session_file
from sam2lab.widgets.session.clip import Clip, open_clip
from sam2lab.widgets.session.followed import Earlier, Followed, Key, VideoAnswer
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.prompts import Prompt
from sam2lab.widgets.session.session_file import SessionFileError, path_from, prompts_of, typed
from sam2lab.widgets.session.tracks import Track, Tracks
from sam2lab.widgets.session.video_engines import VideoEngines

FORMAT = "sam2lab video session"
VERSION = 1


@dataclass(frozen=True)
class Saved:
    """The content of a session file about a video."""

    engine: str
    mode: str
    frame: int
    tracks: Tracks


@dataclass(frozen=True)
class _Video:
    """What a session file says of its video."""

    name: str
    count: int
    size: tuple[int, int]
    key: str
    path: Path | None


def write(
    path: str | os.PathLike[str], clip: Clip, saved: Saved, engines: VideoEngines | None
) -> None:
    """Write a session file, whole or not at all, with the masks that `engines` gave.

    A video is named by its path, which is relative if it lies in the session file's folder or
    below, and by what it must be like: its frames are not in the file. Masks are in run lengths,
    as COCO counts them.
    """
    tracks = saved.tracks
    video: dict[str, Any] = {
        "name": clip.name,
        "frames": clip.count,
        "size": list(clip.size),
        "first_frame": clip.key,
    }
    if clip.path is not None:
        video["path"] = path_from(session_file.place(path).parent, clip.path)
    masks = {
        name: list(_masks(name, tracks, clip, engines))
        for name in tracks.followed
        if engines is not None
    }
    content = {
        "format": FORMAT,
        "version": VERSION,
        "engine": saved.engine,
        "mode": saved.mode,
        "frame": saved.frame,
        "video": video,
        "objects": [_object(track) for track in tracks.objects],
        "active": tracks.active,
        "next_id": tracks.next_id,
        "masks": masks,
    }
    session_file.write(path, content)


def read(path: str | os.PathLike[str], here: Clip | None) -> tuple[Saved, Clip]:
    """Read a session file about the video `here`, or open the one that it names."""
    folder = session_file.place(path).parent

    def understood(content: dict[str, Any]) -> tuple[Saved, _Video]:
        video = _video(content["video"], folder)
        saved = Saved(
            engine=typed(str, content["engine"]),
            mode=typed(str, content["mode"]),
            frame=_frame(content["frame"], video),
            tracks=_tracks(content, video),
        )
        if saved.mode not in ("positive", "negative"):
            raise ValueError("it contradicts itself")
        return saved, video

    saved, video = session_file.read(path, FORMAT, VERSION, "VideoSession.save", understood)
    if here is not None:
        clip = here
    elif video.path is not None:
        clip, _ = open_clip(video.path, video.name)
    else:
        raise SessionFileError(
            f"path: {str(path)!r} is about the video {video.name!r}, which was opened from no "
            "file; open it with open_video(...) first"
        )
    if (clip.count, clip.size, clip.key) != (video.count, video.size, video.key):
        height, width = video.size
        raise SessionFileError(
            f"path: {str(path)!r} is about the video {video.name!r}, {video.count} frames of "
            f"{width}x{height}, and {clip.name!r} is not that one or has changed; open that video "
            "first"
        )
    return saved, clip


def _object(track: Track) -> dict[str, Any]:
    prompts = [
        {"frame": frame, "prompts": [asdict(prompt) for prompt in track.prompts[frame]]}
        for frame in sorted(track.prompts)
    ]
    about = {"id": track.id, "name": track.name, "colour": track.colour, "hidden": track.hidden}
    return about | {"prompts": prompts}


def _masks(
    name: str, tracks: Tracks, clip: Clip, engines: VideoEngines
) -> Iterator[dict[str, Any]]:
    followed, prompts = tracks.followed_by(name), tracks.prompts
    for track in tracks.objects:
        for scores in engines.scores(followed, track.id, clip.count):
            key = track.id, scores.frame
            # An engine that is not in use may not know the latest prompts yet.
            if scores.prompted and followed.told.get(key) != prompts.get(key):
                continue
            answer = engines.answer(name, followed, key, clip.size)
            assert answer is not None
            yield {
                "object": track.id,
                "frame": scores.frame,
                "object_score": answer.object_score,
                "iou": answer.iou,
                "prompted": answer.prompted,
                "corrected": scores.corrected,
                "counts": rle.encode(answer.mask).counts.tolist(),
            }


def _video(about: dict[str, Any], folder: Path) -> _Video:
    height, width = (typed(int, side) for side in about["size"])
    return _Video(
        name=typed(str, about["name"]),
        count=typed(int, about["frames"]),
        size=(height, width),
        key=typed(str, about["first_frame"]),
        path=folder / typed(str, about["path"]) if "path" in about else None,
    )


def _tracks(content: dict[str, Any], video: _Video) -> Tracks:
    tracks = Tracks(
        tuple(_track(each, video) for each in content["objects"]),
        typed(int, content["active"]),
        typed(int, content["next_id"]),
    ).check()
    prompts = tracks.prompts
    for engine, rows in typed(dict, content["masks"]).items():
        corrected: dict[Key, Earlier] = {}
        kept: dict[Key, VideoAnswer] = {}
        for row in rows:
            key = tracks.item(typed(int, row["object"])).id, _frame(row["frame"], video)
            kept[key] = _answer(row, video.size)
            if typed(bool, row["corrected"]):
                corrected[key] = Earlier()
        told = {key: prompts[key] for key, answer in kept.items() if answer.prompted}
        tracks = tracks.having(engine, Followed(None, told, corrected, kept))
    return tracks


def _track(about: dict[str, Any], video: _Video) -> Track:
    return Track(
        id=typed(int, about["id"]),
        name=typed(str, about["name"]),
        colour=typed(str, about["colour"]),
        hidden=typed(bool, about["hidden"]),
        prompts={
            _frame(each["frame"], video): _some(tuple(prompts_of(each["prompts"], video.size)))
            for each in about["prompts"]
        },
    )


def _answer(about: dict[str, Any], size: tuple[int, int]) -> VideoAnswer:
    counts = np.array([typed(int, count) for count in about["counts"]], np.int64)
    if counts.min() < 0 or counts.sum() != size[0] * size[1]:
        raise ValueError(f"it has a mask of {counts.sum()} pixels in a frame of {size}")
    return VideoAnswer(
        PackedMask.of(rle.decode(rle.RunLengths(size, counts))),
        typed(float, about["object_score"]),
        typed(float, about["iou"]),
        typed(bool, about["prompted"]),
    )


def _frame(index: Any, video: _Video) -> int:
    if not 0 <= typed(int, index) < video.count:
        raise ValueError(f"it has a frame {index} of {video.count}")
    return index


def _some(prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    if not prompts:
        raise ValueError("it has a frame with no prompts among those with some")
    return prompts
