"""Which video is open: a file or folder where the kernel runs, or an upload."""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from typing import Any

from ipywidgets import HTML, FileUpload, Text

from sam2lab.runtime.video.frames import VideoLike
from sam2lab.widgets.panels.controls import UserChanges, named, section
from sam2lab.widgets.session.clip import Clip


class VideoPanel:
    """Calls `open_video` with the video that a user chooses, and the name of an uploaded one."""

    def __init__(self, open_video: Callable[[VideoLike, str | None], None]) -> None:
        self._open = open_video
        self._changes = UserChanges()
        self.about = named(HTML(), "note", "about")
        self.path = named(
            Text(
                description="File",
                placeholder="path of a video or a folder of pictures, then Enter",
                continuous_update=False,
                tooltip="A video, or a folder of pictures, where the kernel runs",
            ),
            *("path", "wide"),
        )
        self.upload = named(
            FileUpload(
                accept="video/*,image/gif,image/webp,image/png",
                # ipywidgets adds the number of files, "(0)"; the style sheet hides these words.
                description="Upload a video; files chosen:",
                tooltip="A video on this computer, up to 100 MB; give the path of a larger one",
            ),
            *("upload", "upload-video", "wide"),
        )
        self._changes.report(self.path, self._open_path)
        self._changes.report(self.upload, self._open_uploads)
        self.widget = section("Video", self.about, self.path, self.upload)

    def show(self, clip: Clip | None) -> None:
        """Say which video is open."""
        if clip is None:
            self.about.value = "no video yet"
            return
        height, width = clip.size
        speed = "" if clip.fps is None else f", {clip.fps:g} a second"
        self.about.value = f"{escape(clip.name)}: {clip.count} frames of {width} × {height}{speed}"

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
