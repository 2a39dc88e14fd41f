"""Several engines for one video, by name; each follows the objects with a memory of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sam2lab.runtime.cache import MIB
from sam2lab.runtime.engines.protocol import Float32, ModelInfo
from sam2lab.runtime.enlarge import restore_masks
from sam2lab.runtime.lru import BoundedMap
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.frames import Frames
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.state import VideoState
from sam2lab.widgets.session import telling
from sam2lab.widgets.session.clip import Clip
from sam2lab.widgets.session.engines import Segmenters
from sam2lab.widgets.session.followed import Followed, Key, VideoAnswer
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.prompts import Prompt
from sam2lab.widgets.session.timeline import FrameScores
from sam2lab.widgets.session.tracks import Tracks


class _Kept(NamedTuple):
    logits: Float32
    packed: PackedMask

    @property
    def nbytes(self) -> int:
        return 1024 + self.packed.bits.nbytes


class VideoEngines(Segmenters):
    """Tells engines about prompts, lets them follow objects, and packs the masks they give."""

    def __init__(self, segmenters: Segmenter | Mapping[str, Segmenter]) -> None:
        super().__init__(segmenters)
        self._predictors = {name: VideoPredictor(each) for name, each in self.segmenters.items()}
        self._packed: BoundedMap[tuple[str, Key], _Kept] = BoundedMap(2**20, 256 * MIB)

    @property
    def models(self) -> dict[str, ModelInfo]:
        """The model that each engine runs."""
        return {name: each.engine.info for name, each in self._predictors.items()}

    def told(self, name: str, tracks: Tracks, frames: Frames) -> Tracks:
        """Tell an engine the prompts that it does not know; return the state with its answers."""
        followed, wanted = tracks.followed_by(name), tracks.prompts
        if followed.told == wanted:
            return tracks
        return tracks.having(name, self._told(name, followed, wanted, frames))

    def ready(self, name: str, tracks: Tracks, frames: Frames) -> Tracks:
        """The same, with an engine that can go on from there.

        Negative clicks that waited on a frame correct it once a propagation has passed it.
        """
        tracks = self.told(name, tracks, frames)
        followed = tracks.followed_by(name)
        if followed.state is not None and not telling.late(followed):
            return tracks
        return tracks.having(name, self._told(name, followed, followed.told, frames))

    def follow(
        self, name: str, followed: Followed, start: int, count: int | None, reverse: bool
    ) -> Iterator[tuple[int, VideoState]]:
        """Follow all objects from frame to frame; after each, give its index and a state."""
        assert followed.state is not None
        state = followed.state.copy()
        steps = self._predictors[name].propagate_in_video(
            state, start, count, reverse, progress=False
        )
        done = "frames that were done are kept"
        while (step := self._run(name, lambda: next(steps, None), done)) is not None:
            yield step[0], state.copy()

    def answer(
        self, name: str, followed: Followed, key: Key, size: tuple[int, int]
    ) -> VideoAnswer | None:
        """What an engine answered about an object on a frame; this asks it nothing."""
        result = telling.result(followed.state, key)
        if result is None:
            return None
        kept = self._packed.get((name, key))
        # Steps of undo share logits, so that one array is one mask.
        if kept is None or kept.logits is not result.logits:
            (mask,) = restore_masks(result.logits[0], size, 0.0)
            kept = _Kept(result.logits, PackedMask.of(mask))
            self._packed.put((name, key), kept)
        return VideoAnswer(kept.packed, result.object_score, result.iou, result.is_prompted)

    def preview(self, name: str, tracks: Tracks, frame: int, clip: Clip) -> PackedMask | None:
        """The active object's mask on a frame, as prompts that are not in the session give it."""
        tried = self.told(name, tracks, clip.frames).followed_by(name)
        result = telling.result(tried.state, (tracks.active, frame))
        if result is None:
            return None
        (mask,) = restore_masks(result.logits[0], clip.size, 0.0)
        return PackedMask.of(mask)

    def scores(self, followed: Followed, object_id: int, count: int) -> Iterator[FrameScores]:
        """The scores of an object on all frames that have an answer, without their masks."""
        for frame in range(count):
            key = object_id, frame
            result = telling.result(followed.state, key)
            if result is not None:
                scores = result.object_score, result.iou, result.is_prompted
                yield FrameScores(frame, *scores, key in followed.corrected)

    def _told(
        self,
        name: str,
        followed: Followed,
        wanted: Mapping[Key, tuple[Prompt, ...]],
        frames: Frames,
    ) -> Followed:
        predictor = self._predictors[name]
        return self._run(name, lambda: telling.tell(predictor, frames, followed, wanted))
