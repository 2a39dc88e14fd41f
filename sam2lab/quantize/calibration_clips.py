"""Feed the memory attention with what it meets while objects are followed through short clips.

A clip is made of an image: the camera moves towards a place in it. The float model is prompted on
the first frame and follows to the last, and what the memory attention is given there is one feed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnxruntime as ort
from PIL import Image

from sam2lab.measure import cases
from sam2lab.quantize.calibration import ImageReader, readable
from sam2lab.quantize.tensor_statistics import Feeds
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.onnx import OnnxEngine, without_spinning
from sam2lab.runtime.engines.protocol import Features
from sam2lab.runtime.images import RGB
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.protocol import Memories

# The last frame looks at the memories of all before it.
FRAMES = 4
# As the camera moves, it sees less, down to this share of the image's sides.
NEAREST = 0.75
_KINDS = ("1 point", "box")


def memory_feeds(readers: Iterable[ImageReader], bundle: Bundle) -> Iterator[Feeds]:
    """Feed the memory attention the last frame of a clip of each image that can be read."""
    engine = _Watched(bundle)
    predictor = VideoPredictor(engine)
    for number, image in readable(readers):
        state = predictor.init_state(clip(image, seed=number))
        (case,) = cases.draw_cases([image], _KINDS[number % 2], seed=number)
        predictor.add_new_points_or_box(
            state, 0, 1, points=case.point_coordinates, labels=case.point_labels, box=case.box
        )
        for _ in predictor.propagate_in_video(state, progress=False):
            pass
        yield engine.seen


def clip(image: RGB, seed: int) -> list[RGB]:
    """The image, and what a camera sees of it that moves towards a random place.

    >>> frames = clip(np.zeros((30, 40, 3), np.uint8), seed=0)
    >>> len(frames), frames[-1].shape
    (4, (30, 40, 3))
    """
    size = np.array([image.shape[1], image.shape[0]])
    corner = np.random.default_rng(seed).uniform(0, 1 - NEAREST, 2) * size
    picture = Image.fromarray(image)
    frames = [image]
    for way in np.linspace(0, 1, FRAMES)[1:]:
        start = way * corner
        end = start + (1 - way * (1 - NEAREST)) * size
        box = (float(start[0]), float(start[1]), float(end[0]), float(end[1]))
        seen = picture.resize(picture.size, Image.Resampling.BILINEAR, box)
        frames.append(np.asarray(seen))
    return frames


class _Watched(OnnxEngine):
    """Keeps what the memory attention was given last."""

    seen: Feeds

    def _session_options(self, threads: int | None) -> ort.SessionOptions:
        # A clip of nano takes one second of a core in place of 2.5.
        return without_spinning(super()._session_options(threads))

    def condition(self, features: Features, memories: Memories) -> Features:
        self.seen = self.memory_inputs(features, memories)
        return super().condition(features, memories)
