"""Writes what engines made of a video as JSON and arrays, and reads it back to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from math import prod
from typing import Any

import numpy as np

from sam2lab.runtime.engines.protocol import ModelInfo, PromptBatch
from sam2lab.runtime.video.checks import identity
from sam2lab.runtime.video.state import FrameResult, ObjectState, Pending, VideoState
from sam2lab.widgets.session.followed import Earlier, Followed, Key
from sam2lab.widgets.session.prompts import Prompt
from sam2lab.widgets.session.session_file import Array, Numbered, prompts_of, typed


def model_of(info: ModelInfo) -> list[Any]:
    """What a model must share with another one to go on from its results, as JSON."""
    size, input_size, weights = identity(info)
    return [size, list(input_size), weights]


@dataclass(frozen=True, eq=False)
class Results:
    """What one engine made of the objects, apart from the video itself."""

    objects: Mapping[int, ObjectState]
    told: Mapping[Key, tuple[Prompt, ...]]
    corrected: Mapping[Key, Earlier]

    def on(self, empty: VideoState) -> Followed:
        """What the engine can go on from, given its state before it knows of any object."""
        state = empty.copy()
        state.objects = {object_id: each.copy() for object_id, each in self.objects.items()}
        return Followed(state, self.told, self.corrected)


class Writer:
    """Describes what engines made as JSON; answers and arrays, in which it counts, come afterwards.

    Steps of undo share most of both, so each is written once.
    """

    def __init__(self) -> None:
        self._results: Numbered[FrameResult] = Numbered()
        self._arrays: Numbered[Array] = Numbered()

    def described(self, followed: Followed) -> dict[str, Any]:
        """What `read` reads."""
        state = followed.state
        assert state is not None
        return {
            "model": model_of(state.info),
            "told": [
                {"object": key[0], "frame": key[1], "prompts": [asdict(each) for each in prompts]}
                for key, prompts in followed.told.items()
            ],
            "objects": [
                {"id": object_id} | self._object(each) for object_id, each in state.objects.items()
            ],
            "corrected": [
                {"object": object_id, "reverse": earlier.reverse} | self._row(frame, earlier.result)
                for (object_id, frame), earlier in followed.corrected.items()
                if earlier.result is not None
            ],
        }

    def results(self) -> list[dict[str, Any]]:
        """All answers of what was described, by number."""
        return [
            {
                "object_score": result.object_score,
                "iou": result.iou,
                "prompted": result.is_prompted,
                "logits": self._arrays(result.logits),
                "pointer": self._arrays(result.pointer),
                "memory": None if result.memory is None else self._arrays(result.memory),
            }
            for result in self._results.things
        ]

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """The arrays of all answers, by name."""
        for number, array in enumerate(self._arrays.things):
            yield str(number), array

    def _object(self, each: ObjectState) -> dict[str, Any]:
        pending = [
            self._row(frame, waits.result) | {"conditioning": waits.is_conditioning}
            for frame, waits in each.pending.items()
        ]
        return {
            "prompts": [
                {
                    "frame": frame,
                    "coords": prompt.point_coords[0].tolist(),
                    "labels": prompt.point_labels[0].tolist(),
                }
                for frame, prompt in each.prompts.items()
                if isinstance(prompt, PromptBatch)
            ],
            "pending": pending,
            "conditioning": [self._row(*found) for found in each.conditioning.items()],
            "followed": [self._row(*found) for found in each.followed.items()],
            "tracked": [
                {"frame": frame, "reverse": reverse} for frame, reverse in each.tracked.items()
            ],
        }

    def _row(self, frame: int, result: FrameResult) -> dict[str, Any]:
        return {"frame": frame, "result": self._results(result)}


class Reader:
    """Reads what `Writer` wrote, and refuses what it cannot have written.

    `array` reads an array by its name, `results` are all answers. The video has `count` frames of
    `size` (height, width).
    """

    def __init__(
        self,
        array: Callable[[str], Array],
        results: Sequence[dict[str, Any]],
        count: int,
        size: tuple[int, int],
    ) -> None:
        self._array = cache(array)
        self._result = cache(partial(self._read_result, dict(enumerate(results))))
        self._count = count
        self._size = size

    def read(self, about: dict[str, Any], info: ModelInfo) -> Results:
        """Read the description of the results of this model."""
        return Results(
            {typed(int, each["id"]): self._object(each, info) for each in about["objects"]},
            {
                self._key(each): tuple(prompts_of(each["prompts"], self._size))
                for each in about["told"]
            },
            {
                self._key(each): Earlier(self._row(each, info), typed(bool, each["reverse"]))
                for each in about["corrected"]
            },
        )

    def frame(self, about: dict[str, Any]) -> int:
        """The number of the frame that something is about."""
        index: int = typed(int, about["frame"])
        if not 0 <= index < self._count:
            raise ValueError(f"it has a frame {index} of {self._count}")
        return index

    def _key(self, about: dict[str, Any]) -> Key:
        return typed(int, about["object"]), self.frame(about)

    def _object(self, about: dict[str, Any], info: ModelInfo) -> ObjectState:
        def rows(name: str) -> dict[int, FrameResult]:
            return {self.frame(each): self._row(each, info) for each in about[name]}

        waits = {self.frame(each): typed(bool, each["conditioning"]) for each in about["pending"]}
        return ObjectState(
            prompts={self.frame(each): _prompt(each, info) for each in about["prompts"]},
            pending={at: Pending(result, waits[at]) for at, result in rows("pending").items()},
            conditioning=rows("conditioning"),
            followed=rows("followed"),
            tracked={self.frame(each): typed(bool, each["reverse"]) for each in about["tracked"]},
        )

    def _row(self, about: dict[str, Any], info: ModelInfo) -> FrameResult:
        return self._result(typed(int, about["result"]), info)

    def _read_result(
        self, results: Mapping[int, dict[str, Any]], number: int, info: ModelInfo
    ) -> FrameResult:
        about, cells = results[number], prod(info.embed_size)

        def array(name: str, dtype: type, shape: tuple[int | None, ...]) -> Array:
            return _of(self._array(str(typed(int, about[name]))), dtype, shape)

        return FrameResult(
            logits=array("logits", np.float32, (1, 1, *info.mask_size)),
            object_score=typed(float, about["object_score"]),
            iou=typed(float, about["iou"]),
            is_prompted=typed(bool, about["prompted"]),
            pointer=array("pointer", np.float32, (None,)),
            memory=None if about["memory"] is None else array("memory", np.uint16, (cells, None)),
        )


def _prompt(about: dict[str, Any], info: ModelInfo) -> PromptBatch:
    coords = np.array(about["coords"], np.float32).reshape(1, -1, 2)
    prompt = PromptBatch(coords, np.array([about["labels"]], np.float32))
    prompt.check(info)
    return prompt


def _of(array: Array, dtype: type, shape: tuple[int | None, ...]) -> Array:
    """The array, if it is of this kind; None in `shape` stands for any length."""
    is_alike = array.dtype == dtype and array.ndim == len(shape)
    if not is_alike or any(
        side not in (None, length) for side, length in zip(shape, array.shape, strict=True)
    ):
        raise ValueError(f"it has an array of {array.dtype} {array.shape}")
    return array
