"""The session files of videos: objects, prompts, undo, and what engines answered and remember."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from sam2lab.runtime.engines.protocol import ModelInfo
from sam2lab.runtime.video.state import VideoState
from sam2lab.widgets.session import session_file
from sam2lab.widgets.session.clip import Clip, open_clip
from sam2lab.widgets.session.followed import Followed
from sam2lab.widgets.session.history import History
from sam2lab.widgets.session.prompts import Prompt
from sam2lab.widgets.session.session_file import (
    Array,
    Numbered,
    SessionFileError,
    path_from,
    prompts_of,
    typed,
)
from sam2lab.widgets.session.tracks import Track, Tracks
from sam2lab.widgets.session.video_results import Reader, Results, Writer, model_of

FORMAT = "sam2lab video session"
VERSION = 3


@dataclass(frozen=True)
class Saved:
    """The content of a session file about a video."""

    engine: str
    mode: str
    frame: int
    steps: History[Tracks]
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
    writer = Writer()
    tracks: Numbered[Track] = Numbered()
    made: Numbered[Followed] = Numbered()
    states = [
        {
            "objects": [tracks(each) for each in state.objects],
            "active": state.active,
            "next_id": state.next_id,
            "engines": {
                name: made(followed)
                for name, followed in state.followed.items()
                if with_masks and followed.state is not None
            },
        }
        for state in saved.steps.states
    ]
    video: dict[str, Any] = {
        "name": clip.name,
        "frames": clip.count,
        "size": list(clip.size),
        "first_frame": clip.key,
    }
    if clip.path is not None:
        video["path"] = path_from(session_file.place(path).parent, clip.path)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "engine": saved.engine,
        "mode": saved.mode,
        "frame": saved.frame,
        "video": video,
        "objects": [_object(track) for track in tracks.things],
        "states": states,
        "present": len(saved.steps.past),
        "made": [writer.described(each) for each in made.things],
        "results": writer.results(),
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
    ) -> tuple[Saved, _Video, list[dict[str, Results]]]:
        video = _video(content["video"], folder)
        reader = Reader(array, content["results"], video.count, video.size)
        tracks = {i: _track(each, reader, video) for i, each in enumerate(content["objects"])}
        described = dict(enumerate(content["made"]))
        read = cache(lambda name, number: reader.read(described[number], models[name]))
        made: list[dict[str, Results]] = []
        left_out: dict[str, None] = {}
        for each in content["states"]:
            made.append({})
            for name, number in typed(dict, each["engines"]).items():
                model = described[typed(int, number)]["model"]
                if name in models and model == model_of(models[name]):
                    made[-1][name] = read(name, number)
                else:
                    left_out[name] = None
        saved = Saved(
            engine=typed(str, content["engine"]),
            mode=typed(str, content["mode"]),
            frame=reader.frame(content),
            steps=History.of(
                [_tracks(each, tracks) for each in content["states"]],
                typed(int, content["present"]),
            ),
            left_out=tuple(left_out),
        )
        if saved.mode not in ("positive", "negative"):
            raise ValueError("it contradicts itself")
        return saved, video, made

    saved, video, made = session_file.read_archive(
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
    empty = cache(lambda name: VideoState(clip.frames, models[name], num_frames=clip.count))
    followed = cache(lambda name, each: each.on(empty(name)))
    states = [
        replace(state, followed={name: followed(name, each) for name, each in engines.items()})
        for state, engines in zip(saved.steps.states, made, strict=True)
    ]
    return replace(saved, steps=History.of(states, len(saved.steps.past))), clip


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


def _tracks(about: dict[str, Any], tracks: Mapping[int, Track]) -> Tracks:
    return Tracks(
        tuple(tracks[typed(int, number)] for number in about["objects"]),
        typed(int, about["active"]),
        typed(int, about["next_id"]),
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
