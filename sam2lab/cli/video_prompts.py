"""Prompts as they are typed on the command line: FRAME:X,Y and FRAME:X0,Y0,X1,Y1."""

from __future__ import annotations

import re
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam2lab.runtime.video.frames import Frames
    from sam2lab.runtime.video.predictor import VideoPredictor
    from sam2lab.runtime.video.state import VideoState


@dataclass(frozen=True)
class Prompt:
    """What was typed for one object on one frame: a point (x, y) or a box (x0, y0, x1, y1)."""

    object_id: int
    frame: int
    numbers: tuple[float, ...]
    label: int

    @property
    def text(self) -> str:
        """As it was typed."""
        return f"{self.frame}:{','.join(f'{each:g}' for each in self.numbers)}"


def add_prompts(parser: ArgumentParser) -> None:
    """Add --point, --negative, --box and --object, which are gathered in `prompts`."""
    prompts: dict[str, Any] = {"action": _Collect, "dest": "prompts", "const": 1}
    point: dict[str, Any] = {"type": on_frame(2), "metavar": "FRAME:X,Y"}
    parser.add_argument("--point", help="a point on the object", **point, **prompts)
    parser.add_argument("--negative", help="a point beside it", **point, **prompts | {"const": 0})
    parser.add_argument(
        "--box",
        type=on_frame(4),
        metavar="FRAME:X0,Y0,X1,Y1",
        help="a box around the object, left, top, right and bottom",
        **prompts,
    )
    parser.add_argument(
        "--object",
        type=object_number,
        metavar="N",
        help="the object that the prompts after this are for, 1 to 255; 1 by default",
    )


def check(prompts: Sequence[Prompt], frames: Frames) -> None:
    """Refuse prompts on frames, or at places, that a video does not have."""
    height, width = frames.size
    for prompt in prompts:
        if prompt.frame >= len(frames):
            raise ValueError(
                f"frame {prompt.frame} was prompted; {frames.name} has {len(frames)} frames, 0 to "
                f"{len(frames) - 1}"
            )
        outside = [
            value > (height if place % 2 else width) for place, value in enumerate(prompt.numbers)
        ]
        if any(outside):
            raise ValueError(
                f"{prompt.text} lies outside the frames of {frames.name}, which are {width} pixels "
                f"wide and {height} high"
            )


def give(predictor: VideoPredictor, state: VideoState, prompts: Sequence[Prompt]) -> None:
    """Give the predictor all that was typed, once for each object and frame."""
    grouped: dict[tuple[int, int], list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        grouped[prompt.object_id, prompt.frame].append(prompt)
    for (object_id, frame), group in sorted(grouped.items()):
        points = [each for each in group if len(each.numbers) == 2]
        boxes = [each for each in group if len(each.numbers) == 4]
        if len(boxes) > 1:
            raise ValueError(
                f"object {object_id} has {len(boxes)} boxes on frame {frame}; give one, or name "
                "the objects with --object"
            )
        predictor.add_new_points_or_box(
            state,
            frame,
            object_id,
            points=[each.numbers for each in points] or None,
            labels=[each.label for each in points] or None,
            box=boxes[0].numbers if boxes else None,
        )


class _Collect(Action):
    """Note a prompt for the object that was named last."""

    def __call__(self, parser: Any, namespace: Namespace, values: Any, option: Any = None) -> None:
        frame, numbers = values
        prompt = Prompt(namespace.object or 1, frame, numbers, self.const)
        namespace.prompts = [*(namespace.prompts or []), prompt]


def on_frame(count: int) -> Callable[[str], tuple[int, tuple[float, ...]]]:
    """What reads FRAME:X,Y, or with four numbers FRAME:X0,Y0,X1,Y1.

    >>> on_frame(2)("14:120,80.5")
    (14, (120.0, 80.5))
    """
    form = "FRAME:X,Y, such as 0:120,80" if count == 2 else "FRAME:X0,Y0,X1,Y1"

    def read(text: str) -> tuple[int, tuple[float, ...]]:
        number = r"\d+(?:\.\d*)?"
        found = re.fullmatch(rf"(\d+):({number}(?:,{number}){{{count - 1}}})", text)
        if found is None:
            raise ArgumentTypeError(f"{text!r} is not {form}")
        return int(found[1]), tuple(float(each) for each in found[2].split(","))

    return read


def object_number(text: str) -> int:
    """The number of an object, which a pixel of 8 bits must hold.

    >>> object_number("2")
    2
    """
    if not text.isdecimal() or not 1 <= int(text) <= 255:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to 255")
    return int(text)
