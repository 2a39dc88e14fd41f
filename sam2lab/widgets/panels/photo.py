"""Which photo is open: one of a list, a file where the kernel runs, or an upload."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from ipywidgets import Dropdown

from sam2lab.runtime.images import ImageLike
from sam2lab.widgets.panels.controls import named, section
from sam2lab.widgets.panels.file import FilePanel
from sam2lab.widgets.session.pictures import Picture

Source = ImageLike | Picture


class PhotoPanel(FilePanel):
    """Calls `open_photo` with the photo that a user chooses, and the name of an uploaded one."""

    def __init__(
        self, offered: Iterable[ImageLike], open_photo: Callable[[Source, str | None], None]
    ) -> None:
        super().__init__(open_photo, "a picture", "a picture", "image/*")
        # Photos are told apart by their place here, because two may have the same name.
        self._sources: list[tuple[str, Source]] = [
            (_name(source, number), source) for number, source in enumerate(offered, 1)
        ]
        self.images = named(
            Dropdown(description="Photo", tooltip="Which photo to segment"), *("image", "wide")
        )
        self._changes.report(self.images, self._open_listed)
        self.widget = section("Photo", self.images, self.path, self.upload)

    def show(self, current: Picture | None) -> None:
        """Show which photo is open; a new one is added to the list."""
        here = None
        if current is not None:
            here = next(
                (i for i, (_, source) in enumerate(self._sources) if _same(source, current)), None
            )
            if here is None:
                self._sources.append((current.name, current))
                here = len(self._sources) - 1
            else:
                self._sources[here] = (self._sources[here][0], current)
        with self._changes.ignored():
            options = [(name, number) for number, (name, _) in enumerate(self._sources)]
            if list(self.images.options) != options:
                self.images.options = options
            self.images.value = here

    def _open_listed(self, number: int | None) -> None:
        if number is not None:
            self._open(self._sources[number][1], None)


def _name(source: ImageLike, number: int) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.path.basename(os.fspath(source))
    return f"photo {number}"


def _same(source: Source, picture: Picture) -> bool:
    if isinstance(source, Picture):
        return source.key == picture.key
    if isinstance(source, (str, os.PathLike)):
        return os.path.abspath(source) == picture.path
    return source is picture.source
