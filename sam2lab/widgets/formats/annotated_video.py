"""`AnnotatedVideo`, from which a video's take-away formats are made: frames and objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sam2lab.runtime.video.frames import Frames
from sam2lab.widgets.formats.annotated import safe_name
from sam2lab.widgets.session.followed import VideoAnswer


@dataclass(frozen=True, eq=False)
class FollowedObject:
    """An object's name, its colour as #rrggbb, and by frame its masks with their scores.

    A frame that it was not followed to has no answer; one that it is absent from has an empty
    mask.
    """

    name: str
    colour: str
    is_hidden: bool
    answers: Mapping[int, VideoAnswer]


@dataclass(frozen=True, eq=False)
class AnnotatedVideo:
    """The frames of a video, its name, its frames a second if known, and the objects in it."""

    name: str
    frames: Frames
    fps: float | None
    objects: tuple[FollowedObject, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame."""
        height, width = self.frames.size
        return height, width

    @property
    def stem(self) -> str:
        """The beginning of the names of files about this video."""
        return safe_name(Path(self.name).stem)

    @property
    def names(self) -> list[str]:
        """The objects' names, each once, in order: the categories."""
        return list(dict.fromkeys(each.name for each in self.objects))

    @property
    def followed_frames(self) -> list[int]:
        """The frames that any object was followed to."""
        return sorted({frame for each in self.objects for frame in each.answers})

    def file_of(self, frame: int) -> str:
        """What a frame's file is called in data sets of videos, without its ending.

        >>> AnnotatedVideo.file_of(None, 7)
        '00007'
        """
        return f"{frame:05d}"
