"""Which photo is shown: one of a list, a file of this machine, or one from the browser's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from ipywidgets import Dropdown, FileUpload, Text

from sam2lab.runtime.images import ImageLike
from sam2lab.widgets.panels.controls import named, section
from sam2lab.widgets.session.pictures import Picture

Source = ImageLike | Picture


class PhotoPanel:
    """A list, a field for a path and an upload; `choose` gets an image and perhaps its name."""

    def __init__(self, offered: Iterable[ImageLike], choose: Callable[..., None]) -> None:
        self._choose = choose
        self._is_showing = False
        # By the place in the list: two photos may have the same name.
        self._sources: list[tuple[str, Source]] = [
            (_name(source, number), source) for number, source in enumerate(offered, 1)
        ]
        self.images = named(
            Dropdown(description="Photo", tooltip="Which photo to segment"), *("image", "wide")
        )
        self.path = named(
            Text(
                description="File",
                placeholder="path of a picture, then Enter",
                continuous_update=False,
                tooltip="A picture file where the kernel runs",
            ),
            *("path", "wide"),
        )
        self.upload = named(
            FileUpload(
                accept="image/*",
                # Shown without its end by the style. ipywidgets adds the number of files, "(0)".
                description="Upload a picture; files chosen:",
                tooltip="A picture file of the computer that the browser runs on, of up to 100 MB; "
                "a larger one by its path",
            ),
            *("upload", "wide"),
        )
        self.images.observe(self._on_list, "value")
        self.path.observe(self._on_path, "value")
        self.upload.observe(self._on_upload, "value")
        self.widget = section("Photo", self.images, self.path, self.upload)

    def show(self, current: Picture | None) -> None:
        """Show which photo is open; one that is not in the list comes into it."""
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
        self._is_showing = True
        try:
            options = [(name, number) for number, (name, _) in enumerate(self._sources)]
            if list(self.images.options) != options:
                self.images.options = options
            self.images.value = here
        finally:
            self._is_showing = False

    def _on_list(self, change: Any) -> None:
        if not self._is_showing and change["new"] is not None:
            self._choose(self._sources[change["new"]][1])

    def _on_path(self, change: Any) -> None:
        if change["new"].strip():
            self._choose(os.path.expanduser(change["new"].strip()))
            self.path.value = ""

    def _on_upload(self, change: Any) -> None:
        for file in change["new"]:
            self._choose(bytes(file["content"]), file["name"])
        if change["new"]:
            # The same file may be wanted once more.
            self.upload.value = ()


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
