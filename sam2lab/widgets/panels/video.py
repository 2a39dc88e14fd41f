"""Which video is open: a file or folder where the kernel runs, or an upload."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from ipywidgets import HTML

from sam2lab.runtime.video.frames import VideoLike
from sam2lab.widgets.panels.controls import named, section
from sam2lab.widgets.panels.file import FilePanel
from sam2lab.widgets.session.clip import Clip


class VideoPanel(FilePanel):
    """Calls `open_video` with the video that a user chooses, and the name of an uploaded one."""

    def __init__(self, open_video: Callable[[VideoLike, str | None], None]) -> None:
        types = "video/*,image/gif,image/webp,image/png"
        super().__init__(open_video, "a video", "a video or a folder of pictures", types)
        named(self.upload, "upload-video")
        self.about = named(HTML(), "note", "about")
        self.widget = section("Video", self.about, self.path, self.upload)

    def show(self, clip: Clip | None) -> None:
        """Say which video is open."""
        if clip is None:
            self.about.value = "no video yet"
            return
        height, width = clip.size
        speed = "" if clip.fps is None else f", {clip.fps:g} a second"
        self.about.value = f"{escape(clip.name)}: {clip.count} frames of {width} × {height}{speed}"
