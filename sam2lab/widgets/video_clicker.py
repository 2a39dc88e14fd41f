"""The video clicker: a widget to follow objects through a video."""

from __future__ import annotations

from collections.abc import Mapping

from ipywidgets import VBox
from traitlets import Instance, Int, Tuple

from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.frames import VideoLike
from sam2lab.widgets.panels.controls import named
from sam2lab.widgets.session.followed import VideoAnswer
from sam2lab.widgets.session.packed import LazyMasks
from sam2lab.widgets.session.video_session import VideoSession
from sam2lab.widgets.video_controller import VideoController


class VideoClicker(VBox):
    """Follow objects through a video by clicking: a widget for JupyterLab, Notebook and Voilà.

    `segmenters` is one Segmenter, or several by name, to switch between and to compare. `video`
    is anything that `open_frames` opens; `session.open_video(pictures, "dog")` gives pictures in
    a list a name for the files to take away. `size` is the largest (height, width) of the canvas.

    Click on any frame as on photos, then Follow. Where the mask goes wrong, click again on that
    frame, and follow from here. The strip shows each object in its colour where it is present,
    with signs for prompts and corrections, and stripes where the model is unsure.

    Keys, once the frame has the focus: comma and full stop step, Home and End go to the first and
    the last frame, F follows, and those of photos.

    `objects`, `prompts` (of the active object on this frame), `masks` (by object id, on this
    frame) and `frame` can be observed. `session` does everything by call.

    ```python
    clicker = sam2lab.VideoClicker(sam2lab.open_segmenter("nano"), "dog.mp4")
    clicker
    clicker.session.export("youtube_vis")
    ```
    """

    objects = Tuple(help="All objects, including the active one.")
    prompts = Tuple(help="The prompts of the active object on the current frame.")
    masks = Instance(LazyMasks, args=({},), help="Each object's mask on the current frame, by id.")
    frame = Int(0, help="The index of the current frame.")

    def __init__(
        self,
        segmenters: Segmenter | Mapping[str, Segmenter],
        video: VideoLike | None = None,
        *,
        size: tuple[int, int] = (540, 720),
    ) -> None:
        self.session = VideoSession(segmenters)
        self._controller = VideoController(self.session, size, self._publish)
        self.screen = self._controller.screen
        super().__init__(self.screen.widgets)
        named(self, "clicker")
        self.refresh()
        if video is None:
            self.screen.say("Choose a video below.")
        else:
            self._controller.open(video)

    def wait(self) -> None:
        """Return when every click is answered and nothing is followed any more.

        Users do not need this. A program that clicks and then reads `masks` waits in between.
        """
        self._controller.wait()

    def refresh(self) -> None:
        """Show everything as it is now; every change of the session does this by itself."""
        self._controller.refresh()

    def _publish(self, known: Mapping[int, VideoAnswer]) -> None:
        session = self.session
        self.objects = session.objects if session.is_open else ()
        self.prompts = session.prompts if session.is_open else ()
        self.masks = LazyMasks({key: answer.packed for key, answer in known.items()})
        self.frame = session.frame if session.is_open else 0
