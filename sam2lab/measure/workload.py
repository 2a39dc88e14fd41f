"""A photo and a prompt to time an engine on, with a clock at every step to the masks."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns, process_time_ns
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.runtime import enlarge, images, postprocess, prompts
from sam2lab.runtime.engines.protocol import Decoded, Engine, Float32, ModelInfo
from sam2lab.runtime.images import ImageLike


class Timing(NamedTuple):
    """The times of one answer in ms; `cpu_ms` is that of all threads of this process."""

    pre_ms: float
    encode_ms: float
    decode_ms: float
    post_ms: float
    total_ms: float
    cpu_ms: float


@dataclass(frozen=True, eq=False)
class Workload:
    """A photo as `images.read` gives it, and a prompt as arguments of `prompts.encode`.

    >>> Workload.about(np.zeros((4, 6, 3), np.uint8)).prompt["point_coordinates"].tolist()
    [[3.0, 2.0]]
    """

    photo: npt.NDArray[Any]
    prompt: Mapping[str, Any]

    @classmethod
    def about(cls, image: ImageLike, prompt: Mapping[str, Any] | None = None) -> Workload:
        """A prompt on anything that `images.read` takes, by default a click in the middle."""
        photo = images.read(image)
        if prompt is None:
            middle = np.array([[photo.shape[1] / 2, photo.shape[0] / 2]], np.float32)
            prompt = {"point_coordinates": middle, "point_labels": np.ones(1, np.float32)}
        _check_names(prompt)
        return cls(photo, prompt)

    @classmethod
    def with_points(
        cls, image: ImageLike, points: int, objects: int = 1, seed: int = 0
    ) -> Workload:
        """Random positive clicks: the number `points` for each of the number `objects`.

        The clicks of a smaller workload are the first of a larger one with the same seed.

        >>> workload = Workload.with_points(np.zeros((40, 60, 3), np.uint8), points=2, objects=3)
        >>> workload.prompt["point_coordinates"].shape
        (3, 2, 2)
        """
        photo = images.read(image)
        limit = np.array([photo.shape[1], photo.shape[0]], np.float32) - 1
        drawn = [
            np.random.default_rng([seed, i]).uniform(0, 1, (points, 2)) for i in range(objects)
        ]
        clicks = (np.stack(drawn) * limit).astype(np.float32)
        labels = np.ones(clicks.shape[:2], np.float32)
        return cls(photo, {"point_coordinates": clicks, "point_labels": labels})


def _check_names(prompt: Mapping[str, Any]) -> None:
    """Refuse a prompt that holds anything but arguments of `prompts.encode`."""
    wanted = f"some of {', '.join(prompts.NAMES)}, as in {{'boxes': [x0, y0, x1, y1]}}"
    if not isinstance(prompt, Mapping):
        raise prompts.PromptError(f"prompt is {prompt!r:.80}; wanted {wanted}")
    for name in prompt.keys() - {*prompts.NAMES, "normalize_coords"}:
        close = difflib.get_close_matches(str(name), prompts.NAMES, n=1)
        meant = f"did you mean {close[0]!r}? W" if close else "w"
        raise prompts.PromptError(f"prompt has {name!r}; {meant}anted {wanted}")


def time_answer(engine: Engine, workload: Workload) -> Timing:
    """Time an answer from the start, as a `Segmenter` gives it that has never seen the photo.

    No cache takes part.
    """
    size = (workload.photo.shape[0], workload.photo.shape[1])
    cpu_start, start = process_time_ns(), perf_counter_ns()
    pixels = prepare(workload.photo, engine.info)
    asked = prompts.encode(size, engine.info, **workload.prompt)
    prepared = perf_counter_ns()
    features = engine.encode(pixels)
    encoded = perf_counter_ns()
    decoded = engine.decode(features, asked)
    answered = perf_counter_ns()
    finish(decoded, size)
    end, cpu_end = perf_counter_ns(), process_time_ns()
    marks = np.array([start, prepared, encoded, answered, end], np.int64)
    pre, encode, decode, post = (np.diff(marks) / 1e6).tolist()
    cpu = (cpu_end - cpu_start) / 1e6
    return Timing(pre, encode, decode, post, total_ms=(end - start) / 1e6, cpu_ms=cpu)


def sending_file(file: bytes) -> Callable[[Any, Workload], Timing]:
    """A function that times a `RemoteEngine`, which gets the photo's file as cloud services do.

    Only the prompt of the workload is used. The server does all the work, so its parts are not
    known here: they are NaN, and `cpu_ms` is that of asking.
    """

    def time_remote(engine: Any, workload: Workload) -> Timing:
        cpu_start, start = process_time_ns(), perf_counter_ns()
        engine.segment(file, **workload.prompt)
        end, cpu_end = perf_counter_ns(), process_time_ns()
        unknown = float("nan")
        total, cpu = (end - start) / 1e6, (cpu_end - cpu_start) / 1e6
        return Timing(unknown, unknown, unknown, unknown, total, cpu)

    return time_remote


def prepare(photo: npt.NDArray[Any], info: ModelInfo) -> Float32:
    """Pixels (1, 3, H, W) for an engine's encoder."""
    return images.preprocess(photo, info.input_size, info.mean, info.std)[None]


def finish(decoded: Decoded, image_size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The three candidate masks (L, 3, H, W) at the photo's size."""
    return enlarge.restore_masks(postprocess.choose(decoded, True).logits, image_size, 0.0)
