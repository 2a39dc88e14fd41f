"""A file to open: by its path where the kernel runs, or as an upload."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ipywidgets import FileUpload, Text

from sam2lab.widgets.panels.controls import UserChanges, named


class FilePanel:
    """Calls `open_file` with the path that a user types, or with an uploaded file and its name.

    `what` is what a file holds, such as "a picture", `paths` what a path may lead to, and `accept`
    the types that the browser lets a user choose.
    """

    def __init__(
        self, open_file: Callable[[Any, str | None], None], what: str, paths: str, accept: str
    ) -> None:
        self._open = open_file
        self._changes = UserChanges()
        self.path = named(
            Text(
                description="File",
                placeholder=f"path of {paths}, then Enter",
                continuous_update=False,
                tooltip=f"{paths.capitalize()} where the kernel runs",
            ),
            *("path", "wide"),
        )
        self.upload = named(
            FileUpload(
                accept=accept,
                # ipywidgets adds the number of files, "(0)"; the style sheet hides these words.
                description=f"Upload {what}; files chosen:",
                tooltip=f"{what.capitalize()} on this computer, up to 100 MB; give the path of a "
                "larger one",
            ),
            *("upload", "wide"),
        )
        self._changes.report(self.path, self._open_path)
        self._changes.report(self.upload, self._open_uploads)

    def _open_path(self, path: str) -> None:
        if path.strip():
            self._open(os.path.expanduser(path.strip()), None)
            self.path.value = ""

    def _open_uploads(self, files: tuple[dict[str, Any], ...]) -> None:
        for file in files:
            self._open(bytes(file["content"]), file["name"])
        if files:
            # The same file can then be uploaded once more.
            self.upload.value = ()
