"""The session files of videos: objects, prompts, and what engines answered and remember."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sam2lab.runtime.engines.protocol import ModelInfo
from sam2lab.widgets.session import session_file
from sam2lab.widgets.session.clip import Clip, open_clip
from sam2lab.widgets.session.prompts import Prompt
from sam2lab.widgets.session.session_file import (
    Array,
    SessionFileError,
    path_from,
    prompts_of,
    typed,
)
from sam2lab.widgets.session.tracks import Track, Tracks
from sam2lab.widgets.session.video_results import Reader, Results, Writer, model_of

FORMAT = "sam2lab video session"
VERSION = 2


@dataclass(frozen=True)
class Saved:
    """The content of a session file about a video."""

    engine: str
    mode: str
    frame: int
    tracks: Tracks
    # Engines whose results are left out, because they are not here or have other weights.
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Video:
    """What a session file says of its video."""

    name: str
    count: int
    size: tuple[int, int]
    key: str
    path: Path | None


def write(path: str | os.PathLike[str], clip: Clip, saved: Saved, with_masks: bool) -> None:
    """Write a session file, whole or not at all, with what all engines made.

    A video is named by its path, which is relative if it lies in the session file's folder or
    below, and by what it must be like: its frames are not in the file.
    """
    tracks, writer = saved.tracks, Writer()
    video: dict[str, Any] = {
        "name": clip.name,
        "frames": clip.count,
        "size": list(clip.size),
        "first_frame": clip.key,
    }
    if clip.path is not None:
        video["path"] = path_from(session_file.place(path).parent, clip.path)
    engines = {
        name: writer.described(followed)
        for name, followed in tracks.followed.items()
        if with_masks and followed.state is not None
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
        "engines": engines,
    }
    session_file.write_archive(path, content, writer.arrays())


def read(
    path: str | os.PathLike[str], here: Clip | None, models: Mapping[str, ModelInfo]
) -> tuple[Saved, Clip]:
    """Read a session file about the video `here`, or open the one that it names.

    `models` are those of the engines that can go on from their results, by the engines' names.
    """
    folder = session_file.place(path).parent

    def understood(
        content: dict[str, Any], array: Callable[[str], Array]
    ) -> tuple[Saved, _Video, dict[str, Results]]:
        video = _video(content["video"], folder)
        reader = Reader(array, video.count, video.size)
        engines = typed(dict, content["engines"])
        results = {
            name: reader.read(engines[name], info)
            for name, info in models.items()
            if name in engines and engines[name]["model"] == model_of(info)
        }
        saved = Saved(
            engine=typed(str, content["engine"]),
            mode=typed(str, content["mode"]),
            frame=reader.frame(content),
            tracks=_tracks(content, reader, video),
            left_out=tuple(name for name in engines if name not in results),
        )
        if saved.mode not in ("positive", "negative"):
            raise ValueError("it contradicts itself")
        return saved, video, results

    saved, video, results = session_file.read_archive(
        path, FORMAT, VERSION, "VideoSession.save", understood
    )
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
    tracks = saved.tracks
    for name, each in results.items():
        tracks = tracks.having(name, each.on(clip))
    return replace(saved, tracks=tracks), clip


def _object(track: Track) -> dict[str, Any]:
    prompts = [
        {"frame": frame, "prompts": [asdict(prompt) for prompt in track.prompts[frame]]}
        for frame in sorted(track.prompts)
    ]
    about = {"id": track.id, "name": track.name, "colour": track.colour, "hidden": track.hidden}
    return about | {"prompts": prompts}


def _video(about: dict[str, Any], folder: Path) -> _Video:
    height, width = (typed(int, side) for side in about["size"])
    return _Video(
        name=typed(str, about["name"]),
        count=typed(int, about["frames"]),
        size=(height, width),
        key=typed(str, about["first_frame"]),
        path=folder / typed(str, about["path"]) if "path" in about else None,
    )


def _tracks(content: dict[str, Any], reader: Reader, video: _Video) -> Tracks:
    return Tracks(
        tuple(_track(each, reader, video) for each in content["objects"]),
        typed(int, content["active"]),
        typed(int, content["next_id"]),
    ).check()


def _track(about: dict[str, Any], reader: Reader, video: _Video) -> Track:
    return Track(
        id=typed(int, about["id"]),
        name=typed(str, about["name"]),
        colour=typed(str, about["colour"]),
        hidden=typed(bool, about["hidden"]),
        prompts={
            reader.frame(each): _some(tuple(prompts_of(each["prompts"], video.size)))
            for each in about["prompts"]
        },
    )


def _some(prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    if not prompts:
        raise ValueError("it has a frame with no prompts among those with some")
    return prompts
