"""Objects in a video, and the state that they make up; all of it is immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from sam2lab.widgets.session.followed import Followed, Key
from sam2lab.widgets.session.objects import Labelled, Objects
from sam2lab.widgets.session.prompts import Prompt


@dataclass(frozen=True)
class Track(Labelled):
    """One object in a video; `prompts` are by the index of the frame that they are on."""

    prompts: Mapping[int, tuple[Prompt, ...]] = field(default_factory=dict)

    @property
    def has_prompts(self) -> bool:
        return bool(self.prompts)

    def prompted(self, frame: int, prompts: tuple[Prompt, ...]) -> Track:
        """Replace the prompts on one frame.

        >>> from sam2lab.widgets.session.prompts import Point
        >>> track = Track(1, "cat", "#e69f00").prompted(7, (Point(3, 4),)).prompted(2, ())
        >>> sorted(track.prompts), track.prompted(7, ()).prompts
        ([7], {})
        """
        changed = {**self.prompts, frame: prompts}
        return replace(self, prompts={at: kept for at, kept in changed.items() if kept})


@dataclass(frozen=True)
class Tracks(Objects[Track]):
    """All objects in one video at one moment, and by engine what each has made of them."""

    followed: Mapping[str, Followed] = field(default_factory=dict, compare=False)

    @staticmethod
    def made(object_id: int, name: str, colour: str) -> Track:
        return Track(object_id, name, colour)

    @property
    def prompts(self) -> dict[Key, tuple[Prompt, ...]]:
        """All prompts, by object and frame."""
        return {
            (track.id, frame): prompts
            for track in self.objects
            for frame, prompts in track.prompts.items()
        }

    def with_prompts(self, frame: int, prompts: tuple[Prompt, ...]) -> Tracks:
        """Replace the active object's prompts on one frame."""
        return self.changed(self.item().prompted(frame, prompts))

    def followed_by(self, engine: str) -> Followed:
        """What an engine has made of the objects, which may not be up to date."""
        return self.followed.get(engine, Followed())

    def having(self, engine: str, followed: Followed) -> Self:
        """Replace what an engine has made of the objects."""
        return replace(self, followed={**self.followed, engine: followed})
